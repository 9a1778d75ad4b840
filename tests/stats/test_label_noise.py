"""Noise: labels against their neighbours, hubs, and neighbours kept."""

from __future__ import annotations

import numpy as np
import pytest

from ragguard.stats.label_vote import (
    Ballots,
    concentration,
    disagreement,
    kept_neighbours,
    skewness,
)


def everybody_votes(n: int) -> Ballots:
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    documents, voters = np.array(pairs, dtype=np.int64).T
    return Ballots(documents, voters, np.ones(len(pairs)))


def test_the_one_whose_label_is_not_its_neighbours_is_odd() -> None:
    codes = np.array([0, 0, 0, 0, 0, 1], dtype=np.int64)
    judged, odd = disagreement(everybody_votes(6), codes, 2, 4)
    assert judged.all()
    assert odd.tolist() == [False] * 5 + [True]


def test_a_document_without_a_label_or_with_few_voters_is_not_judged() -> None:
    codes = np.array([0, 0, 1, -1, -1, -1], dtype=np.int64)
    judged, odd = disagreement(everybody_votes(6), codes, 2, 2)
    assert judged.tolist() == [True, True, True, False, False, False]
    assert odd.tolist() == [False, False, True, False, False, False]
    judged, odd = disagreement(everybody_votes(6), codes, 2, 3)
    assert not judged.any()
    assert not odd.any()


def test_hubs_skew_and_equal_counts_do_not() -> None:
    assert skewness(np.full(20, 10)) == 0.0
    assert skewness(np.empty(0, dtype=np.int64)) == 0.0
    assert skewness(np.array([9] * 19 + [60])) > 3
    assert skewness(np.array([10] * 19 + [0])) < 0


def test_concentration_is_one_where_all_point_one_way() -> None:
    one = np.array([[1, 0], [1, 0]], dtype=np.float32)
    assert concentration(one) == pytest.approx(1.0)
    assert concentration(np.array([[1, 0], [-1, 0]], dtype=np.float32)) == 0.0
    assert concentration(np.empty((0, 0), dtype=np.float32)) == 0.0


def test_neighbours_kept_are_counted_whatever_their_order() -> None:
    before = np.array([[1, 2], [0, 2], [0, -1]])
    after = np.array([[2, 1], [0, 3], [3, -1]])
    assert kept_neighbours(before, before) == 1.0
    assert kept_neighbours(before, after) == pytest.approx((1 + 0.5 + 0) / 3)
    assert kept_neighbours(np.full((2, 2), -1), np.full((2, 2), -1)) == 1.0
