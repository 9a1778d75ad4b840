"""Find exact nearest neighbours by cosine, in blocks of bounded memory."""

from __future__ import annotations

import numpy as np

from ragguard.model import Floats, Ints

BLOCK_ENTRIES = 16_000_000  # similarities held at once, 64 MB
STRIP = 32  # columns looked at together where the largest are sought


def top_k(
    queries: Floats, base: Floats, k: int, query_groups: Ints, base_groups: Ints
) -> tuple[Ints, Floats]:
    """Find the k nearest rows of `base` for each query, but none of the query's own group.

    Args:
        queries: float32 (q, d), unit length.
        base: float32 (m, d), unit length.
        query_groups: int64 (q,), the group of each query (its document).
        base_groups: int64 (m,).

    Returns:
        Indices int64 (q, k), -1 where there are fewer, and similarities float32 (q, k), descending,
        -1 where there are fewer. Ties are broken by index.
    """
    q, m = len(queries), len(base)
    indices = np.full((q, k), -1, dtype=np.int64)
    similarities = np.full((q, k), -1.0, dtype=np.float32)
    width = min(k, m)
    if not q or not width:
        return indices, similarities
    step = max(1, BLOCK_ENTRIES // m)
    for start in range(0, q, step):
        stop = min(q, start + step)
        block = queries[start:stop] @ base.T
        _leave_out(block, query_groups[start:stop], base_groups)
        if width < m:
            nearest = _largest(block, width)
            _break_ties(block, nearest)
        else:
            nearest = np.broadcast_to(np.arange(m), block.shape).copy()
        nearest.sort(axis=1)
        values = np.take_along_axis(block, nearest, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        values = np.take_along_axis(values, order, axis=1)
        nearest = np.take_along_axis(nearest, order, axis=1)
        absent = np.isneginf(values)
        indices[start:stop, :width] = np.where(absent, -1, nearest)
        similarities[start:stop, :width] = np.where(absent, -1.0, values)
    return indices, similarities


def _leave_out(block: Floats, query_groups: Ints, base_groups: Ints) -> None:
    """Set a query's similarity to rows of its own group to minus infinity."""
    order = np.argsort(base_groups, kind="stable")
    known = base_groups[order]
    first = np.searchsorted(known, query_groups, side="left")
    count = np.searchsorted(known, query_groups, side="right") - first
    rows = np.repeat(np.arange(len(query_groups)), count)
    inside = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    block[rows, order[np.repeat(first, count) + inside]] = -np.inf


def _largest(block: Floats, width: int) -> Ints:
    """Return the columns of the `width` largest entries of every row, in no order.

    Columns are dealt into strips. The largest entries lie in the strips with the largest maxima,
    so only those strips are looked through.
    """
    q, m = block.shape
    strips = m // STRIP
    if strips <= 2 * width:
        return np.argpartition(-block, width - 1, axis=1)[:, :width]
    even = block[:, : strips * STRIP]
    peaks = even.reshape(q, strips, STRIP).max(axis=2)
    best = np.argpartition(-peaks, width - 1, axis=1)[:, :width]
    columns = (best[:, :, None] * STRIP + np.arange(STRIP)).reshape(q, -1)
    rest = np.broadcast_to(np.arange(strips * STRIP, m), (q, m - strips * STRIP))
    columns = np.concatenate([columns, rest], axis=1)
    values = np.take_along_axis(block, columns, axis=1)
    chosen = np.argpartition(-values, width - 1, axis=1)[:, :width]
    return np.take_along_axis(columns, chosen, axis=1)


def _break_ties(block: Floats, nearest: Ints) -> None:
    """Where more rows than fit are as near as the last one taken, take the first of them."""
    taken = np.take_along_axis(block, nearest, axis=1)
    last = taken.min(axis=1, keepdims=True)
    crowded = (block == last).sum(axis=1) > (taken == last).sum(axis=1)
    for row in np.flatnonzero(crowded & ~np.isneginf(last[:, 0])):
        nearest[row] = np.argsort(-block[row], kind="stable")[: nearest.shape[1]]


def merge(first: tuple[Ints, Floats], second: tuple[Ints, Floats], k: int) -> tuple[Ints, Floats]:
    """Merge two neighbour tables over disjoint rows into the k best.

    Args:
        first: Indices and similarities (q, a).
        second: Indices and similarities (q, b).

    Returns:
        Indices and similarities (q, k).
    """
    indices = np.concatenate([first[0], second[0]], axis=1)
    similarities = np.concatenate([first[1], second[1]], axis=1)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(indices, order, axis=1)
    values = np.take_along_axis(similarities, order, axis=1)
    short = k - best.shape[1]
    if short > 0:
        best = np.pad(best, ((0, 0), (0, short)), constant_values=-1)
        values = np.pad(values, ((0, 0), (0, short)), constant_values=-1.0)
    return best, values
