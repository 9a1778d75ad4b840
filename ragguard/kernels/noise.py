"""Whose label is not what its neighbours say, and how a set of vectors lies as a whole."""

from __future__ import annotations

import numpy as np

from ragguard.kernels import vote
from ragguard.model import Bools, Floats, Ints


def disagreement(found: vote.Ballots, codes: Ints, values: int, least: int) -> tuple[Bools, Bools]:
    """Which documents the vote of their neighbours contradicts.

    Args:
        found: The ballots.
        codes: int64 (n,), value by document, -1 where it has none.
        values: Number of values.
        least: Voters that have a value below which nothing is said.

    Returns:
        bool (n,), whether a document is judged; bool (n,), whether another value has more of the
        vote's weight than its own.
    """
    parts, voters = vote.shares(found, codes, len(codes), values)
    judged = (codes >= 0) & (voters >= least)
    own = parts[np.arange(len(codes)), np.maximum(codes, 0)]
    return judged, judged & (parts.max(axis=1, initial=0.0) > own)


def skewness(counts: Ints) -> float:
    """Skewness of k-occurrences: 0 where all are named as often, high where there are hubs.

    Third standardised moment; Radovanović, Nanopoulos, Ivanović, "Hubs in Space", JMLR 11 (2010).

    Args:
        counts: int64 (n,).
    """
    apart = counts.astype(np.float64)
    apart -= apart.mean() if len(apart) else 0.0
    width = float(np.sqrt(np.square(apart).mean())) if len(apart) else 0.0
    return float((apart**3).mean()) / width**3 if width > 0 else 0.0


def concentration(vectors: Floats) -> float:
    """Length of the mean vector, in [0, 1]: 1 where all point one way.

    Args:
        vectors: float32 (n, d), unit length.
    """
    if not len(vectors):
        return 0.0
    return float(np.linalg.norm(vectors.astype(np.float64).mean(axis=0)))


def kept_neighbours(before: Ints, after: Ints) -> float:
    """Mean share of the rows' neighbours in one table that they have in the other too, in [0, 1].

    Args:
        before: int64 (n, k), -1 where there are fewer.
        after: int64 (n, k), of the same rows, numbered alike.
    """
    there = before >= 0
    same = (before[:, :, None] == after[:, None, :]).any(axis=2) & there
    counts = there.sum(axis=1)
    judged = counts > 0
    if not judged.any():
        return 1.0
    return float((same.sum(axis=1)[judged] / counts[judged]).mean())
