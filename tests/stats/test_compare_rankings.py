"""Overlap, rank-biased overlap and the paired bootstrap, against slow twins and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragguard.stats.compare_rankings import LEAST, overlap, paired_bootstrap, rank_biased_overlap

NAMES = st.lists(st.sampled_from("abcdefghijklmnop"), unique=True, max_size=12)


def long_sum(left: list[str], right: list[str], p: float, ranks: int = 3000) -> float:
    """Equation 4 of Webber et al., summed far out: agreement goes on as it was last seen."""
    short, long = sorted((left, right), key=len)
    s, depth = len(short), len(long)
    if not s:
        return float(not depth)
    total = 0.0
    for d in range(1, ranks + 1):
        if d <= s:
            agreement = len(set(short[:d]) & set(long[:d])) / d
        else:  # the short list, had it gone on, would have agreed as often as up to its end
            seen = min(d, depth)
            at_s = len(set(short) & set(long[:s]))
            agreement = (len(set(short) & set(long[:seen])) + at_s * (seen - s) / s) / seen
        total += p ** (d - 1) * agreement
    return (1 - p) * total


@given(NAMES, NAMES, st.sampled_from([0.5, 0.9, 0.98]))
def test_rank_biased_overlap_is_the_long_sum_of_agreements(
    left: list[str], right: list[str], p: float
) -> None:
    assert rank_biased_overlap(left, right, p) == pytest.approx(long_sum(left, right, p), abs=1e-9)


@given(NAMES, NAMES)
def test_rank_biased_overlap_knows_no_sides_and_stays_in_bounds(
    left: list[str], right: list[str]
) -> None:
    found = rank_biased_overlap(left, right)
    assert found == rank_biased_overlap(right, left)
    assert -1e-12 <= found <= 1 + 1e-12


def test_rank_biased_overlap_of_the_same_is_one_and_of_strangers_none() -> None:
    assert rank_biased_overlap("abcdef", "abcdef") == pytest.approx(1.0)
    assert rank_biased_overlap("abc", "xyz") == 0.0
    assert rank_biased_overlap("", "") == 1.0
    assert rank_biased_overlap("a", "") == 0.0


def test_a_change_at_the_top_weighs_more_than_one_at_the_bottom() -> None:
    assert rank_biased_overlap("abcdefgh", "xbcdefgh") < rank_biased_overlap("abcdefgh", "abcdefgx")


def test_two_names_swapped_by_hand() -> None:
    p = 0.9
    by_hand = (1 - p) / p * (0 * p + 2 / 2 * p**2) + 2 / 2 * p**2
    assert rank_biased_overlap("ab", "ba", p) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("left", "right", "k", "share"),
    [("abcd", "dcba", 4, 1), ("abcd", "dcba", 2, 0), ("abc", "ab", 3, 2 / 3), ("", "", 5, 1)],
)
def test_overlap_counts_what_is_among_the_first(
    left: str, right: str, k: int, share: float
) -> None:
    assert overlap(left, right, k) == pytest.approx(share)


# --- bootstrap ------------------------------------------------------------------------------------


def test_equal_values_differ_by_nothing_and_prove_nothing() -> None:
    values = np.linspace(0, 1, 30)
    found = paired_bootstrap(values, values)
    assert (found.mean, found.low, found.high, found.p_value, found.pairs) == (0, 0, 0, 1, 30)


def test_the_interval_is_that_of_the_textbook_for_many_pairs() -> None:
    rng = np.random.default_rng(1)
    before = rng.random(400)
    after = before + rng.normal(-0.01, 0.1, 400)
    found = paired_bootstrap(before, after)
    half = 1.96 * float((after - before).std()) / math.sqrt(400)
    assert found.mean == pytest.approx(float((after - before).mean()))
    assert found.low == pytest.approx(found.mean - half, abs=0.0015)
    assert found.high == pytest.approx(found.mean + half, abs=0.0015)


def test_the_test_is_wrong_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    zeros = np.zeros(40)
    p_values = [
        paired_bootstrap(zeros, rng.normal(0, 0.2, 40), draws=400).p_value for _ in range(400)
    ]
    assert 0.02 <= np.mean([p is not None and p <= 0.05 for p in p_values]) <= 0.09


def test_a_loss_everywhere_is_no_chance_and_a_gain_no_loss() -> None:
    before = np.linspace(0.3, 0.9, 20)
    worse, better = paired_bootstrap(before, before - 0.1), paired_bootstrap(before, before + 0.1)
    assert worse.p_value == pytest.approx(1 / 10_001)
    assert better.p_value == 1.0
    assert worse.high < 0 < better.low


def test_one_lost_query_of_many_may_be_chance() -> None:
    before = np.ones(50)
    after = before.copy()
    after[3] = 0
    found = paired_bootstrap(before, after)
    assert found.p_value is not None
    assert found.p_value > 0.2


def test_too_few_pairs_say_nothing_of_chance() -> None:
    assert paired_bootstrap(np.ones(LEAST - 1), np.zeros(LEAST - 1)).p_value is None
    assert paired_bootstrap(np.ones(LEAST), np.zeros(LEAST)).p_value is not None
    assert paired_bootstrap(np.ones(0), np.ones(0)).pairs == 0


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    before, after = np.random.default_rng(3).random((2, 25))
    assert paired_bootstrap(before, after, seed=1) == paired_bootstrap(before, after, seed=1)
    assert paired_bootstrap(before, after, seed=1) != paired_bootstrap(before, after, seed=2)
