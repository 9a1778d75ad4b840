"""RSG: a document's paraphrase neighbours against its own local floor.

Source: "RAGSieve: Detecting Knowledge-Poisoned Documents in RAG Without a Trusted Reference", the
offline corpus scan: its graph part, which the authors also report alone, with the settings of their
release (neighbours, thresholds, support, normalisation). Written anew from that description. The
other part, an alarm for documents that mix writing systems, is left out: see README.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.bench.scan import Scan
from ragguard.text.words import jaccard

NAME = "RSG"
NEIGHBOURS = 16
CORE = 4  # best paraphrases whose mean counts
SUPPORT = 2  # paraphrases below which the rise is counted in part only
NEAR = 0.85  # cosine from which a neighbour says the same
FAR = 0.60  # word overlap up to which it says so in other words


def score(scan: Scan) -> NDArray[np.float64]:
    """Rise of the mean similarity of the best paraphrases over the 16th neighbour's.

    Returns:
        float64 (m,), in [0, 1] as a share of what is possible. Higher is more suspicious. Its
        authors map ranks to an alert share afterwards, which changes no order.
    """
    near = scan.neighbours.indices[:, :NEIGHBOURS]
    close = scan.neighbours.similarities[:, :NEIGHBOURS].astype(np.float64)
    m = len(near)
    present = near >= 0
    rows, columns = np.nonzero(present & (close >= NEAR))
    overlap = jaccard(scan.terms, rows, near[rows, columns])
    eligible = np.zeros(near.shape, dtype=bool)
    eligible[rows, columns] = overlap <= FAR
    # Neighbours come best first, so the first four that qualify are the best four.
    core = eligible & (np.cumsum(eligible, axis=1) <= CORE)
    count = core.sum(axis=1)
    mean = np.where(core, close, 0.0).sum(axis=1) / np.maximum(count, 1)
    last = np.maximum(present.sum(axis=1) - 1, 0)
    floor = close[np.arange(m), last]
    excess = np.clip((mean - floor) / np.maximum(1e-6, 1.0 - floor), 0.0, 1.0)
    support = np.minimum(1.0, eligible.sum(axis=1) / SUPPORT)
    result: NDArray[np.float64] = np.where(count > 0, support * excess, 0.0)
    return result
