"""RSG as it is usually told: the best four paraphrases' mean less the 16th neighbour's similarity.

Source: as `rsg.py`, without what its authors' release adds to the one-sentence description: no
normalisation by what is possible, no discount for a single paraphrase, no script integrity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.bench.scan import Scan
from ragguard.text.words import jaccard

NAME = "RSG, plain"
NEIGHBOURS = 16
CORE = 4
NEAR = 0.85
FAR = 0.60


def score(scan: Scan) -> NDArray[np.float64]:
    """Mean of the best four paraphrase neighbours less the similarity of the last of sixteen.

    Returns:
        float64 (m,), in [0, 2]; 0 without a paraphrase neighbour. Higher is more suspicious.
    """
    near = scan.neighbours.indices[:, :NEIGHBOURS]
    close = scan.neighbours.similarities[:, :NEIGHBOURS].astype(np.float64)
    present = near >= 0
    rows, columns = np.nonzero(present & (close >= NEAR))
    kept = np.zeros(near.shape, dtype=bool)
    kept[rows, columns] = jaccard(scan.terms, rows, near[rows, columns]) <= FAR
    kept &= np.cumsum(kept, axis=1) <= CORE
    count = kept.sum(axis=1)
    mean = np.where(kept, close, 0.0).sum(axis=1) / np.maximum(count, 1)
    floor = close[np.arange(len(close)), np.maximum(present.sum(axis=1) - 1, 0)]
    result: NDArray[np.float64] = np.where(count > 0, mean - floor, 0.0)
    return result
