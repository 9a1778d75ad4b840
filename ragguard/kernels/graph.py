"""Connected neighbourhoods of the judged chunks, capped in size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ragguard.model import CorpusView, Ints


def neighbourhoods(view: CorpusView, links: int, similarity: float, cap: int) -> Iterator[Ints]:
    """Split the view into connected neighbourhoods.

    Two rows are connected when one is among the other's first `links` neighbours of a zone, at a
    cosine of at least `similarity`. A component above the cap is cut along a breadth-first walk, so
    that what is cut off stays together.

    Args:
        view: The view.
        links: Neighbours of each zone that count.
        similarity: Least cosine.
        cap: Largest neighbourhood, in rows.

    Yields:
        int64 row numbers, ascending, judged and context rows; every judged row once at most.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    m = len(view.texts)
    tables = (view.reference, view.newcomers)
    left = np.concatenate(
        [np.repeat(np.arange(view.n), t.indices[:, :links].shape[1]) for t in tables]
    )
    right = np.concatenate([t.indices[:, :links].ravel() for t in tables])
    close = np.concatenate([t.similarities[:, :links].ravel() for t in tables])
    kept = (right >= 0) & (close >= similarity)
    left, right = left[kept], right[kept]
    graph = csr_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(m, m))
    _, component = connected_components(graph, directed=False)
    order = np.argsort(component, kind="stable")
    starts = np.flatnonzero(np.diff(component[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        if len(group) == 1:
            continue
        if len(group) <= cap:
            yield np.sort(group)
            continue
        walk = breadth_first_order(graph, int(group[0]), directed=False, return_predecessors=False)
        for start in range(0, len(walk), cap):
            yield np.sort(walk[start : start + cap].astype(np.int64))
