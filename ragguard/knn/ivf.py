"""Find approximate neighbours of all rows: cells around centres, the likely ones searched.

Rows are dealt to cells by k-means (an inverted file, as in Jégou, Douze, Schmid, "Product
Quantization for Nearest Neighbor Search", PAMI 33 (2011)). A row looks into every cell whose centre
is nearly as close to it as the closest one, within a margin: rows in the middle of a cell look into
one, rows between cells into many. The margin is not guessed: a sample of rows has its exact
neighbours found, and the margin is the one at which enough of those would have been met. All
comparisons are products of matrices, and the rows of a cell are one thread's alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.knn.exact import ROWS, SPARE, NearestSoFar, Rows, in_threads, multiply, settle
from ragguard.model import Bools, Floats, Ints, Progress

ROUNDS = 8  # of k-means
TRAINED = 48  # rows a cell that k-means sees
BLOCK = 4096
COLUMNS = 2048  # of a tile
CROWD = 4
FEWEST = 4  # times k rows are looked at for each row, however close its cell's centre is


@dataclass(frozen=True)
class Cells:
    """Rows in cells.

    Attributes:
        centres: float32 (c, d), unit length.
        owners: int32 (m,), the cell of each row of the base.
    """

    centres: Floats
    owners: Rows

    @property
    def sizes(self) -> Ints:
        """Rows of each cell."""
        return np.bincount(self.owners, minlength=len(self.centres))


def deal(vectors: Floats, base: Ints, count: int, most: int, workers: int) -> Cells:
    """Deal rows to cells.

    Args:
        vectors: float32 (n, d), unit length.
        base: int64 (m,), the rows, ascending.
        count: Cells wanted.
        most: Rows of a cell, at most: where more are too much alike to be told apart, several cells
            have one centre.
        workers: Threads; as many as there are processors if 0.
    """
    rng = np.random.default_rng(0)
    seen = np.sort(rng.choice(base, min(len(base), TRAINED * count), replace=False))
    sample = vectors[seen]
    centres = sample[np.sort(rng.choice(len(sample), count, replace=False))]
    for turn in range(ROUNDS):
        owners = _nearest(sample, None, centres, workers)
        sizes = np.bincount(owners, minlength=count)
        order = np.argsort(owners, kind="stable")
        starts = np.minimum(np.cumsum(sizes) - sizes, len(sample) - 1)
        sums = np.add.reduceat(sample[order], starts, axis=0, dtype=np.float64)
        norms = np.linalg.norm(sums, axis=1)
        good = (sizes > 0) & (norms > 0)
        centres[good] = (sums[good] / norms[good, None]).astype(np.float32)
        if turn < ROUNDS - 2:  # cells that hold next to nothing go where there is too much
            small = np.flatnonzero(sizes < len(sample) / count / 8)
            crowded = np.flatnonzero(sizes[owners] > 2.5 * len(sample) / count)
            if len(crowded):
                centres[small] = sample[rng.choice(crowded, len(small))]
    return _cut(Cells(centres, _nearest(vectors, base, centres, workers)), most)


def _cut(cells: Cells, most: int) -> Cells:
    """Cut cells with too many rows into several with the same centre."""
    centres, owners = [cells.centres], cells.owners.copy()
    count = len(cells.centres)
    for cell in np.flatnonzero(cells.sizes > most):
        rows = np.flatnonzero(cells.owners == cell)
        parts = np.arange(len(rows)) // most
        owners[rows] = np.where(parts == 0, cell, count + parts - 1)
        centres.append(np.repeat(cells.centres[[cell]], parts[-1], axis=0))
        count += int(parts[-1])
    return Cells(np.concatenate(centres), owners)


def _nearest(vectors: Floats, rows: Ints | None, centres: Floats, workers: int) -> Rows:
    n = len(vectors) if rows is None else len(rows)

    def block(start: int) -> Ints:
        some = slice(start, start + BLOCK)
        there = vectors[some] if rows is None else vectors[rows[some]]
        owners: Ints = (there @ centres.T).argmax(axis=1)
        return owners

    return np.concatenate(list(in_threads(block, range(0, n, BLOCK), workers))).astype(np.int32)


def margin_for(
    cells: Cells, queries: Floats, owners: Rows, recall: float, most: int
) -> tuple[float, float]:
    """Return the margin at which enough neighbours are met.

    Args:
        queries: float32 (s, d), sampled rows.
        owners: int32 (s, k), cells of their exact neighbours; -1 where there are fewer.
        recall: Share of the neighbours that must be met.
        most: Rows looked at for each row, at most, on average.

    Returns:
        The margin, and how many rows will be looked at for each, on average.
    """
    close = queries @ cells.centres.T
    lack = close.max(axis=1, keepdims=True) - close
    gaps = np.sort(np.take_along_axis(lack, np.maximum(owners, 0), axis=1)[owners >= 0])
    sizes = cells.sizes.astype(np.float64)
    margin, cost = 0.0, 0.0
    for share in (recall, *np.arange(0.95, 0.0, -0.05)):
        margin = float(gaps[min(len(gaps) - 1, int(share * len(gaps)))])
        cost = float(((lack <= margin) @ sizes).mean())
        if cost <= most:
            break
    return margin, cost


def join(
    vectors: Floats,
    base: Ints,
    cells: Cells,
    margin: float,
    k: int,
    most: int,
    workers: int,
    progress: Progress,
) -> tuple[Rows, Floats]:
    """Find neighbours of all rows of the base among the base.

    Args:
        vectors: float32 (n, d), unit length.
        base: int64 (m,), ascending.
        cells: The base, dealt.
        margin: How much farther than the closest centre a cell's centre may be.
        most: A row looks at no more than `CROWD` times as many others; with `margin_for` this many
            are the average.
        workers: Threads; as many as there are processors if 0.
        progress: Told rows done.

    Returns:
        Positions in the base, int32 (m, k), and similarities float32 (m, k), descending; -1 where
        there are fewer.
    """
    order = np.argsort(cells.owners, kind="stable")
    packed = np.empty((len(base), vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(order), BLOCK):
        packed[start : start + BLOCK] = vectors[base[order[start : start + BLOCK]]]
    sizes = cells.sizes
    ends = np.cumsum(sizes)
    starts = ends - sizes
    near = cells.centres @ cells.centres.T
    blocks = [
        (cell, left, min(int(ends[cell]), left + ROWS))
        for cell in range(len(ends))
        for left in range(int(starts[cell]), int(ends[cell]), ROWS)
    ]

    def block(number: int) -> tuple[int, int, Rows, Floats]:
        cell, left, right = blocks[number]
        queries = packed[left:right]
        looks = _looks(queries @ cells.centres.T, sizes, margin, (FEWEST * k, CROWD * most))
        looks[:, cell] = True
        asked = np.count_nonzero(looks, axis=0)
        targets = np.flatnonzero(asked)
        targets = targets[np.argsort(-near[cell, targets], kind="stable")]
        best = NearestSoFar(right - left, k + SPARE)
        buffer = np.empty(ROWS * COLUMNS, dtype=np.float32)
        for target in [cell, *targets[targets != cell].tolist()]:
            which = None if asked[target] > 0.7 * len(queries) else np.flatnonzero(looks[:, target])
            mine = queries if which is None else queries[which]
            for at in range(int(starts[target]), int(ends[target]), COLUMNS):
                stop = min(int(ends[target]), at + COLUMNS)
                tile, names = multiply(mine, packed[at:stop], np.arange(at, stop), buffer)
                if target == cell:
                    own = np.arange(max(left, at), min(right, stop))
                    tile[own - left, own - at] = -np.inf
                best.offer(tile, names, which)
        return left, right, *settle(packed, np.arange(left, right), best.finish()[0], k)

    indices = np.full((len(base), k), -1, dtype=np.int32)
    similarities = np.full((len(base), k), -1.0, dtype=np.float32)
    rows_done = 0
    for left, right, nearest, values in in_threads(block, range(len(blocks)), workers):
        indices[order[left:right]] = np.where(nearest < 0, -1, order[nearest])
        similarities[order[left:right]] = values
        rows_done += right - left
        progress("neighbours", rows_done, len(base))
    return indices, similarities


def _looks(close: Floats, sizes: Ints, margin: float, bounds: tuple[int, int]) -> Bools:
    """Which cells rows look into: those within the margin, but of no fewer and no more rows."""
    looks: Bools = close >= close.max(axis=1, keepdims=True) - np.float32(margin)
    seen = looks @ sizes
    fewest, most = bounds
    for rows, bound in (
        (np.flatnonzero(seen < fewest), fewest),
        (np.flatnonzero(seen > most), most),
    ):
        order = np.argsort(-close[rows], axis=1, kind="stable")
        before = np.cumsum(sizes[order], axis=1) - sizes[order]
        which, at = np.nonzero(before < bound)
        looks[rows] = False
        looks[rows[which], order[which, at]] = True
    return looks
