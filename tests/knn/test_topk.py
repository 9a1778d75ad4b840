from __future__ import annotations

import numpy as np
import pytest

from ragguard.knn import topk
from ragguard.knn.topk import merge, top_k
from tests.support import slow_twins
from tests.support.slow_twins import halves, units


@pytest.mark.parametrize("k", [1, 5, 30, 80])
def test_ties_at_every_rank_are_broken_by_index(k: int) -> None:
    rng = np.random.default_rng(k)
    queries, base = halves(rng, 25), halves(rng, 60)
    own, groups = rng.integers(0, 8, 25), rng.integers(0, 8, 60)
    indices, similarities = top_k(queries, base, k, own, groups)
    expected = slow_twins.top_k(queries, base, k, own.tolist(), groups.tolist())
    assert indices.tolist() == expected[0]
    assert similarities.tolist() == expected[1]
    assert (indices.dtype, similarities.dtype) == (np.int64, np.float32)


def test_many_copies_of_one_text_do_not_push_out_the_first_of_them() -> None:
    base = np.zeros((50, 4), dtype=np.float32)
    base[:, 0] = 1.0
    groups = np.arange(50)
    indices, _ = top_k(base, base, 3, groups, groups)
    assert indices[10].tolist() == [0, 1, 2]
    assert indices[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("entries", [1, 61, 130, 16_000_000])
def test_blocks_of_any_size_give_the_same_neighbours(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    queries, base = units(rng, 23), units(rng, 60)
    own, groups = np.arange(23), rng.integers(0, 30, 60)
    monkeypatch.setattr(topk, "BLOCK_ENTRIES", entries)
    indices, similarities = top_k(queries, base, 7, own, groups)
    expected = slow_twins.top_k(queries, base, 7, own.tolist(), groups.tolist())
    assert indices.tolist() == expected[0]
    np.testing.assert_allclose(similarities, expected[1], atol=1e-6)


def test_nothing_of_a_query_s_own_group_is_its_neighbour() -> None:
    rng = np.random.default_rng(2)
    rows, groups = units(rng, 40), rng.integers(0, 5, 40)
    indices, _ = top_k(rows, rows, 40, groups, groups)
    for i, row in enumerate(indices):
        present = row[row >= 0]
        assert len(present) == (groups != groups[i]).sum()
        assert (groups[present] != groups[i]).all()


def test_without_queries_or_base_every_place_is_marked_absent() -> None:
    rows, groups = units(np.random.default_rng(3), 4), np.arange(4)
    none, no_group = np.empty((0, 16), dtype=np.float32), np.empty(0, dtype=np.int64)
    assert top_k(none, rows, 3, no_group, groups)[0].shape == (0, 3)
    indices, similarities = top_k(rows, none, 3, groups, no_group)
    assert (indices == -1).all()
    assert (similarities == -1.0).all()


def test_neighbours_leave_their_arguments_as_they_were() -> None:
    rng = np.random.default_rng(4)
    rows, groups = units(rng, 10), np.arange(10)
    before = rows.copy()
    table = top_k(rows, rows, 4, groups, groups)
    kept = (table[0].copy(), table[1].copy())
    merge(table, table, 3)
    assert (rows == before).all()
    assert groups.tolist() == list(range(10))
    assert (table[0] == kept[0]).all()
    assert (table[1] == kept[1]).all()


@pytest.mark.parametrize("k", [1, 4, 9, 12])
def test_merge_agrees_with_its_slow_twin(k: int) -> None:
    rng = np.random.default_rng(k)
    base, groups = halves(rng, 30), np.arange(30)
    queries, own = halves(rng, 8), np.arange(100, 108)
    first = top_k(queries, base[:15], 4, own, groups[:15])
    second = top_k(queries, base[15:], 5, own, groups[15:])
    second = (np.where(second[0] >= 0, second[0] + 15, -1), second[1])
    indices, similarities = merge(first, second, k)
    for i in range(8):
        expected = slow_twins.merge(
            (first[0][i].tolist(), first[1][i].tolist()),
            (second[0][i].tolist(), second[1][i].tolist()),
            k,
        )
        assert (indices[i].tolist(), similarities[i].tolist()) == expected


def test_merging_two_halves_is_searching_the_whole() -> None:
    rng = np.random.default_rng(5)
    base, groups = halves(rng, 40), np.arange(40)
    queries, own = halves(rng, 6), np.arange(100, 106)
    whole = top_k(queries, base, 10, own, groups)
    low = top_k(queries, base[:20], 10, own, groups[:20])
    high = top_k(queries, base[20:], 10, own, groups[20:])
    both = merge(low, (high[0] + 20, high[1]), 10)
    assert (both[0] == whole[0]).all()
    assert (both[1] == whole[1]).all()


@pytest.mark.parametrize("columns", [400, 1_000, 1_023])
def test_of_many_rows_the_nearest_are_found_strip_by_strip_ties_included(columns: int) -> None:
    rng = np.random.default_rng(6)
    base = rng.integers(-3, 4, size=(columns, 3)).astype(np.float32)  # few values, so many ties
    base[::7] = rng.normal(size=(len(base[::7]), 3))
    queries = base[::50]
    groups = np.arange(columns) // 3
    own = groups[::50]
    indices, similarities = top_k(queries, base, 5, own, groups)
    expected = slow_twins.top_k(queries, base, 5, own.tolist(), groups.tolist())
    assert indices.tolist() == expected[0]
    assert similarities == pytest.approx(np.array(expected[1]), abs=1e-5)
