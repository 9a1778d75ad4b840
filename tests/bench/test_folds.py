from __future__ import annotations

import hashlib

import pytest

from ragguard.bench.folds import divide, require_disjoint, sets_threshold
from ragguard.errors import BenchError

DIGESTS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(400)]


def test_newcomers_and_indexed_are_the_corpus_and_share_nothing() -> None:
    fold = divide(DIGESTS, 0.25, seed=4)
    assert len(fold.newcomers) == 100
    assert sorted([*fold.newcomers, *fold.indexed]) == list(range(400))


def test_a_documents_role_is_the_same_in_every_repetition() -> None:
    roles: dict[int, set[bool]] = {}
    for seed in range(5):
        fold = divide(DIGESTS, 0.5, seed)
        for place, role in zip(fold.newcomers.tolist(), fold.sets_threshold, strict=True):
            roles.setdefault(place, set()).add(bool(role))
    assert all(len(found) == 1 for found in roles.values())
    assert sum(sets_threshold(d) for d in DIGESTS) == pytest.approx(200, abs=40)


def test_repetitions_draw_other_newcomers_and_the_same_seed_the_same() -> None:
    first, again, other = (divide(DIGESTS, 0.1, seed) for seed in (1, 1, 2))
    assert first.newcomers.tolist() == again.newcomers.tolist()
    assert set(first.newcomers.tolist()) != set(other.newcomers.tolist())


def test_a_corpus_with_a_document_twice_is_refused() -> None:
    with pytest.raises(BenchError, match="twice"):
        divide([*DIGESTS, DIGESTS[0]], 0.5, 0)


def test_a_corpus_too_small_to_set_a_threshold_is_refused() -> None:
    with pytest.raises(BenchError, match="too few"):
        divide(DIGESTS[:4], 0.25, 0)


def test_overlap_of_roles_fails_and_says_whose() -> None:
    with pytest.raises(BenchError, match="1 documents are both fitted_on and reported") as error:
        require_disjoint(fitted_on=["a", "b"], setting_thresholds=["c"], reported=["d", "b"])
    assert error.value.exit_code == 2
    with pytest.raises(BenchError, match="both setting_thresholds and reported"):
        require_disjoint(fitted_on=[], setting_thresholds=["c"], reported=["c"])


def test_sizes_of_disjoint_sets_are_told() -> None:
    found = require_disjoint(fitted_on=["a", "b"], setting_thresholds=["c"], reported=[])
    assert found == {"fitted_on": 2, "setting_thresholds": 1, "reported": 0}
