from __future__ import annotations

from itertools import combinations
from math import comb, log, sqrt

import numpy as np
import pytest
from scipy import stats

from ragguard.stats import two_sample
from ragguard.stats.two_sample import NO_SHIFT
from tests.support.slow_twins import energy_coefficient, energy_distance


def rows(seed: int, n: int, d: int = 3, moved: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((n, d)) + moved).astype(np.float32)


def test_energy_is_that_of_its_twin() -> None:
    before, after = rows(0, 9), rows(1, 6, moved=1.5)
    expected = energy_coefficient(before.tolist(), after.tolist())
    assert expected > 0.3
    assert two_sample.energy(before, after) == pytest.approx(expected, abs=1e-6)
    assert two_sample.energy_shift(before, after).effect == pytest.approx(expected, abs=1e-6)


def test_the_permutation_test_approaches_the_exact_one() -> None:
    """All 462 ways to choose 5 of 11 rows, against random ones."""
    before, after = rows(2, 6), rows(3, 5, moved=1.6)
    every = np.concatenate([before, after]).tolist()
    seen = energy_distance(every[:6], every[6:])
    farther = 0
    for chosen in combinations(range(11), 5):
        left = [every[i] for i in range(11) if i not in chosen]
        farther += energy_distance(left, [every[i] for i in chosen]) >= seen - 1e-12
    exact = farther / comb(11, 5)
    assert 0.002 < exact < 0.05
    assert two_sample.energy_shift(before, after).p_value == pytest.approx(exact, rel=0.4)


def test_honest_p_values_are_uniform() -> None:
    found = [
        two_sample.energy_shift(rows(i, 30), rows(1000 + i, 12), seed=i).p_value for i in range(200)
    ]
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=2.5 * 0.035)


def test_far_samples_have_a_p_value_that_hundreds_of_tests_cannot_raise() -> None:
    found = two_sample.energy_shift(rows(0, 40), rows(1, 40, moved=9.0))
    assert found.p_value < 1e-7
    assert found.effect > 0.8


@pytest.mark.parametrize("d", [1, 8])
def test_the_tail_beyond_the_permutations_is_no_smaller_than_the_true_one(d: int) -> None:
    """Where one in a thousand of 20,000 permutations is as far apart, it says one to ten in one."""
    rng = np.random.default_rng(d)
    distances = two_sample._distances(rows(d, 60, d))
    true = np.quantile(two_sample._permuted(distances, 15, 20_000, rng), 0.999)
    found = two_sample._tail(float(true), two_sample._permuted(distances, 15, 4999, rng))
    assert 0.001 < found < 0.01


def test_equal_rows_everywhere_are_no_shift() -> None:
    same = np.ones((8, 4), dtype=np.float32)
    assert two_sample.energy_shift(same, same[:5]) == NO_SHIFT


def test_two_different_constants_are_as_far_apart_as_can_be() -> None:
    before = np.zeros((20, 2), dtype=np.float32)
    assert two_sample.energy(before, before + 3) == pytest.approx(1.0)


@pytest.mark.parametrize(("n", "m"), [(1, 20), (20, 1), (0, 20), (20, 0)])
def test_one_row_is_no_sample(n: int, m: int) -> None:
    assert two_sample.energy_shift(rows(0, n), rows(1, m, moved=5.0)) == NO_SHIFT


def test_order_and_input_are_left_alone() -> None:
    before, after = rows(0, 20), rows(1, 20, moved=0.5)
    copies = before.copy(), after.copy()
    found = two_sample.energy_shift(before, after)
    assert two_sample.energy_shift(before[::-1], after[::-1]).effect == pytest.approx(found.effect)
    np.testing.assert_array_equal(np.stack([before, after]), np.stack(copies))


def test_projection_keeps_distances_and_is_the_same_every_night() -> None:
    wide = rows(0, 40, 384)
    made = two_sample.project(wide, 64)
    assert made.shape == (40, 64)
    np.testing.assert_array_equal(made, two_sample.project(wide.copy(), 64))
    ratio = np.linalg.norm(made[:20] - made[20:], axis=1) / np.linalg.norm(
        wide[:20] - wide[20:], axis=1
    )
    assert ratio.mean() == pytest.approx(1.0, abs=0.05)
    assert (abs(ratio - 1.0) < 0.35).all()


def test_few_dimensions_are_not_projected() -> None:
    narrow = rows(0, 5, 8)
    made = two_sample.project(narrow, 64)
    np.testing.assert_array_equal(made, narrow)
    assert made is not narrow


def test_shares_are_compared_by_chi_square() -> None:
    before, after = np.array([60, 40, 50]), np.array([30, 45, 60])
    expected = stats.chi2_contingency(np.stack([before, after]), correction=False)
    found = two_sample.share_shift(before, after)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.effect == pytest.approx(sqrt(expected.statistic / 285))


def test_rare_labels_are_compared_exactly() -> None:
    """Twice the tail of Fisher's test, for each of two labels."""
    before, after = np.array([12, 4]), np.array([2, 5])
    tail = stats.fisher_exact(np.stack([before, after]), alternative="greater").pvalue
    assert 0.01 < tail < 0.1
    assert two_sample.share_shift(before, after).p_value == pytest.approx(4 * tail)
    assert two_sample.share_shift(before[::-1], after[::-1]).p_value == pytest.approx(4 * tail)


def test_many_labels_of_one_document_each_do_not_surprise() -> None:
    before = np.array([500, *[1] * 50, *[0] * 50])
    assert two_sample.share_shift(before, np.array([500, *[0] * 50, *[1] * 50])).p_value == 1.0
    found = two_sample.share_shift(before, np.array([500, *[0] * 50, 20, *[1] * 49]))
    assert found.p_value < 1e-3


@pytest.mark.parametrize(
    ("before", "after"),
    [([0, 0], [5, 5]), ([5, 5], [0, 0]), ([90], [10]), ([], [])],
)
def test_too_few_labels_say_nothing(before: list[int], after: list[int]) -> None:
    found = two_sample.share_shift(
        np.array(before, dtype=np.int64), np.array(after, dtype=np.int64)
    )
    assert found == NO_SHIFT


def test_scores_that_rose_are_said_to_have_risen() -> None:
    before = np.linspace(0, 1, 200)
    found, moved = two_sample.score_shift(before, before + 0.3)
    assert found.effect == pytest.approx(0.3, abs=0.01)
    assert found.p_value < 1e-6
    assert moved == pytest.approx(0.3)
    assert two_sample.score_shift(before + 0.3, before)[1] == pytest.approx(-0.3)
    assert two_sample.score_shift(before, before) == (NO_SHIFT, 0.0)
    assert two_sample.score_shift(before[:0], before) == (NO_SHIFT, 0.0)


def test_honest_counts_rarely_surprise() -> None:
    """Poisson counts after ten others: the 1 % limit is passed at most that often."""
    rng = np.random.default_rng(0)
    ones = np.ones(10)
    found = [
        two_sample.burst(int(rng.poisson(20)), 1.0, rng.poisson(20, 10).astype(float), ones).p_value
        for _ in range(2000)
    ]
    assert np.mean(np.array(found) <= 0.01) <= 0.01
    assert np.mean(np.array(found) <= 0.2) > 0.02  # and they are no constants


def test_five_times_as_many_as_usual_surprise() -> None:
    usual = np.array([18.0, 22, 20, 25, 16, 20, 19, 21, 23, 17])
    found = two_sample.burst(100, 1.0, usual, np.ones(10))
    assert found.p_value < 1e-4
    assert found.effect == pytest.approx(log(100 / 20), abs=0.1)
    assert (
        two_sample.burst(100, 5.0, usual, np.ones(10)).p_value > 0.2
    )  # in five days it is as usual


def test_one_burst_does_not_excuse_the_next() -> None:
    usual = np.array([2.0, 1, 3, 2, 500, 2, 1, 2, 3, 2])
    assert two_sample.burst(400, 1.0, usual, np.ones(10)).p_value < 1e-6


def test_a_weekly_delivery_is_no_burst() -> None:
    weeks = np.array([0, 0, 0, 0, 0, 0, 50.0] * 4)
    assert two_sample.burst(50, 1.0, weeks, np.ones(28)).p_value > 0.02
    assert two_sample.burst(2000, 1.0, weeks, np.ones(28)).p_value < 1e-5


def test_nothing_that_came_is_no_burst() -> None:
    assert two_sample.burst(0, 1.0, np.array([5.0, 9.0]), np.ones(2)) == NO_SHIFT


def test_steady_growth_is_no_jump_and_doubling_is() -> None:
    steady = 1000 * 1.02 ** np.arange(10)
    assert two_sample.jump(steady).p_value > 0.5
    doubled = two_sample.jump(np.append(steady, steady[-1] * 2))
    halved = two_sample.jump(np.append(steady, steady[-1] / 2))
    assert max(doubled.p_value, halved.p_value) < 1e-6
    assert doubled.effect == halved.effect == pytest.approx(log(2))


def test_few_steps_surprise_little() -> None:
    few = two_sample.jump(np.array([100.0, 101, 102, 150])).p_value
    many = two_sample.jump(np.array([*range(90, 103), 150.0])).p_value
    assert many < few < 0.05


def test_holm_is_that_of_the_paper() -> None:
    found = two_sample.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert found.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert two_sample.holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert two_sample.holm(np.array([])).tolist() == []
