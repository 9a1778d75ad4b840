from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ragguard.stats.conformal import (
    FEWEST,
    SMALLEST,
    TAIL,
    combine,
    conformal_p_values,
    family_p_values,
    family_products,
    family_statistics,
    statistic_of,
    suspicion,
    tail_p_values,
)
from tests.support import slow_twins

finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)
samples = arrays(np.float64, st.integers(1, 60), elements=finite)
seldom = arrays(np.float64, st.integers(1, FEWEST - 1), elements=finite)


@given(samples, samples)
def test_conformal_p_values_agree_with_their_slow_twin(
    scores: np.ndarray, clean: np.ndarray
) -> None:
    found = conformal_p_values(scores, np.sort(clean))
    assert found.tolist() == [slow_twins.conformal_p(s, clean.tolist()) for s in scores]


@given(samples, samples, st.floats(0.01, 10))
def test_tail_p_values_agree_with_their_slow_twin(
    scores: np.ndarray, clean: np.ndarray, unit: float
) -> None:
    found = tail_p_values(scores, np.sort(clean), unit)
    expected = [slow_twins.tail_p(s, clean.tolist(), unit) for s in scores.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def unbounded(statistics: np.ndarray, known: np.ndarray) -> np.ndarray:
    """P-values of a family whose checks' product is as good as nothing."""
    return family_p_values(statistics, known, np.zeros(len(statistics)))


@given(samples, samples)
def test_family_p_values_agree_with_their_slow_twin(scores: np.ndarray, clean: np.ndarray) -> None:
    found = unbounded(scores, np.sort(clean))
    expected = [slow_twins.family_p(s, clean.tolist()) for s in scores.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.just(5)),
        elements=st.one_of(st.floats(1e-13, 1.0), st.just(float("nan"))),
    ),
    arrays(np.float64, 5, elements=st.floats(0.02, 3.0)),
    st.permutations([0, 0, 1, 2, 2]),
)
def test_family_statistics_agree_with_their_slow_twin(
    p_values: np.ndarray, weights: np.ndarray, groups: list[int]
) -> None:
    found = family_statistics(p_values, weights, np.array(groups))
    assert found.shape == (len(p_values), 3)
    for row, p in zip(found, p_values.tolist(), strict=True):
        expected = [slow_twins.family_statistic(p, weights.tolist(), groups, f) for f in range(3)]
        np.testing.assert_allclose(row, expected, atol=1e-12)


@pytest.mark.parametrize("count", [30, 400, 3000])
def test_below_the_upper_fiftieth_the_tail_p_value_is_the_conformal_one(count: int) -> None:
    known = np.sort(np.random.default_rng(count).exponential(size=count))
    inside = known[: count - max(FEWEST, int(TAIL * count))]
    assert len(inside) > 0
    assert tail_p_values(inside, known).tolist() == conformal_p_values(inside, known).tolist()
    beyond = known[len(inside) :]
    assert (tail_p_values(beyond, known) != conformal_p_values(beyond, known)).all()


@given(samples, seldom)
def test_inside_the_reference_of_a_family_that_seldom_speaks_the_p_value_is_counted(
    statistics: np.ndarray, clean: np.ndarray
) -> None:
    known = np.sort(clean)
    inside = statistics[statistics <= known[-1]]
    assert unbounded(inside, known).tolist() == conformal_p_values(inside, known).tolist()


@given(samples, samples, st.floats(0.01, 10))
def test_a_higher_score_never_has_a_higher_p_value(
    scores: np.ndarray, clean: np.ndarray, unit: float
) -> None:
    ordered, known = np.sort(scores), np.sort(clean)
    for found in (
        tail_p_values(ordered, known, unit),
        conformal_p_values(ordered, known),
        unbounded(ordered, known),
    ):
        assert (np.diff(found) <= 0).all()
        assert ((found > 0) & (found <= 1)).all()


@given(samples, seldom)
def test_beyond_it_such_a_family_never_promises_less_suspicion_than_the_count(
    statistics: np.ndarray, clean: np.ndarray
) -> None:
    known = np.sort(clean)
    assert (unbounded(statistics, known) <= conformal_p_values(statistics, known)).all()


@pytest.mark.parametrize("p_values", [tail_p_values, unbounded])
def test_in_the_tail_one_odd_member_of_the_reference_decides_little(
    p_values: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> None:
    """The count doubles for it; the tail is drawn through all that are in it."""
    known = np.sort(np.random.default_rng(4).exponential(size=3000))
    score = np.array([known[-1] + 1.0])
    odd = np.append(known[:-1], known[-1] + 2.0)
    assert conformal_p_values(score, odd) == 2 * conformal_p_values(score, known)
    assert p_values(score, odd) < 1.5 * p_values(score, known)


@pytest.mark.parametrize("p_values", [tail_p_values, unbounded])
def test_the_tail_keeps_ranking_what_no_reference_reached(
    p_values: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> None:
    known = np.sort(np.random.default_rng(0).exponential(size=400))
    far = known[-1] + np.arange(1, 12, dtype=float)
    found = p_values(far, known)
    assert (np.diff(found) < 0).all()
    assert found[0] < 1 / 401


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_the_tail_of_exponential_scores_is_their_own(scale: float) -> None:
    known = np.sort(np.random.default_rng(1).exponential(scale, size=20_000))
    far = scale * np.array([11.0, 13.0, 15.0])
    expected = np.exp(-far / scale)
    found = tail_p_values(far, known)
    np.testing.assert_allclose(np.log(found), np.log(expected), atol=0.6)


def test_a_reference_of_equal_scores_falls_back_on_the_check_s_own_unit() -> None:
    known = np.zeros(99)
    found = tail_p_values(np.array([0.0, 0.7, 1.4, 2.8]), known, unit=0.7)
    assert found[0] == 1.0
    np.testing.assert_allclose(found[1:], np.exp([-1.0, -2.0, -4.0]) / 100)


def test_nothing_is_less_likely_than_the_smallest_p_value() -> None:
    assert tail_p_values(np.array([1e9]), np.zeros(5)).tolist() == [SMALLEST]


def test_without_a_reference_every_p_value_is_one() -> None:
    none = np.empty(0)
    assert tail_p_values(np.array([1.0, 9.0]), none).tolist() == [1.0, 1.0]
    assert conformal_p_values(np.array([1.0, 9.0]), none).tolist() == [1.0, 1.0]
    assert unbounded(np.array([1.0, 9.0]), none).tolist() == [1.0, 1.0]
    assert tail_p_values(none, np.zeros(3)).shape == (0,)


def test_a_family_is_no_rarer_than_the_product_of_its_checks() -> None:
    """One request in thirty chunks is no rarer for an index in which nobody asks for anything."""
    groups = np.array([0, 0, 1])
    p = np.array([[0.017, np.nan, 1.0], [1e-3, 0.1, 1.0], [1e-9, 1.0, 0.5]])
    products = family_products(p, groups)
    np.testing.assert_allclose(products, [[0.017, 1.0], [1e-4, 1.0], [1e-9, 0.5]])
    said = family_statistics(p, np.array([1.0, 0.3, 1.0]), groups)[:, 0]
    silent = np.zeros(1000)
    assert (unbounded(said, silent) < [1e-4, 1e-4, 1e-9]).all()
    found = family_p_values(said, silent, products[:, 0])
    np.testing.assert_allclose(found[:2], [0.017, 1e-4])
    assert found[2] >= 1e-9
    known = np.sort(np.random.default_rng(2).exponential(size=1000))
    inside = np.array([1.0, 2.0])
    products = np.exp(-inside)
    assert (family_p_values(inside, known, products) >= products).all()


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.just(4)),
        elements=st.one_of(st.floats(1e-13, 1.0), st.just(float("nan"))),
    ),
    arrays(np.float64, 4, elements=st.floats(0.02, 3.0)),
)
def test_the_combination_agrees_with_its_slow_twin(
    p_values: np.ndarray, weights: np.ndarray
) -> None:
    expected = [slow_twins.cauchy(row.tolist(), weights.tolist()) for row in p_values]
    np.testing.assert_allclose(combine(p_values, weights), expected, rtol=1e-6, atol=1e-12)


def test_a_check_with_nothing_to_say_and_an_innocent_one_are_no_alibi() -> None:
    weights = np.ones(3)
    silent = combine(np.array([[1e-4, np.nan, np.nan]]), weights)
    innocent = combine(np.array([[1e-4, 1.0, 0.7]]), weights)
    doubtful = combine(np.array([[1e-4, 0.01, np.nan]]), weights)
    assert silent == innocent
    assert doubtful > silent
    assert combine(np.full((2, 3), np.nan), weights) == pytest.approx([0, 0], abs=1e-12)


def test_a_check_of_the_family_with_nothing_to_say_is_no_evidence_either_way() -> None:
    groups = np.array([0, 0, 1])
    found = family_statistics(np.array([[0.1, np.nan, 1.0], [0.1, 0.1, 0.5]]), np.ones(3), groups)
    np.testing.assert_allclose(found, -np.log([[0.1, 1.0], [0.01, 0.5]]))
    assert (family_statistics(np.full((2, 3), np.nan), np.ones(3), groups) == 0).all()
    assert family_statistics(np.empty((2, 0)), np.empty(0), np.empty(0, int)).shape == (2, 0)


@pytest.mark.parametrize("p", [0.5, 0.02, 1e-4, 1e-9, 1e-12])
def test_a_p_value_and_the_statistic_that_is_as_rare_rank_alike(p: float) -> None:
    statistic = statistic_of(np.array([p]))
    level = -np.log10(p)
    assert suspicion(statistic)[0] == pytest.approx(level / (1 + level), rel=1e-3)
    assert statistic_of(np.array([1.0]))[0] == pytest.approx(0.0, abs=1e-9)


def test_a_heavier_check_counts_for_more() -> None:
    rows = np.array([[1e-4, np.nan], [np.nan, 1e-4]])
    first, second = combine(rows, np.array([2.0, 0.5]))
    assert first == pytest.approx(4 * second)


def test_suspicion_keeps_ranking_far_out() -> None:
    statistics = np.concatenate([np.linspace(0, 50, 200), np.geomspace(51, 1e12, 400)])
    found = suspicion(statistics)
    assert (np.diff(found) > 0).all()
    assert (found[0], found[-1] < 1) == (pytest.approx(0.0, abs=1e-9), True)


@pytest.mark.parametrize(("p", "expected"), [(0.1, 0.5), (0.01, 2 / 3), (1e-4, 0.8), (1e-9, 0.9)])
def test_suspicion_at_the_documented_points(p: float, expected: float) -> None:
    statistic = np.tan((0.5 - p / 2) * np.pi)  # two-sided tail of a Cauchy variable
    assert suspicion(np.array([statistic]))[0] == pytest.approx(expected, abs=1e-6)


def independent(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_normal((n, 5))


def dependent(rng: np.random.Generator, n: int) -> np.ndarray:
    """Five scores that share a cause, one of them twice and one mostly zero."""
    shared = rng.standard_normal((n, 1))
    made = 0.3 * rng.standard_normal((n, 5)) + shared
    made[:, 1] = made[:, 0]
    made[:, 4] = np.maximum(made[:, 4] - 1.5, 0.0)
    return made


def heavy_tailed(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.abs(rng.standard_t(1.5, (n, 5))) + np.abs(rng.standard_t(1.5, (n, 1)))


@pytest.mark.parametrize("make", [independent, dependent, heavy_tailed])
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_honest_scores_are_flagged_at_most_at_the_asked_rate(
    make: Callable[[np.random.Generator, int], np.ndarray], rate: float
) -> None:
    """Raw scores to combined p-values, over many references; newcomers are exchangeable.

    The references of the single checks and of the combination are halves of one sample, so that
    the promise is exact: what may exceed it is chance, at most four standard errors.
    """
    rng = np.random.default_rng(int(1000 * rate))
    weights = np.array([2.0, 1.0, 1.0, 0.3, 1.0])
    shares = []
    for _ in range(150):
        fitted, held, new = make(rng, 100), make(rng, 199), make(rng, 200)
        known = np.sort(fitted, axis=0)

        def statistic(scores: np.ndarray, known: np.ndarray = known) -> np.ndarray:
            p = np.stack([tail_p_values(scores[:, c], known[:, c]) for c in range(5)], axis=1)
            return combine(p, weights)

        p = conformal_p_values(statistic(new), np.sort(statistic(held)))
        shares.append((p <= rate).mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert error > 0
    assert np.mean(shares) <= rate + 4 * error
    assert np.mean(shares) >= rate / 3, "so strict that nothing would ever be flagged"


def test_calibration_leaves_its_arguments_as_they_were() -> None:
    scores, known = np.array([3.0, 1.0]), np.sort(np.random.default_rng(2).random(30))
    table, weights = np.array([[0.2, np.nan]]), np.ones(2)
    kept = [a.copy() for a in (scores, known, table, weights)]
    tail_p_values(scores, known)
    conformal_p_values(scores, known)
    suspicion(combine(table, weights))
    for before, after in zip(kept, (scores, known, table, weights), strict=True):
        np.testing.assert_array_equal(before, after)
