"""Group rows of the same bytes, so that each is looked for once.

A corpus repeats its boilerplate, and whoever can write may pour in one vector by the hundred
thousand: among copies every comparison is a tie, and the work grows with their square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Floats, Ints

Rows = NDArray[np.int32]

BLOCK = 8192  # rows looked at together
CROWD = 1 << 22  # entries sorted together


@dataclass(frozen=True)
class Twins:
    """Groups of identical rows.

    Attributes:
        group: int64 (n,), the group of each row, numbered by their first rows, ascending.
        first: int64 (g,), the first row of each group, ascending.
        members: int64 (n,), rows by group, ascending within one.
        starts: int64 (g + 1,), where the rows of each group begin in `members`.
    """

    group: Ints
    first: Ints
    members: Ints
    starts: Ints

    @property
    def none(self) -> bool:
        """Whether every row is unlike all others."""
        return len(self.first) == len(self.group)

    @property
    def counts(self) -> Ints:
        """Rows of each group."""
        return np.diff(self.starts)


def find_twins(vectors: Floats) -> Twins:
    """Find rows that are the same bytes.

    Args:
        vectors: float32 (n, d).
    """
    n, d = vectors.shape
    weights = np.random.default_rng(0).integers(1, 1 << 63, size=d, dtype=np.uint64) | np.uint64(1)
    prints = np.zeros(n, dtype=np.uint64)
    for start in range(0, n, BLOCK):
        bits = np.ascontiguousarray(vectors[start : start + BLOCK]).view(np.uint32)
        # A row's print is a sum over all its bits, modulo 2**64.
        prints[start : start + BLOCK] = (bits.astype(np.uint64) * weights).sum(axis=1)
    order = np.argsort(prints, kind="stable")
    known = prints[order]
    fresh = np.ones(n, dtype=np.bool_)
    fresh[1:] = known[1:] != known[:-1]
    # Prints can be made to collide; bytes decide.
    for some in np.array_split(np.flatnonzero(~fresh), max(1, n // BLOCK)):
        left, right = vectors[order[some - 1]], vectors[order[some]]
        fresh[some] = (left.view(np.uint32) != right.view(np.uint32)).any(axis=1)
    number = np.empty(n, dtype=np.int64)
    number[order] = np.cumsum(fresh) - 1
    first = order[fresh]
    by_first = np.argsort(first)
    rank = np.empty(len(first), dtype=np.int64)
    rank[by_first] = np.arange(len(first))
    group = rank[number]
    members = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=len(first)))])
    return Twins(group, first[by_first], members, starts.astype(np.int64))


def spread(
    twins: Twins, vectors: Floats, rows: Ints, table: tuple[Rows, Floats]
) -> tuple[Rows, Floats]:
    """Spread neighbours among first rows of groups to all rows.

    Args:
        twins: The groups.
        vectors: float32 (n, d), unit length.
        rows: int64 (r,), whose neighbours.
        table: int32 (r, k), the nearest first rows of other groups, -1 where fewer; and their
            similarities, float32 (r, k).

    Returns:
        Indices int32 and similarities float32 (r, k), descending, ties by index; -1 where fewer.
    """
    if twins.none:
        return table
    indices, similarities = table[0].copy(), table[1].copy()
    counts = twins.counts[twins.group]
    several = (table[0] >= 0) & (counts[table[0]] > 1)
    affected = np.flatnonzero((counts[rows] > 1) | several.any(axis=1))
    k = indices.shape[1]
    room = np.arange(k + 1)  # one more than k: one of them may be the row itself
    nowhere = np.iinfo(np.int64).max
    for some in np.array_split(affected, len(affected) * (k + 1) ** 2 // CROWD + 1):
        mine = rows[some]
        wide = vectors[mine].astype(np.float64)
        own = np.vecdot(wide, wide).astype(np.float32)
        near = np.concatenate([mine[:, None], table[0][some]], axis=1)
        close = np.concatenate([own[:, None], table[1][some]], axis=1)
        group = twins.group[near]
        held = np.where(near >= 0, twins.counts[group], 0)
        there = room < held[:, :, None]
        names = twins.members[np.where(there, twins.starts[group][:, :, None] + room, 0)]
        there &= names != mine[:, None, None]
        names = np.where(there, names, nowhere).reshape(len(some), -1)
        values = np.where(there, close[:, :, None], np.float32(-2)).reshape(len(some), -1)
        order = np.lexsort((names, -values), axis=1)[:, :k]
        best = np.take_along_axis(names, order, axis=1)
        values = np.take_along_axis(values, order, axis=1)
        indices[some] = np.where(best == nowhere, -1, best)
        similarities[some] = np.where(best == nowhere, np.float32(-1), values)
    return indices, similarities
