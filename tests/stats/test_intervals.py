from __future__ import annotations

import numpy as np
import pytest

from ragguard.stats.intervals import (
    any_and_all,
    as_body,
    clopper_pearson,
    number_groups,
    share_by_group,
    wilson,
)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (0, 0, 0.0, 1.0)],
)
def test_wilsons_interval_is_that_of_the_textbook(
    hits: int, of: int, low: float, high: float
) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=1e-4)


def test_groups_are_numbered_in_order_of_appearance() -> None:
    assert number_groups(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]


def test_a_share_is_that_of_documents_and_its_interval_that_of_groups() -> None:
    groups = np.repeat(np.arange(20), 5)
    hits = groups % 2 == 0  # documents of a group agree: 20 observations, not 100
    share, (low, high) = share_by_group(hits, groups)
    alone, (inner_low, inner_high) = share_by_group(hits, np.arange(100))
    assert share == alone == 0.5
    assert low < inner_low < 0.5 < inner_high < high


def test_where_all_groups_agree_their_number_says_how_little_that_tells() -> None:
    hits = np.ones(50, dtype=np.bool_)
    assert share_by_group(hits, np.repeat(np.arange(10), 5)) == (1.0, wilson(10, 10))
    assert share_by_group(~hits, np.repeat(np.arange(10), 5)) == (0.0, wilson(0, 10))


def test_any_and_all_of_a_group() -> None:
    hits = np.array([True, False, True, True, False, False])
    some, every = any_and_all(hits, np.array([0, 0, 1, 1, 2, 2]))
    assert some.tolist() == [True, True, False]
    assert every.tolist() == [False, True, False]


def test_a_share_as_json_has_four_digits() -> None:
    assert as_body(1 / 3, (0.0, 2 / 3)) == {"share": 0.3333, "interval": [0.0, 0.6667]}


def test_an_interval_ends_where_nothing_or_everything_was_hit() -> None:
    for of in range(1, 1200):
        assert wilson(0, of)[0] == 0.0
        assert wilson(of, of)[1] == 1.0
        assert 0.0 < wilson(of // 2 + 1, of + 1)[0] < wilson(of // 2 + 1, of + 1)[1] < 1.0


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 20, 0.0, 0.1684), (1, 20, 0.0013, 0.2487), (10, 20, 0.2720, 0.7280), (3, 3, 0.2924, 1.0)],
)
def test_the_exact_interval_is_that_of_the_tables(
    hits: int, of: int, low: float, high: float
) -> None:
    assert clopper_pearson(hits, of) == pytest.approx((low, high), abs=1e-4)


def test_the_exact_interval_knows_nothing_from_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)
