"""The table of neighbours of a whole index: `neighbour_table`, `refine`, `update`."""

from __future__ import annotations

import numpy as np
import pytest

from ragguard.knn import exact, graph, identical_rows, ivf
from ragguard.knn.graph import Graph, neighbour_table, refine, update
from tests.support import slow_twins
from tests.support.slow_twins import halves, units


def clustered(rng: np.random.Generator, n: int, groups: int = 40, noise: float = 0.6) -> np.ndarray:
    centres = units(rng, groups, 32)
    rows = centres[rng.integers(groups, size=n)]
    rows = rows + noise / np.sqrt(32) * rng.standard_normal((n, 32))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def all_pairs(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Every similarity in float64, rounded to float32; the whole row sorted."""
    wide = vectors.astype(np.float64)
    close = (wide @ wide.T).astype(np.float32)
    np.fill_diagonal(close, -np.inf)
    names = np.broadcast_to(np.arange(len(vectors)), close.shape)
    order = np.lexsort((names, -close), axis=1)[:, :k]
    return order, np.take_along_axis(close, order, axis=1)


def recall_of(found: Graph, true: np.ndarray) -> float:
    return float((found.similarities >= true[:, -1:]).mean())


@pytest.mark.parametrize("k", [1, 5, 16, 70])
def test_ties_go_to_the_lower_row(k: int) -> None:
    rng = np.random.default_rng(k)
    vectors = halves(rng, 60)
    vectors[40:] = vectors[rng.integers(0, 10, 20)]
    rows = list(range(60))
    expected = slow_twins.top_k(vectors, vectors, k, rows, rows)
    table = neighbour_table(vectors, k)
    assert table.indices.tolist() == expected[0]
    assert table.similarities.tolist() == expected[1]
    assert (table.indices.dtype, table.similarities.dtype) == (np.int32, np.float32)
    assert (table.exact, table.recall, table.recall_interval) == (True, None, None)


@pytest.mark.parametrize(("n", "d"), [(1500, 8), (1100, 48)])
def test_exact_neighbours_are_those_of_all_pairs(n: int, d: int) -> None:
    """More rows than a tile has, so that tiles meet and the last one is filled up."""
    vectors = units(np.random.default_rng(n), n, d)
    table = neighbour_table(vectors, 12)
    indices, similarities = all_pairs(vectors, 12)
    assert (table.indices == indices).all()
    assert (table.similarities == similarities).all()


def test_what_float32_cannot_tell_apart_is_told_apart() -> None:
    rng = np.random.default_rng(3)
    vectors = units(rng, 1, 384) + np.float32(2e-4) * rng.standard_normal((120, 384))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    vectors = np.concatenate([vectors, units(rng, 900, 384)])
    table = neighbour_table(vectors, 4)
    indices, similarities = all_pairs(vectors, 4)
    assert (table.similarities == similarities).all()
    assert (table.indices == indices).all()


def test_many_rows_at_the_same_distance_are_taken_in_order() -> None:
    vectors = np.eye(1200, 1200, dtype=np.float32)
    table = neighbour_table(vectors, 3)
    assert table.indices[0].tolist() == [1, 2, 3]
    assert table.indices[1].tolist() == [0, 2, 3]
    assert table.indices[1199].tolist() == [0, 1, 2]


def test_a_row_is_never_its_own_neighbour() -> None:
    rng = np.random.default_rng(4)
    vectors = clustered(rng, 2600)
    vectors[rng.integers(2600, size=400)] = vectors[7]
    every = np.arange(2600)[:, None]
    assert (neighbour_table(vectors, 10).indices != every).all()
    assert (neighbour_table(vectors, 10, exact_below=0).indices != every).all()
    assert (refine(vectors, np.array([7, 9]), 10)[0] != np.array([[7], [9]])).all()


def test_a_flood_of_copies_is_the_neighbourhood_of_each_copy() -> None:
    rng = np.random.default_rng(5)
    vectors = np.concatenate([units(rng, 300), np.repeat(units(rng, 1), 900, axis=0)])
    table = neighbour_table(vectors, 8)
    indices, similarities = all_pairs(vectors, 8)
    assert (table.indices == indices).all()
    assert (table.similarities == similarities).all()
    assert table.indices[700].tolist() == list(range(300, 308))


def test_copies_do_not_count_as_rows_that_must_be_compared() -> None:
    """A million copies of few rows are compared exactly: the work is that of the few."""
    rng = np.random.default_rng(6)
    vectors = units(rng, 50)[rng.integers(50, size=6000)]
    table = neighbour_table(vectors, 4, exact_below=5000)
    assert table.exact
    copies = (vectors[table.indices] == vectors[:, None, :]).all(axis=2)
    assert copies.all()


def test_rows_whose_prints_collide_are_no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    distinct = units(rng, 30)
    vectors = distinct[rng.integers(30, size=200)]

    class Blind:
        def integers(self, *_args: object, size: int, dtype: type) -> np.ndarray:
            return np.zeros(size, dtype=dtype)

    found = identical_rows.find_twins(vectors)
    assert len(found.first) == 30
    with monkeypatch.context() as patch:
        patch.setattr(identical_rows.np.random, "default_rng", lambda _seed: Blind())
        collided = identical_rows.find_twins(np.roll(distinct, 1, axis=1))
    assert len(collided.first) == 30


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_fewer_rows_than_neighbours_leave_the_rest_empty(n: int) -> None:
    vectors = units(np.random.default_rng(n), n) if n else np.zeros((0, 16), dtype=np.float32)
    table = neighbour_table(vectors, 5)
    assert table.indices.shape == table.similarities.shape == (n, 5)
    for row in range(n):
        assert sorted(table.indices[row, : n - 1].tolist()) == [r for r in range(n) if r != row]
    assert (table.indices[:, max(0, n - 1) :] == -1).all()
    assert (table.similarities[:, max(0, n - 1) :] == -1).all()


def test_a_permutation_of_the_rows_permutes_the_answers() -> None:
    rng = np.random.default_rng(8)
    vectors = units(rng, 1300, 24)
    order = rng.permutation(1300)
    place = np.argsort(order)  # where each row went
    straight, shuffled = neighbour_table(vectors, 9), neighbour_table(vectors[order], 9)
    assert (place[straight.indices[order]] == shuffled.indices).all()
    assert (straight.similarities[order] == shuffled.similarities).all()


@pytest.mark.parametrize("kind", ["clustered", "random", "copies"])
def test_the_recall_that_is_reported_is_the_recall_there_is(kind: str) -> None:
    rng = np.random.default_rng(9)
    vectors = units(rng, 2500, 12) if kind == "random" else clustered(rng, 2500)
    if kind == "copies":
        vectors = np.concatenate([vectors, vectors[rng.integers(2500, size=700)]])
    table = neighbour_table(vectors, 10, exact_below=0)
    true = recall_of(table, all_pairs(vectors, 10)[1])
    assert not table.exact
    assert table.recall is not None
    assert table.recall_interval is not None
    assert true >= 0.98
    assert table.recall == pytest.approx(true, abs=0.01)
    assert table.recall_interval[0] <= table.recall <= table.recall_interval[1]


def test_similarities_of_an_approximate_table_are_those_of_its_indices() -> None:
    vectors = clustered(np.random.default_rng(10), 2500, groups=300, noise=0.1)
    table = neighbour_table(vectors, 6, exact_below=0)
    assert (table.indices >= 0).all(), "small cells, and rows enough around them"
    wide = vectors.astype(np.float64)
    close = np.einsum("id,ikd->ik", wide, wide[table.indices])
    np.testing.assert_allclose(table.similarities, close, atol=1e-6)
    assert (np.diff(table.similarities, axis=1) <= 0).all()


def test_a_bound_on_the_work_costs_recall_and_says_so() -> None:
    vectors = units(np.random.default_rng(11), 2500, 64)
    table = neighbour_table(vectors, 10, exact_below=0, most=400)
    hits = (table.similarities >= all_pairs(vectors, 10)[1][:, -1:]).mean(axis=1)
    # The rows of the sample end with their exact neighbours: these say nothing of the others.
    others = np.sort(hits)[: -graph.SAMPLED].mean()
    assert table.recall is not None
    assert table.recall < 0.9
    assert table.recall == pytest.approx(others, abs=0.05)


def test_a_flood_of_rows_that_are_nearly_copies_does_not_square_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(14)
    flood = np.repeat(units(rng, 1, 32), 3000, axis=0)
    flood += np.float32(3e-8) * rng.standard_normal(flood.shape, dtype=np.float32)
    order = rng.permutation(5500)
    vectors = np.concatenate([clustered(rng, 2500), flood])[order]
    assert len(np.unique(flood, axis=0)) > 2000, "copies would be looked for once"
    compared = []

    def counted(*tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compared.append(len(tile[0]) * len(tile[1]))
        return exact.multiply(*tile)

    monkeypatch.setattr(ivf, "multiply", counted)
    table = neighbour_table(vectors, 5, exact_below=0, most=100)
    assert (table.indices >= 0).all()
    assert sum(compared) < len(vectors) * 400
    alike = np.flatnonzero(order >= 2500)
    assert np.isin(table.indices[alike], alike).mean() > 0.99


def test_an_approximate_table_is_the_same_twice_and_with_any_number_of_threads() -> None:
    vectors = clustered(np.random.default_rng(12), 2500)
    one = neighbour_table(vectors, 6, exact_below=0, workers=1)
    three = neighbour_table(vectors, 6, exact_below=0, workers=3)
    assert (one.indices == three.indices).all()
    assert one.recall == three.recall


def test_refined_rows_have_their_exact_neighbours() -> None:
    rng = np.random.default_rng(13)
    vectors = units(rng, 2500, 64)
    vectors[100:120] = vectors[3]
    rows = np.array([3, 2499, 110, *range(500, 540)])
    indices, similarities = refine(vectors, rows, 15)
    expected = all_pairs(vectors, 15)
    assert (indices == expected[0][rows]).all()
    assert (similarities == expected[1][rows]).all()


def changed(
    rng: np.random.Generator, vectors: np.ndarray, gone: int, came: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows taken out and put in, shuffled; and where each row was."""
    kept = rng.permutation(len(vectors))[gone:]
    new = clustered(rng, came) if vectors.shape[1] == 32 else units(rng, came, vectors.shape[1])
    new[: came // 2] = new[: came // 2] * 0.3 + vectors[: came // 2]  # close to old ones
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    rows = np.concatenate([vectors[kept], new])
    origin = np.concatenate([kept, np.full(came, -1)])
    order = rng.permutation(len(rows))
    return rows[order], origin[order]


@pytest.mark.parametrize(("gone", "came"), [(0, 0), (0, 30), (25, 0), (40, 60)])
def test_an_exact_table_that_is_carried_over_is_exact(gone: int, came: int) -> None:
    rng = np.random.default_rng(gone + came)
    vectors = units(rng, 900, 20)
    rows, origin = changed(rng, vectors, gone, came)
    carried = update(neighbour_table(vectors, 7), rows, origin)
    fresh = neighbour_table(rows, 7)
    assert carried.exact
    assert (carried.indices == fresh.indices).all()
    assert (carried.similarities == fresh.similarities).all()


def test_a_changed_vector_is_a_row_that_went_and_one_that_came() -> None:
    rng = np.random.default_rng(20)
    vectors = units(rng, 400, 20)
    rows, origin = vectors.copy(), np.arange(400)
    rows[17], origin[17] = units(rng, 1, 20)[0], -1
    carried = update(neighbour_table(vectors, 7), rows, origin)
    assert (carried.indices == neighbour_table(rows, 7).indices).all()


def test_an_approximate_table_keeps_its_promise_when_carried_over() -> None:
    rng = np.random.default_rng(21)
    vectors = clustered(rng, 2500)
    rows, origin = changed(rng, vectors, 50, 50)
    before = neighbour_table(vectors, 10, exact_below=0)
    carried = update(before, rows, origin)
    indices, similarities = all_pairs(rows, 10)
    true = recall_of(carried, similarities)
    assert not carried.exact
    assert true >= 0.98
    assert carried.recall == pytest.approx(true, abs=0.01)
    new = origin < 0
    assert (carried.indices[new] == indices[new]).all(), "new rows are compared with all"
    gone = np.setdiff1d(np.arange(2500), origin)
    lost = np.isin(before.indices[np.maximum(origin, 0)], gone).any(axis=1) & ~new
    assert lost.sum() > 100
    assert (carried.indices >= 0).all()
    assert (carried.similarities[lost] >= similarities[lost, -1:]).mean() > 0.97


def test_the_vectors_are_left_as_they_were() -> None:
    vectors = clustered(np.random.default_rng(22), 2500)
    before = vectors.copy()
    neighbour_table(vectors, 5, exact_below=0)
    refine(vectors, np.array([1]), 5)
    assert (vectors == before).all()


def test_progress_reaches_the_number_of_rows() -> None:
    seen: list[tuple[str, int, int]] = []
    vectors = clustered(np.random.default_rng(23), 2500)
    neighbour_table(vectors, 5, exact_below=0, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("neighbours", 2500, 2500)
    assert {stage for stage, _, _ in seen} == {"cells", "neighbours"}


@pytest.mark.parametrize("width", [1, 3, 40])
def test_the_best_of_a_row_are_kept_whatever_comes_first(width: int) -> None:
    rng = np.random.default_rng(width)
    values = rng.choice(rng.standard_normal(300).astype(np.float32), (7, 960))
    best = exact.NearestSoFar(7, width)
    for start in range(0, 960, 96):
        columns = np.arange(start, start + 96, dtype=np.int32)
        best.offer(np.ascontiguousarray(values[:, start : start + 96]), columns)
    indices, found = best.finish()
    order = np.lexsort((np.broadcast_to(np.arange(960), values.shape), -values), axis=1)
    assert (np.sort(found, axis=1)[:, ::-1] == found).all()
    assert (found == np.take_along_axis(values, order[:, :width], axis=1)).all()
    assert (np.take_along_axis(values, indices.astype(np.int64), axis=1) == found).all()


# --- what is read from tables ---------------------------------------------------------------------


def test_occurrence_counts_the_lists_a_row_is_in() -> None:
    indices = np.array([[1, 2], [2, -1], [1, -1], [2, 1]], dtype=np.int32)
    assert graph.occurrence(indices, 5).tolist() == [0, 3, 3, 0, 0]
    vectors = clustered(np.random.default_rng(24), 500)
    table = neighbour_table(vectors, 6)
    assert graph.occurrence(table.indices, 500).sum() == 500 * 6


@pytest.mark.parametrize("least", [-1.0, 0.5, 0.75, 0.999])
def test_components_are_those_of_mutual_links(least: float) -> None:
    table = neighbour_table(clustered(np.random.default_rng(25), 300), 4)
    lists = [
        {int(j) for j, s in zip(*row, strict=True) if s >= np.float32(least)}
        for row in zip(table.indices, table.similarities, strict=True)
    ]
    edges = [(i, j) for i in range(300) for j in lists[i] if i in lists[j]]
    number = graph.components(table.indices, table.similarities, least)
    found = sorted(np.flatnonzero(number == g).tolist() for g in range(number.max() + 1))
    alone = [[i] for i in range(300) if i not in {e for edge in edges for e in edge}]
    assert found == sorted(slow_twins.components(300, edges) + alone)
    assert (np.diff(np.unique(number, return_index=True)[1]) > 0).all()


def test_a_one_sided_link_is_none() -> None:
    indices = np.array([[1], [2], [1]], dtype=np.int32)
    close = np.array([[0.9], [0.9], [0.9]], dtype=np.float32)
    assert graph.components(indices, close, 0.5).tolist() == [0, 1, 1]
    assert graph.components(indices, close, 0.95).tolist() == [0, 1, 2]
