"""kNN distance: how far a document is from its nearest neighbours.

Source: Ramaswamy, Rastogi, Shim, "Efficient Algorithms for Mining Outliers from Large Data Sets",
SIGMOD 2000, in the form with the mean of the k distances (Angiulli, Pizzuti, PKDD 2002).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.bench.scan import Scan

NAME = "kNN distance"
NEIGHBOURS = 10


def score(scan: Scan) -> NDArray[np.float64]:
    """Mean cosine distance to the ten nearest documents.

    Returns:
        float64 (m,), in [0, 2]; 2 where there is no neighbour. Higher is more suspicious.
    """
    present = scan.neighbours.indices[:, :NEIGHBOURS] >= 0
    distances = 1.0 - scan.neighbours.similarities[:, :NEIGHBOURS].astype(np.float64)
    count = present.sum(axis=1)
    mean = np.where(present, distances, 0.0).sum(axis=1) / np.maximum(count, 1)
    result: NDArray[np.float64] = np.where(count > 0, mean, 2.0)
    return result
