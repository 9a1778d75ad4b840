"""Local density: how far a point is from its neighbours, against how far they are from each other.

Source: Zhang, Hutter, Jin, "A New Local Distance-Based Outlier Detection Approach for Scattered
Real-World Data", PAKDD 2009 (LDOF). It needs a point's own neighbours only, where LOF (Breunig et
al., SIGMOD 2000) needs theirs too: the same in a batch of 10 and of 10,000. Distance is the chord
between unit vectors, sqrt(2 - 2 cos).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Floats, Ints

BLOCK = 512  # rows worked on at once
NEAREST = 0.01  # distance below which two texts count as copies


def chord(similarities: Floats) -> NDArray[np.float64]:
    """Euclidean distance of unit vectors from their cosine; 2 where there is no neighbour (-1)."""
    distances: NDArray[np.float64] = np.sqrt(
        np.maximum(0.0, 2.0 - 2.0 * similarities.astype(np.float64))
    )
    return distances


def ldof(vectors: Floats, indices: Ints, similarities: Floats) -> NDArray[np.float64]:
    """Local distance-based outlier factor of rows.

    Args:
        vectors: float32 (m, d), unit length.
        indices: int64 (n, k), neighbours of each judged row among the m; -1 where there are fewer.
        similarities: float32 (n, k), descending.

    Returns:
        float64 (n,): mean distance to the neighbours over their mean distance to one another;
        about 1 or less inside a cluster, larger for outliers; 1 with fewer than two neighbours.
    """
    n, k = indices.shape
    present = indices >= 0
    count = present.sum(axis=1)
    distance = np.where(present, chord(similarities), 0.0).sum(axis=1) / np.maximum(count, 1)
    inner = np.zeros(n)
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        near = vectors[np.where(present[rows], indices[rows], 0)]
        apart = chord(np.matmul(near, near.transpose(0, 2, 1)))
        both = present[rows, :, None] & present[rows, None, :] & ~np.eye(k, dtype=bool)
        inner[rows] = np.where(both, apart, 0.0).sum(axis=(1, 2))
    pairs = np.maximum(count * (count - 1), 1)
    factor = distance / np.maximum(inner / pairs, NEAREST)
    factor[(count < 2) | (distance < NEAREST)] = 1.0
    result: NDArray[np.float64] = factor
    return result
