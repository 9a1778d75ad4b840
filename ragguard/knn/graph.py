"""Build the neighbour table of a whole index that all parts of an audit share.

`neighbour_table` finds the nearest of every row: exactly where that is quick, else approximately,
with the recall measured against the exact neighbours of a sample. `refine` gives the exact
neighbours of chosen rows, so that nobody is accused on an approximation. `update` carries a table
over to a changed index. Below them, what is read from tables: how often a row is a neighbour, which
rows hang together.

Similarities are cosines of unit vectors, computed in float64 and rounded to float32; ties go to
the lower row; a row is never its own neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.knn import ivf as inverted
from ragguard.knn.exact import SPARE, Rows, scan, settle
from ragguard.knn.identical_rows import find_twins, spread
from ragguard.model import Floats, Ints, Progress
from ragguard.stats.intervals import share_by_group

EXACT_BELOW = 50_000  # half a minute on two processors
RECALL = 0.995  # aimed at, so that 0.98 can be promised
MOST = 50_000  # rows compared with each row, on average, where the aim would need more
SAMPLED = 512  # rows whose exact neighbours set the margin, and as many that measure the recall


@dataclass(frozen=True)
class Graph:
    """The nearest rows of every row.

    Attributes:
        indices: int32 (n, k), -1 where there are fewer.
        similarities: float32 (n, k), cosine, descending; -1 where there are fewer.
        exact: Whether these are the nearest beyond doubt.
        recall: Share in [0, 1] of a sample's true neighbours that were found; `None` if exact.
        recall_interval: 95 % interval of it.
    """

    indices: Rows
    similarities: Floats
    exact: bool
    recall: float | None = None
    recall_interval: tuple[float, float] | None = None


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def neighbour_table(
    vectors: Floats,
    k: int,
    *,
    exact_below: int = EXACT_BELOW,
    most: int = MOST,
    workers: int = 0,
    progress: Progress = _silent,
) -> Graph:
    """Find all neighbours of all rows.

    Args:
        vectors: float32 (n, d), unit length, finite; may be mapped from disk.
        k: Neighbours, at least one.
        exact_below: Distinct rows from which on neighbours are approximate.
        most: Rows compared with each row, at most, on average; with any one row at most four times
            as many. It keeps vectors without structure, or all alike, from taking hours; the recall
            says what that cost.
        workers: Threads; as many as there are processors if 0.
        progress: Told stage, rows done and rows in all.
    """
    every = np.arange(len(vectors))
    twins = find_twins(vectors)
    base = twins.first
    if len(base) < max(exact_below, 4 * SAMPLED, 2 * k):
        table = _exactly(vectors, base, base, k, workers, progress)
        return Graph(*spread(twins, vectors, every, _of(table, twins.group)), exact=True)
    table, sample, truth = _nearly(vectors, base, k, most, workers, progress)
    share, interval = _measure(table[1][sample], truth[1])
    table[0][sample], table[1][sample] = truth  # they are known now
    spread_out = spread(twins, vectors, every, _of(table, twins.group))
    return Graph(*spread_out, exact=False, recall=share, recall_interval=interval)


def refine(
    vectors: Floats, rows: Ints, k: int, *, workers: int = 0, progress: Progress = _silent
) -> tuple[Rows, Floats]:
    """Exact neighbours of chosen rows among all.

    Args:
        vectors: float32 (n, d), unit length, finite.
        rows: int64 (r,), whose neighbours.
        workers: Threads; as many as there are processors if 0.
        progress: Told stage, rows done and rows in all.

    Returns:
        Indices int32 (r, k), -1 where there are fewer, and similarities float32 (r, k), descending,
        -1 where there are fewer.
    """
    twins = find_twins(vectors)
    groups, place = np.unique(twins.group[rows], return_inverse=True)
    table = _exactly(vectors, twins.first[groups], twins.first, k, workers, progress)
    return spread(twins, vectors, np.asarray(rows, dtype=np.int64), _of(table, place))


def update(
    before: Graph,
    vectors: Floats,
    origin: Ints,
    *,
    workers: int = 0,
    progress: Progress = _silent,
) -> Graph:
    """Carry a table over to an index in which rows came and went.

    New rows are compared with all. Rows that lost a neighbour are compared with all where the table
    is exact; else with the neighbours of their neighbours.

    Args:
        before: The old table.
        vectors: float32 (n, d), the rows of now, unit length, finite.
        origin: int64 (n,), where each row was in the old table; -1 where it is new.
        workers: Threads; as many as there are processors if 0.
        progress: Told stage, rows done and rows in all.
    """
    k = before.indices.shape[1]
    table, short = _carry(before, origin)
    old, new = np.flatnonzero(origin >= 0), np.flatnonzero(origin < 0)
    every = np.arange(len(vectors))
    fresh = _exactly(vectors, new, every, k, workers, progress)
    # A new row enters the list of a row to which it is closer than the last one in it.
    floors = table[1][old, -1]
    for some, nearest, _ in scan(vectors, old, new, k, floors=floors, workers=workers):
        hit = np.flatnonzero(nearest[:, 0] >= 0)
        rows = old[some][hit]
        entered = np.concatenate([table[0][rows], nearest[hit]], axis=1)
        table[0][rows], table[1][rows] = settle(vectors, rows, entered, k)
        progress("changed", some.stop, len(old))
    table[0][new], table[1][new] = fresh
    if before.exact:
        table[0][short], table[1][short] = _exactly(vectors, short, every, k, workers, progress)
        return Graph(*table, exact=True)
    _second_hand(vectors, short, table)
    sample = np.random.default_rng(2).choice(len(vectors), min(SAMPLED, len(vectors)), False)
    truth = _exactly(vectors, sample, every, k, workers, _silent)
    share, interval = _measure(table[1][sample], truth[1])
    table[0][sample], table[1][sample] = truth
    return Graph(*table, exact=False, recall=share, recall_interval=interval)


def occurrence(indices: Rows, n: int) -> Ints:
    """Count how many lists of neighbours each row is in: its k-occurrence.

    Radovanović, Nanopoulos, Ivanović, "Hubs in Space", JMLR 11 (2010).

    Args:
        indices: int32 (m, k), -1 where there is none.
        n: Rows that may be named.

    Returns:
        int64 (n,); the mean is k, a hub is far above it.
    """
    return np.bincount(indices[indices >= 0], minlength=n).astype(np.int64)


def components(indices: Rows, similarities: Floats, least: float) -> Ints:
    """Group rows that hang together by mutual neighbours.

    Two rows are linked when each is in the other's list, at a similarity of at least `least`.

    Args:
        indices: int32 (n, k), -1 where there is none.
        similarities: float32 (n, k).
        least: Least cosine.

    Returns:
        int64 (n,), the group of each row, numbered in order of their first rows.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(indices)
    left, at = np.nonzero((indices >= 0) & (similarities >= np.float32(least)))
    links = csr_matrix((np.ones(len(left), dtype=np.int8), (left, indices[left, at])), shape=(n, n))
    graph = links.multiply(links.T)
    _, labels = connected_components(graph, directed=False)
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    groups: Ints = rank[number]
    return groups


def _empty(rows: int, k: int) -> tuple[Rows, Floats]:
    return np.full((rows, k), -1, dtype=np.int32), np.full((rows, k), -1.0, dtype=np.float32)


def _of(table: tuple[Rows, Floats], rows: Ints) -> tuple[Rows, Floats]:
    return table[0][rows], table[1][rows]


def _exactly(
    vectors: Floats, rows: Ints, base: Ints, k: int, workers: int, progress: Progress
) -> tuple[Rows, Floats]:
    """Exact neighbours of rows among the base, as row numbers."""
    indices, similarities = _empty(len(rows), k)
    for some, nearest, _ in scan(vectors, rows, base, k + SPARE, workers=workers):
        indices[some], similarities[some] = settle(vectors, rows[some], nearest, k)
        progress("neighbours", some.stop, len(rows))
    return indices, similarities


def _nearly(
    vectors: Floats, base: Ints, k: int, most: int, workers: int, progress: Progress
) -> tuple[tuple[Rows, Floats], Ints, tuple[Rows, Floats]]:
    """Approximate neighbours among the base; a sample of positions, and their exact neighbours."""
    chosen = np.random.default_rng(1).choice(len(base), 2 * SAMPLED, replace=False)
    truth = _exactly(vectors, base[chosen], base, k, workers, _silent)
    progress("cells", 0, 1)
    dealt = inverted.deal(vectors, base, round(2 * len(base) ** 0.5), most, workers)
    progress("cells", 1, 1)
    pilot = slice(0, SAMPLED)
    near = truth[0][pilot]
    owners = np.where(near < 0, -1, dealt.owners[np.searchsorted(base, near)])
    margin, _ = inverted.margin_for(dealt, vectors[base[chosen[pilot]]], owners, RECALL, most)
    indices, similarities = inverted.join(vectors, base, dealt, margin, k, most, workers, progress)
    rows = np.where(indices < 0, -1, base[indices]).astype(np.int32)
    # The rows that set the margin are not those that say how well it did.
    kept = slice(SAMPLED, None)
    return (rows, similarities), chosen[kept], (truth[0][kept], truth[1][kept])


def _measure(found: Floats, true: Floats) -> tuple[float, tuple[float, float]]:
    """Share of true neighbours found; what is as close as the last true one is one of them."""
    hits = found >= true[:, -1:]
    return share_by_group(hits.ravel(), np.repeat(np.arange(len(hits)), hits.shape[1]))


def _carry(before: Graph, origin: Ints) -> tuple[tuple[Rows, Floats], Ints]:
    """Old lists under new numbers, without what is gone; and the rows that lost somebody."""
    k = before.indices.shape[1]
    old = np.flatnonzero(origin >= 0)
    now = np.full(len(before.indices) + 1, -1, dtype=np.int32)  # the last one stands for nobody
    now[origin[old]] = old
    named = before.indices[origin[old]]
    indices, similarities = _empty(len(origin), k)
    kept = now[named]
    lost = (kept < 0) & (named >= 0)
    close = np.where(kept < 0, np.float32(-1), before.similarities[origin[old]])
    # What is left moves up, and new numbers may order ties otherwise than the old ones did.
    turned = (close[:, 1:] == close[:, :-1]) & (kept[:, 1:] < kept[:, :-1])
    rows = np.flatnonzero(lost.any(axis=1) | turned.any(axis=1))
    last = np.where(kept[rows] < 0, np.iinfo(np.int32).max, kept[rows])
    order = np.lexsort((last, -close[rows]), axis=1)
    kept[rows] = np.take_along_axis(kept[rows], order, axis=1)
    close[rows] = np.take_along_axis(close[rows], order, axis=1)
    indices[old], similarities[old] = kept, close
    return (indices, similarities), old[lost.any(axis=1)]


def _second_hand(vectors: Floats, rows: Ints, table: tuple[Rows, Floats]) -> None:
    """Fill the lists of some rows, in place, from the lists of those that are in them."""
    k = table[0].shape[1]
    for some in np.array_split(rows, len(rows) // 4096 + 1):
        direct = table[0][some]
        further = np.where(direct[:, :, None] < 0, -1, table[0][direct])
        names = np.concatenate([direct, further.reshape(len(some), k * k)], axis=1)
        names[names == some[:, None]] = -1
        names.sort(axis=1)
        names[:, 1:][names[:, 1:] == names[:, :-1]] = -1
        table[0][some], table[1][some] = settle(vectors, some, names, k)
