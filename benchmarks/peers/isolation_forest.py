"""Isolation Forest on the vectors: how few random cuts set a document apart.

Source: Liu, Ting, Zhou, "Isolation Forest", ICDM 2008; scikit-learn's implementation, its defaults
(100 trees of 256 documents).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from ragguard.bench.scan import Scan

NAME = "Isolation Forest"


def score(scan: Scan) -> NDArray[np.float64]:
    """The anomaly score of the paper.

    Returns:
        float64 (m,), in (0, 1]; about 0.5 for ordinary documents. Higher is more suspicious.
    """
    # Trees draw rows by number. In an order that the rows themselves decide, the draw is the same
    # whatever order they came in.
    keys = [row.tobytes() for row in scan.vectors]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    forest = IsolationForest(random_state=scan.seed).fit(scan.vectors[order])
    result: NDArray[np.float64] = -forest.score_samples(scan.vectors).astype(np.float64)
    return result
