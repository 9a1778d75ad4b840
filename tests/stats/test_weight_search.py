from __future__ import annotations

import numpy as np
import pytest

from ragguard.model import Doubles
from ragguard.stats.conformal import combine
from ragguard.stats.weight_search import MULTIPLES, detection, learn, terms, threshold

PRIOR = np.array([1.0, 0.4, 2.0])


def uniform(n: int, seed: int, c: int = 3) -> Doubles:
    """P-values of honest documents."""
    return np.random.default_rng(seed).uniform(1e-4, 1.0, (n, c))


def poison(n: int, seed: int, column: int) -> Doubles:
    """P-values of documents that one check alone finds suspicious."""
    table = uniform(n, seed)
    table[:, column] = np.random.default_rng(seed + 1).uniform(0.0005, 0.004, n)
    return table


def test_terms_are_the_summands_of_the_combination() -> None:
    table = uniform(50, 1)
    table[3, 1] = np.nan
    weights = PRIOR / PRIOR.sum()
    assert terms(table) @ weights == pytest.approx(combine(table, PRIOR))


@pytest.mark.parametrize(("count", "rate", "above"), [(99, 0.01, 0), (199, 0.01, 1), (20, 0.01, 0)])
def test_the_threshold_lets_the_asked_share_through_and_no_more(
    count: int, rate: float, above: int
) -> None:
    honest = np.random.default_rng(0).permutation(count).astype(np.float64)
    assert int((honest > threshold(honest, rate)).sum()) == above


def test_detection_is_the_mean_over_families_not_over_attacks() -> None:
    honest = terms(np.full((99, 3), 0.4))
    found, missed = terms(np.full((5, 3), 0.001)), terms(np.full((5, 3), 0.5))
    attacks = [found, missed, missed, missed]
    share, soft = detection(attacks, ["a", "b", "b", "b"], honest, PRIOR, 0.01)
    assert share == 0.5
    assert 0.0 < soft < 1.0


def test_the_check_that_finds_the_poison_gains_weight() -> None:
    honest = terms(uniform(1000, 2))
    attack = terms(poison(200, 3, 1))
    learned = learn([attack], ["a"], honest, PRIOR, 0.01)
    assert learned[1] / PRIOR[1] > learned[0] / PRIOR[0]
    before, _ = detection([attack], ["a"], honest, PRIOR, 0.01)
    after, _ = detection([attack], ["a"], honest, learned, 0.01)
    assert after > before


def test_what_was_learned_helps_against_documents_it_was_not_learned_on() -> None:
    learned = learn([terms(poison(200, 3, 1))], ["a"], terms(uniform(1000, 2)), PRIOR, 0.01)
    unseen, usual = [terms(poison(200, 30, 1))], terms(uniform(1000, 20))
    assert (
        detection(unseen, ["a"], usual, learned, 0.01)[0]
        > detection(unseen, ["a"], usual, PRIOR, 0.01)[0]
    )


def test_a_check_that_says_nothing_keeps_its_prior() -> None:
    honest, attack = uniform(500, 4), poison(100, 5, 0)
    honest[:, 2] = attack[:, 2] = np.nan
    learned = learn([terms(attack)], ["a"], terms(honest), PRIOR, 0.01)
    assert learned[2] == PRIOR[2]


def test_weights_are_multiples_of_the_prior_within_bounds() -> None:
    learned = learn([terms(poison(50, 6, 0))], ["a"], terms(uniform(300, 7)), PRIOR, 0.01)
    for ratio in learned / PRIOR:
        assert min(abs(ratio - m) for m in MULTIPLES) < 1e-12
    assert min(MULTIPLES) == 1 / 50
    assert max(MULTIPLES) == 5


def test_the_same_tables_give_the_same_weights_in_any_order_of_rows() -> None:
    honest, attack = terms(uniform(300, 8)), terms(poison(60, 9, 2))
    first = learn([attack], ["a"], honest, PRIOR, 0.01)
    assert np.array_equal(learn([attack[::-1]], ["a"], honest[::-1], PRIOR, 0.01), first)


def test_no_attack_is_given_up_for_another() -> None:
    honest = terms(uniform(1000, 10))
    strong, weak = terms(poison(100, 11, 0)), terms(poison(100, 12, 1))
    learned = learn([strong, weak], ["a", "b"], honest, PRIOR, 0.01)
    for attack in (strong, weak):
        before, _ = detection([attack], ["x"], honest, PRIOR, 0.01)
        after, _ = detection([attack], ["x"], honest, learned, 0.01)
        assert after >= before - 0.05
