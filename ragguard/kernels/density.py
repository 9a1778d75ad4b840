"""Local density: how far a point's neighbours are, against how far theirs are.

Source: Breunig, Kriegel, Ng, Sander, "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000.
Distance is the chord between unit vectors, sqrt(2 - 2 cos).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Floats, Ints


def chord(similarities: Floats) -> NDArray[np.float64]:
    """Euclidean distance of unit vectors from their cosine; 2 where there is no neighbour (-1)."""
    distances: NDArray[np.float64] = np.sqrt(
        np.maximum(0.0, 2.0 - 2.0 * similarities.astype(np.float64))
    )
    return distances


def lof(indices: Ints, similarities: Floats, k: int) -> NDArray[np.float64]:
    """Local outlier factor of every row of a neighbour table over itself.

    Args:
        indices: int64 (n, >= k), neighbours of row i among the n rows; -1 where there are fewer.
        similarities: float32 (n, >= k), descending.
        k: Neighbours used.

    Returns:
        float64 (n,); about 1 inside a cluster, larger for outliers; 1 for rows without neighbours.
    """
    near, sims = indices[:, :k], similarities[:, :k]
    present = near >= 0
    distances = chord(sims)
    last = np.maximum(present.sum(axis=1) - 1, 0)
    k_distance = np.take_along_axis(distances, last[:, None], axis=1)[:, 0]
    safe = np.where(present, near, 0)
    reach = np.where(present, np.maximum(distances, k_distance[safe]), 0.0)
    count = np.maximum(present.sum(axis=1), 1)
    density = 1.0 / np.maximum(reach.sum(axis=1) / count, 1e-6)
    around = np.where(present, density[safe], 0.0).sum(axis=1) / count
    factor = around / density
    factor[~present.any(axis=1)] = 1.0
    result: NDArray[np.float64] = factor
    return result
