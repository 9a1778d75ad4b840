"""LOF: how much sparser a document's surroundings are than those of its neighbours.

Source: Breunig, Kriegel, Ng, Sander, "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000;
scikit-learn's implementation, 20 neighbours (its default), cosine distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor

from ragguard.bench.scan import Scan

NAME = "LOF"
NEIGHBOURS = 20


def score(scan: Scan) -> NDArray[np.float64]:
    """The local outlier factor.

    Returns:
        float64 (m,), about 1 inside a cluster. Higher is more suspicious.
    """
    k = min(NEIGHBOURS, len(scan.vectors) - 1)
    if k < 1:
        return np.ones(len(scan.vectors))
    model = LocalOutlierFactor(n_neighbors=k, metric="cosine", algorithm="brute")
    model.fit(scan.vectors.astype(np.float64))
    result: NDArray[np.float64] = -model.negative_outlier_factor_.astype(np.float64)
    return result
