"""Find outliers of the local hierarchy: HDBSCAN with GLOSH on the batch and its neighbourhood.

HDBSCAN on a whole corpus in raw dimensions takes minutes; here it runs once for each connected
neighbourhood, capped in size, on a few principal components. Sources: Campello, Moulavi, Zimek,
Sander, "Hierarchical Density Estimates", TKDD 10 (2015), section 6 for GLOSH; McInnes, Healy,
Astels, "hdbscan", JOSS 2 (2017), for the implementation.

Off unless `[checks.glosh] enabled = true`: it cost more than any other check and changed no verdict
on any corpus it was measured on (docs/checks.md). Where `calibrate` finds that it tells poison of
yours, it has a share to give it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Evidence, Ints, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.glosh]."""

    links: int = 5  # nearest neighbours of each zone that connect a chunk to a neighbourhood
    similarity: float = 0.4  # cosine below which two chunks are not neighbours
    cap: int = 300  # largest neighbourhood, in chunks
    dimensions: int = 10  # principal components kept
    min_cluster: int = 4  # smallest cluster
    smallest: int = 16  # neighbourhoods below this are not clustered


@check("glosh", family="isolation", params=Params, unit=0.7, on=False)
def glosh(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by how far below its densest surroundings the hierarchy leaves it.

    Returns:
        Raw scores, float64 (n,), -log(1.01 - GLOSH), from 0 to 4.6; 0 where the neighbourhood is
        too small.

    Raises:
        NotApplicable: No neighbourhood is large enough.
    """
    scores = np.zeros(view.n)
    sizes = np.zeros(view.n, dtype=np.int64)
    for rows in neighbourhoods(view, params.links, params.similarity, params.cap):
        judged = rows < view.n
        if len(rows) < params.smallest or not judged.any():
            continue
        outlier_scores = _outlier_scores(view.vectors[rows], params)
        scores[rows[judged]] = np.maximum(-np.log(1.01 - outlier_scores[judged]), 0.0)
        sizes[rows[judged]] = len(rows)
    if not sizes.any():
        raise NotApplicable("no neighbourhood is large enough to be clustered")

    def explain(row: int) -> Evidence:
        return Evidence(
            f"belongs to no cluster of its neighbourhood of {sizes[row]} chunks "
            f"(outlier score {1.01 - np.exp(-scores[row]):.2f})",
            {"neighbourhood": int(sizes[row])},
        )

    return Signal(scores, explain)


def _outlier_scores(vectors: NDArray[np.float32], params: Params) -> NDArray[np.float64]:
    """GLOSH of the rows, on their first principal components."""
    from hdbscan import HDBSCAN
    from scipy.linalg import eigh

    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    # The first left singular vectors, times their values: of the small matrix of inner products.
    n = len(centred)
    kept = min(params.dimensions, *centred.shape)
    squares, left = eigh(centred @ centred.T, subset_by_index=[n - kept, n - 1])
    reduced = (left * np.sqrt(np.maximum(squares, 0.0)))[:, ::-1]
    model = HDBSCAN(
        min_cluster_size=params.min_cluster,
        min_samples=3,
        algorithm="generic",
        approx_min_span_tree=False,
        core_dist_n_jobs=1,
    )
    raw_scores = np.asarray(model.fit(reduced).outlier_scores_, dtype=np.float64)
    result: NDArray[np.float64] = np.nan_to_num(raw_scores, nan=0.0)
    return result


def neighbourhoods(view: CorpusView, links: int, similarity: float, cap: int) -> Iterator[Ints]:
    """Split the view into connected neighbourhoods.

    Two rows are connected when one is among the other's first `links` neighbours of a zone, at a
    cosine of at least `similarity`. A component above the cap is cut along a breadth-first walk, so
    that what is cut off stays together.

    Args:
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
