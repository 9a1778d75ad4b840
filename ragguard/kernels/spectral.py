"""Spectral signatures: rows of a cluster that stand off it together, along one direction.

What was planted for one purpose leaves a trace in the direction in which its cluster varies most
(Tran, Li, Madry, "Spectral Signatures in Backdoor Attacks", NeurIPS 2018: squared projections on
the top singular vector). Measured on retrieval poison it adds little to what stands apart by its
neighbours; it sees larger groups that are no near-paraphrases.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.kernels.apart import tail
from ragguard.model import Floats

Doubles = NDArray[np.float64]

LEAST = 50  # rows of a cluster below which it has no direction
FITTED = 2000  # rows of a cluster that its direction is taken from
ROUNDS = 30  # of the power iteration


def signature(vectors: Floats, seed: int = 0) -> tuple[Doubles, Doubles]:
    """How far each row of a cluster stands off along the cluster's main direction.

    Args:
        vectors: float32 (n, d), one cluster.
        seed: Of the sample that the direction is taken from.

    Returns:
        Signed offsets from the middle, float64 (n,), and their p-values, float64 (n,), of the tail
        that they lie in. All 0 and 1 for fewer than `LEAST` rows.
    """
    n = len(vectors)
    if n < LEAST:
        return np.zeros(n), np.ones(n)
    rng = np.random.default_rng(seed)
    rows = np.asarray(vectors, dtype=np.float64)
    some = rows if n <= FITTED else rows[np.sort(rng.permutation(n)[:FITTED])]
    centre = np.median(some, axis=0)
    some = some - centre
    axis: Doubles = np.asarray(rng.normal(size=rows.shape[1]), dtype=np.float64)
    for _ in range(ROUNDS):
        axis = some.T @ (some @ axis)
        length = float(np.linalg.norm(axis))
        if length == 0:
            return np.zeros(n), np.ones(n)
        axis /= length
    offsets = (rows - centre) @ axis
    offsets = offsets - np.median(offsets)
    return offsets, tail(np.abs(offsets))
