"""Measure how far something put into texts pulls their vectors to one place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragguard.model import Doubles, Floats, Ints

TINY = 1e-12
NORMAL = 1.4826  # median deviation to standard deviation, of a normal distribution


def spread(vectors: Floats) -> float:
    """Tell how far vectors stand apart: 1 less the squared length of their mean, in [0, 1].

    Half the mean squared distance of two of them; 0 where all are one.

    Args:
        vectors: float32 (n, d), unit length.
    """
    mean = vectors.astype(np.float64).mean(axis=0)
    return max(0.0, 1.0 - float(mean @ mean))


def collapse(clean: Floats, pulled: Floats) -> float:
    """Return the share of the spread of vectors that is gone, in (-inf, 1]; 1 where all are one.

    Args:
        clean: float32 (n, d), unit length.
        pulled: float32 (n, d), the same texts with something in them.
    """
    return 1.0 - spread(pulled) / max(spread(clean), TINY)


def recurrence(vectors: Sequence[Floats], groups: Sequence[Ints]) -> Doubles:
    """Tell how alike the vectors of the groups are that an item was in, round by round.

    Group testing (Dorfman, "The Detection of Defective Members of Large Populations", Annals of
    Mathematical Statistics 14 (1943)): in each round the items are dealt to other groups. An item
    that decides the vector of whatever it is in has much the same vector in every round.

    Args:
        vectors: By round float32 (g, d), unit length, one vector a group.
        groups: By round int64 (n,), the group that each item was in.

    Returns:
        float64 (n,), mean cosine of the item's groups, less the mean of all groups; in [-1, 1].
    """
    centre = np.concatenate(vectors).astype(np.float64).mean(axis=0)
    items = len(groups[0])
    total = np.zeros((items, vectors[0].shape[1]))
    for rows, dealt in zip(vectors, groups, strict=True):
        apart = rows.astype(np.float64) - centre
        apart /= np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), TINY)
        total += apart[dealt]
    rounds = len(vectors)
    pairs = np.square(total).sum(axis=1) - rounds
    return np.asarray(pairs / max(1, rounds * (rounds - 1)), dtype=np.float64)


def standing(values: Doubles) -> Doubles:
    """Tell how far each value is above the median, in deviations of the bulk (median deviation).

    Args:
        values: float64 (n,).
    """
    if not len(values):
        return values.copy()
    middle = np.median(values)
    width = NORMAL * float(np.median(np.abs(values - middle)))
    return np.asarray((values - middle) / max(width, TINY), dtype=np.float64)
