"""Find exact nearest neighbours of many rows among all, in tiles that stay in the cache.

Similarities are computed in float32, tile by tile, and an entry is kept when it beats the last one
of its row. What survives is computed again in float64 and rounded to float32, so that the answer
does not depend on how the tiles fell. Ties go to the lower row. Only where more than `SPARE` rows
too many are closer to each other than float32 tells apart does float32 decide which are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ragguard.config import processors
from ragguard.model import Floats, Ints

Rows = NDArray[np.int32]
T = TypeVar("T")

ROWS = 512  # of a tile
COLUMNS = 1024  # of a tile: 2 MB of similarities
STRIP = 16  # columns looked at together
SPARE = 16  # kept beyond k: float32 misplaces what float64 tells apart
PAIRS = 1 << 16  # pairs computed again at once, 200 MB in 384 dimensions

_SIGN = np.uint32(0x80000000)
_NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)


class NearestSoFar:
    """The nearest found so far of a block of rows.

    An entry is one number, similarity above, column below, so that one partial sort finds the
    nearest and settles ties.

    Args:
        rows: Number of rows.
        width: Neighbours kept for each.
        floor: float32 (rows,), what an entry must beat; nothing by default.
    """

    def __init__(self, rows: int, width: int, floor: Floats | None = None) -> None:
        self._width = width
        self._room = 4 * width
        self._keys = np.full((rows, self._room), _NOTHING, dtype=np.uint64)
        self._fill = np.zeros(rows, dtype=np.int64)
        self.floor = np.full(rows, -np.inf, np.float32) if floor is None else floor.copy()

    def offer(self, tile: Floats, columns: Rows, which: Ints | None = None) -> None:
        """Take what beats the last one of its row.

        Args:
            tile: float32 (r, c), similarities; c is a multiple of `STRIP`; minus infinity where
                there is nothing.
            columns: int32 (c,), which rows of the base the columns are.
            which: int64 (r,), which rows of the block the tile's rows are, each once; all if
                `None`.
        """
        r, c = tile.shape
        strips = c // STRIP
        # Strip s is columns s, s + strips, ...: maxima of rows of strips run at the speed of
        # memory, maxima of neighbouring entries do not.
        peaks = np.maximum.reduce(tile.reshape(r, STRIP, strips), axis=1)
        floor = self.floor if which is None else self.floor[which]
        if strips > self._width and np.isneginf(floor).any():
            # As many entries as there are strips reach the strips' maxima.
            low = np.partition(peaks, strips - self._width, axis=1)[:, strips - self._width]
            floor = np.maximum(floor, np.nextafter(low, np.float32(-np.inf)))
        rows, at = np.nonzero(peaks > floor[:, None])
        if not len(rows):
            return
        places = at[:, None] + np.arange(STRIP) * strips
        values = tile[rows[:, None], places]
        hit, inside = np.nonzero(values > floor[rows, None])
        keys = _pack(values[hit, inside], columns[places[hit, inside]])
        rows = rows[hit] if which is None else which[rows[hit]]
        self._append(rows, keys)

    def _append(self, rows: Ints, keys: NDArray[np.uint64]) -> None:
        """Write entries behind those of their rows; a row that is getting full is cut."""
        while len(rows):
            start = np.flatnonzero(np.diff(rows, prepend=-1))
            count = np.diff(start, append=len(rows))
            place = self._fill[rows] + np.arange(len(rows)) - np.repeat(start, count)
            fits = place < self._room
            self._keys[rows[fits], place[fits]] = keys[fits]
            touched = rows[start]
            self._fill[touched] = np.minimum(self._fill[touched] + count, self._room)
            self._cut(touched[self._fill[touched] > 2 * self._width])
            rows, keys = rows[~fits], keys[~fits]

    def _cut(self, rows: Ints) -> None:
        """Keep the best of some rows."""
        if not len(rows):
            return
        best = np.partition(self._keys[rows], self._width - 1, axis=1)[:, : self._width]
        self._keys[rows] = _NOTHING
        self._keys[rows, : self._width] = best
        self._fill[rows] = self._width
        self.floor[rows] = _unpack(best.max(axis=1))[1]

    def finish(self) -> tuple[Rows, Floats]:
        """Columns and similarities (rows, width), best first; -1 and minus infinity if fewer."""
        keys = np.sort(self._keys, axis=1)[:, : self._width]
        columns, values = _unpack(keys)
        absent = keys == _NOTHING
        return np.where(absent, np.int32(-1), columns), np.where(
            absent, np.float32(-np.inf), values
        )


def _pack(values: Floats, columns: Rows) -> NDArray[np.uint64]:
    bits = values.view(np.uint32)
    # Floats compare like their bits once negative ones are turned over; then the order is reversed.
    ordered = ~np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return (ordered.astype(np.uint64) << np.uint64(32)) | columns.astype(np.uint64)


def _unpack(keys: NDArray[np.uint64]) -> tuple[Rows, Floats]:
    ordered = ~(keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.int32), bits.view(np.float32)


def scan(
    vectors: Floats,
    rows: Ints,
    base: Ints,
    width: int,
    *,
    floors: Floats | None = None,
    workers: int = 0,
) -> Iterator[tuple[slice, Rows, Floats]]:
    """Nearest rows of `base` for chosen rows, in float32, never the row itself.

    Args:
        vectors: float32 (n, d), unit length.
        rows: int64 (r,), whose neighbours.
        base: int64 (m,), among which, ascending.
        width: Neighbours kept.
        floors: float32 (r,), similarity that a neighbour must beat.
        workers: Threads; as many as there are processors if 0.

    Yields:
        In order of `rows`: which of them, columns int32 and similarities float32 (block, width) as
        from `NearestSoFar.finish`.
    """
    starts = range(0, len(rows), ROWS)
    whole = len(base) == len(vectors)

    def block(start: int) -> tuple[slice, Rows, Floats]:
        mine = rows[start : start + ROWS]
        queries = vectors[mine]
        best = NearestSoFar(
            len(mine), width, None if floors is None else floors[start : start + ROWS]
        )
        buffer = np.empty(ROWS * COLUMNS, dtype=np.float32)
        for left in range(0, len(base), COLUMNS):
            columns = base[left : left + COLUMNS]
            there = vectors[left : left + COLUMNS] if whole else vectors[columns]
            tile, names = multiply(queries, there, columns, buffer)
            at = np.searchsorted(columns, mine)
            own = np.flatnonzero(columns[np.minimum(at, len(columns) - 1)] == mine)
            tile[own, at[own]] = -np.inf
            best.offer(tile, names)
        return slice(start, start + len(mine)), *best.finish()

    yield from in_threads(block, starts, workers)


def multiply(queries: Floats, base: Floats, columns: Ints, buffer: Floats) -> tuple[Floats, Rows]:
    """Compute a tile of similarities, filled up to whole strips with minus infinity.

    Args:
        queries: float32 (r, d).
        base: float32 (c, d).
        columns: (c,), which rows they are.
        buffer: float32, at least r * (c + STRIP), to be written over.

    Returns:
        The tile (r, c or a little more) and its columns.
    """
    c = len(base)
    full = -(-c // STRIP) * STRIP
    if full == c:
        tile = buffer[: len(queries) * c].reshape(len(queries), c)
        np.matmul(queries, base.T, out=tile)
        return tile, columns.astype(np.int32)
    tile = np.full((len(queries), full), -np.inf, dtype=np.float32)
    tile[:, :c] = queries @ base.T
    return tile, np.append(columns, np.full(full - c, -1)).astype(np.int32)


def in_threads(job: Callable[[int], T], jobs: range, workers: int) -> Iterator[T]:
    """Run a job in threads, results in order; the linear algebra inside has one thread each."""
    from threadpoolctl import threadpool_limits

    count = workers or processors()
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(count) as pool:
        # Only a few at a time are begun: results wait in memory until they are taken.
        waiting = [pool.submit(job, j) for j in jobs[: 2 * count]]
        for j in jobs[2 * count :]:
            yield waiting.pop(0).result()
            waiting.append(pool.submit(job, j))
        while waiting:
            yield waiting.pop(0).result()


def settle(vectors: Floats, rows: Ints, candidates: Rows, k: int) -> tuple[Rows, Floats]:
    """Choose the k nearest of some candidates, by similarities computed in float64.

    Args:
        vectors: float32 (n, d), unit length.
        rows: int64 (r,), whose candidates.
        candidates: int32 (r, c), none twice in a row; -1 where there is none.

    Returns:
        Indices int32 and similarities float32 (r, k), descending, ties by index; -1 where fewer.
    """
    indices = np.full((len(rows), k), -1, dtype=np.int32)
    similarities = np.full((len(rows), k), -1.0, dtype=np.float32)
    step = max(1, PAIRS // max(1, candidates.shape[1]))
    width = min(k, candidates.shape[1])
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        names = np.sort(candidates[some], axis=1)
        mine = vectors[rows[some]].astype(np.float64)
        there = vectors[names].astype(np.float64)  # a row for -1 too, left out below
        close = np.vecdot(mine[:, None, :], there).astype(np.float32)
        absent = names < 0
        close[absent] = -np.inf
        order = np.argsort(-close, axis=1, kind="stable")[:, :width]
        absent = np.take_along_axis(absent, order, axis=1)
        names = np.take_along_axis(names, order, axis=1)
        close = np.take_along_axis(close, order, axis=1)
        indices[some, :width] = np.where(absent, -1, names)
        similarities[some, :width] = np.where(absent, np.float32(-1), close)
    return indices, similarities
