"""The formulas, spelled out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ragguard.bench import measures
from ragguard.stats import intervals as shares


def test_threshold_is_the_largest_score_that_keeps_the_promise() -> None:
    honest = np.arange(1.0, 100.0)  # 99 scores: floor(0.01 * 100) = 1, the largest
    assert measures.threshold(honest, 0.01) == 99.0
    assert measures.threshold(honest, 0.05) == 95.0  # the fifth largest


def test_a_rate_that_too_few_documents_cannot_resolve_has_no_threshold() -> None:
    assert measures.threshold(np.arange(98.0), 0.01) is None
    assert measures.threshold(np.arange(99.0), 0.01) == 98.0
    assert measures.threshold(np.empty(0), 0.5) is None


@pytest.mark.parametrize(("rate", "documents"), [(0.001, 999), (0.01, 99), (0.05, 19), (0.3, 3)])
def test_needed_documents_are_the_fewest_that_resolve_the_rate(rate: float, documents: int) -> None:
    assert measures.needed(rate) == documents
    assert measures.threshold(np.arange(float(documents)), rate) is not None
    assert measures.threshold(np.arange(float(documents - 1)), rate) is None


def test_ties_at_the_threshold_are_not_flagged() -> None:
    honest = np.zeros(200)
    limit = measures.threshold(honest, 0.05)
    assert limit == 0.0
    assert not (np.zeros(5) > limit).any()


def test_a_new_honest_document_passes_the_threshold_at_most_at_the_asked_rate() -> None:
    rng = np.random.default_rng(3)
    flagged = [
        rng.normal() > (measures.threshold(rng.normal(size=59), 0.05) or math.inf)
        for _ in range(4000)
    ]
    assert 0.03 < np.mean(flagged) < 0.06  # floor(0.05 * 60) / 60 = 0.05


def test_wilson_interval_is_the_published_one() -> None:
    low, high = shares.wilson(8, 10)  # Newcombe, Statistics in Medicine 17 (1998)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)


def test_wilson_interval_of_nothing_and_of_all() -> None:
    assert shares.wilson(0, 0) == (0.0, 1.0)
    assert shares.wilson(0, 10)[0] == 0.0
    assert shares.wilson(10, 10)[1] == pytest.approx(1.0)
    assert shares.wilson(0, 10)[1] == pytest.approx(3.8415 / 13.8415, abs=1e-4)  # z² / (n + z²)


def test_auroc_counts_pairs_and_half_of_ties() -> None:
    poison, honest = np.array([3.0, 1.0]), np.array([0.0, 1.0, 2.0])
    assert measures.wins(poison, honest).tolist() == [1.0, 0.5]  # 3 of 3; 1 and a half of 3
    assert measures.auroc(poison, honest) == 0.75


def test_auroc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    poison, honest = rng.integers(0, 9, 40) + 2.0, rng.integers(0, 9, 70) + 0.0
    labels = np.repeat([1, 0], [40, 70])
    expected = roc_auc_score(labels, np.concatenate([poison, honest]))
    assert measures.auroc(poison, honest) == pytest.approx(expected)


def test_clusters_are_numbered_as_they_appear() -> None:
    assert shares.number_groups(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]


def test_bootstrap_draws_campaigns_not_documents() -> None:
    values = np.repeat([1.0, 0.0], 500)  # two campaigns of 500: one found, one missed
    groups = np.repeat([0, 1], 500)
    mean, (low, high) = shares.grouped_mean(values, groups)
    assert (mean, low, high) == (0.5, 0.0, 1.0)
    _, (low, high) = shares.grouped_mean(values, np.arange(1000))
    assert 0.45 < low < 0.5 < high < 0.55


def test_bootstrap_weighs_campaigns_by_their_documents() -> None:
    mean, (low, high) = shares.grouped_mean(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1]))
    assert mean == 0.75
    assert (low, high) == (0.0, 1.0)


def test_bootstrap_is_the_same_every_time() -> None:
    values, groups = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0, 1, 2, 2])
    assert shares.grouped_mean(values, groups) == shares.grouped_mean(values, groups)


def test_a_campaign_is_caught_by_any_and_by_all() -> None:
    any_, all_ = shares.any_and_all(
        np.array([True, False, True, True, False]), np.array([0, 0, 1, 1, 2])
    )
    assert any_.tolist() == [True, True, False]
    assert all_.tolist() == [False, True, False]


def test_roc_gives_the_share_above_each_honest_document() -> None:
    poison, honest = np.array([5.0, 2.5, 0.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert measures.roc(poison, honest) == [
        (0.0, 1 / 3),  # above every honest document
        (0.25, 1 / 3),  # above 3
        (0.5, 2 / 3),  # above 2
        (0.75, 2 / 3),
        (1.0, 1.0),
    ]


def test_roc_of_many_documents_is_thinned_and_monotone() -> None:
    rng = np.random.default_rng(1)
    curve = measures.roc(rng.normal(1, 1, 500), rng.normal(0, 1, 5000))
    assert len(curve) <= 200
    assert curve == sorted(curve)
    assert curve[0][0] == 0.0
    assert curve[-1] == (1.0, 1.0)


def test_histogram_keeps_what_lies_beyond_its_ends() -> None:
    shares = measures.histogram(np.array([-1.0, 0.1, 0.6, 9.0]), np.array([0.0, 0.5, 1.0]))
    assert shares == [0.5, 0.5]
