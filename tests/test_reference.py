from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from ragguard import checks, reference, scoring
from ragguard import lexicon as lexicons
from ragguard.checks import Check
from ragguard.errors import LedgerError, NotApplicable
from ragguard.kernels import calibration
from ragguard.kernels.canonical import digest
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.scoring import Profile, active_checks, weights
from ragguard.view import Prepared, Surroundings
from tests.batches import QUARANTINE, SERVING, prepared, stored
from tests.checks.views import NOW, direction, near

UNITS = {"a": 1.0, "b": 1.0}


def made(count: int = 60, seed: int = 0) -> Profile:
    """A profile of documents of one to three chunks, under two checks."""
    dice = np.random.default_rng(seed)
    owners = np.repeat(np.arange(count), dice.integers(1, 4, count))
    scores = {name: dice.standard_normal(len(owners)) for name in UNITS}
    return reference.assemble("made", scores, dict.fromkeys(UNITS, owners), UNITS, names(count))


def names(count: int) -> list[str]:
    return [f"{i:064x}" for i in range(count)]


# --- assemble -------------------------------------------------------------------------------------


def test_scores_and_statistics_are_kept_in_ascending_order() -> None:
    profile = made()
    assert profile.documents == len(profile.combined) == 60
    for kept in (*profile.scores.values(), profile.combined):
        assert (np.diff(kept) >= 0).all()
        assert np.isfinite(kept).all()
    assert profile.smallest_rate == 1 / 61


def test_a_document_is_compared_with_the_others_and_never_with_its_own_fold() -> None:
    """The slow way: for each document, the p-values against the nine folds it is not in."""
    count = 40
    dice = np.random.default_rng(3)
    owners = np.repeat(np.arange(count), 2)
    scores = {name: dice.standard_normal(len(owners)) for name in UNITS}
    found = reference.assemble("x", scores, dict.fromkeys(UNITS, owners), UNITS, names(count))
    fold_of = np.random.default_rng(0).permutation(count) % reference.FOLDS
    expected = []
    for document in range(count):
        row = []
        for name in sorted(UNITS):
            others = np.sort(scores[name][fold_of[owners] != fold_of[document]])
            worst = np.array([scores[name][owners == document].max()])
            row.append(min(1.0, 2 * calibration.tail_p_values(worst, others, 1.0)[0]))
        expected.append(calibration.combine(np.array([row]), weights(sorted(UNITS)))[0])
    np.testing.assert_allclose(found.combined, np.sort(expected))


def test_an_outlier_stands_out_against_the_others_because_it_is_not_among_them() -> None:
    owners = np.arange(50)
    scores = {"a": np.append(np.random.default_rng(1).random(49), 30.0)}
    profile = reference.assemble("x", scores, {"a": owners}, UNITS, names(50))
    assert profile.combined[-1] > 100 * profile.combined[-2]


def test_documents_a_check_said_nothing_of_take_part_all_the_same() -> None:
    owners = {"a": np.arange(30), "b": np.arange(0, 30, 3)}
    dice = np.random.default_rng(2)
    scores = {"a": dice.random(30), "b": dice.random(10)}
    profile = reference.assemble("x", scores, owners, UNITS, names(30))
    assert len(profile.combined) == 30
    assert len(profile.scores["b"]) == 10
    assert np.isfinite(profile.combined).all()


def test_a_profile_records_what_it_was_fitted_on_whatever_the_order() -> None:
    assert made().fitted_on == digest(sorted(names(60)))
    assert made(61).fitted_on != made().fitted_on


# --- size of a rehearsal --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arriving", "indexed", "held"),
    [
        (1, 10_000, reference.Rounds(16)),
        (16, 10_000, reference.Rounds(16)),
        (60, 10_000, reference.Rounds(64)),
        (1_000, 10_000, reference.Rounds(1024)),
        (751, 6_762, reference.Rounds(724)),
        (3_756, 3_757, reference.Rounds(1878)),
    ],
)
def test_a_rehearsal_keeps_the_proportion_of_newcomers(
    arriving: int, indexed: int, held: reference.Rounds
) -> None:
    assert reference.rounds(arriving, indexed) == held


@pytest.mark.parametrize(
    ("arriving", "indexed"),
    [(10_000, 10_000), (10_000, 100_000), (100_000, 100_000), (100_000, 400)],
)
def test_where_the_rounds_are_too_small_the_reference_is_thinned_as_well(
    arriving: int, indexed: int
) -> None:
    held = reference.rounds(arriving, indexed)
    assert held.size == min(4096, indexed // 2)
    beside = (1.0 - held.thin) * (indexed - held.size)
    assert held.size / beside == pytest.approx(arriving / indexed, rel=0.1, abs=1.0)


def test_the_smallest_round_is_held_whatever_is_there() -> None:
    assert reference.rounds(0, 0).size == reference.rounds(100_000, 10).size == 16


def test_whole_rounds_are_rehearsed() -> None:
    assert reference.Rounds(512).documents(1000) == 1024
    assert reference.Rounds(16).documents(1000) == 1008
    assert reference.Rounds(4096).documents(1000) == 4096


# --- rehearse -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Params:
    pass


class Watching:
    """A check that writes down what it sees; its scores are the numbers in the documents' names."""

    def __init__(self) -> None:
        self.seen: list[CorpusView] = []

    def __call__(self, view: CorpusView, params: Params) -> Signal:
        self.seen.append(view)
        scores = [float(view.labels[d].rsplit("-", 1)[1]) for d in view.documents[: view.n]]
        return Signal(np.array(scores), lambda row: Evidence(str(row)))

    def checks(self) -> Mapping[str, tuple[Check, object]]:
        return {"watch": (Check("watch", "text", Params, self, 1.0, "Watch."), Params())}


def indexed(count: int = 40) -> list[Prepared]:
    where = direction(9)
    return [
        prepared(f"d-{i}", [f"text number {i} here"], [near(where, 0.8, i)]) for i in range(count)
    ]


def rehearse(
    documents: list[Prepared],
    chosen: Mapping[str, tuple[Check, object]],
    size: int = 16,
    thin: float = 0.0,
) -> Profile:
    store = stored(documents, [prepared("w-1", ["waiting"], [near(direction(9), 0.9)])])
    lexicon = lexicons.count([c.text for d in documents for c in d.chunks], len(documents))
    around = Surroundings(store, SERVING, QUARANTINE, lexicon, (), NOW)
    held = reference.Rounds(size, thin)
    return reference.rehearse(documents, around, chosen, held, "corpus")


def test_every_document_is_brought_in_once_as_a_newcomer() -> None:
    watch = Watching()
    profile = rehearse(indexed(), watch.checks())
    assert [v.n for v in watch.seen] == [16, 16, 8]
    assert profile.scores["watch"].tolist() == [float(i) for i in range(40)]
    assert (profile.name, profile.documents) == ("corpus", 40)


def test_a_rehearsed_document_is_not_in_the_reference_and_its_companions_are_newcomers() -> None:
    watch = Watching()
    rehearse(indexed(), watch.checks())
    for view in watch.seen:
        batch = set(view.labels[: view.n])
        known = {view.labels[view.documents[j]] for j in view.reference.indices.ravel() if j >= 0}
        beside = {view.labels[view.documents[j]] for j in view.newcomers.indices.ravel() if j >= 0}
        assert known
        assert not known & batch
        assert beside == batch | {"wiki/w-1"}


def test_a_rehearsed_document_does_not_vouch_for_its_own_words() -> None:
    watch = Watching()
    rehearse(indexed(), watch.checks())
    first = watch.seen[0].lexicon
    assert "0" not in first.words
    assert "39" in first.words
    assert first.words["text"] == first.documents == 24


def test_a_check_with_nothing_to_say_is_not_in_the_profile() -> None:
    def mute(view: CorpusView, params: Params) -> Signal:
        raise NotApplicable("nothing")

    entry = Check("mute", "text", Params, mute, 1.0, "Say nothing.")
    profile = rehearse(indexed(), {**Watching().checks(), "mute": (entry, Params())})
    assert list(profile.scores) == ["watch"]


def test_a_chunk_that_could_not_be_examined_is_left_out() -> None:
    def half(view: CorpusView, params: Params) -> Signal:
        return Signal(np.where(np.arange(view.n) % 2, np.nan, 1.0), lambda row: Evidence(""))

    entry = Check("half", "text", Params, half, 1.0, "Examine half.")
    profile = rehearse(indexed(), {"half": (entry, Params())})
    assert profile.scores["half"].tolist() == [1.0] * 20
    assert np.isfinite(profile.combined).all()


def test_the_real_checks_can_be_rehearsed_and_find_honest_documents_ordinary() -> None:
    profile = rehearse(indexed(), active_checks({}))
    assert {"hidden", "instructions", "secrets", "stuffing", "collusion"} <= set(profile.scores)
    assert not profile.scores["hidden"].any()
    assert set(profile.scores) <= set(checks.registry())


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    documents = indexed()
    around = Surroundings(stored(documents), SERVING, QUARANTINE, lexicons.empty(), (), NOW)
    reference.rehearse(
        documents,
        around,
        Watching().checks(),
        reference.Rounds(16),
        "x",
        lambda done, n: told.append((done, n)),
    )
    assert told == [(16, 40), (32, 40), (40, 40)]


# --- as bytes -------------------------------------------------------------------------------------


def same(left: Profile, right: Profile) -> bool:
    return (
        (left.name, left.documents, left.fitted_on)
        == (right.name, right.documents, right.fitted_on)
        and left.scores.keys() == right.scores.keys()
        and all(np.array_equal(left.scores[k], right.scores[k]) for k in left.scores)
        and np.array_equal(left.combined, right.combined)
    )


def test_a_profile_comes_back_from_its_bytes() -> None:
    assert same(reference.load(reference.dump(made())), made())


def test_a_kept_profile_comes_back_with_the_size_of_the_index(tmp_path: Path) -> None:
    path = tmp_path / "cache/profile.npz"
    reference.keep(made(), path, 345)
    kept = reference.load_fitted(path.read_bytes())
    assert kept is not None
    assert same(kept[0], made())
    assert kept[1] == 345
    assert [p.name for p in path.parent.iterdir()] == ["profile.npz"]


def damaged() -> dict[str, bytes]:
    whole = reference.dump(made())
    return {
        "empty": b"",
        "text": b"not an archive",
        "cut short": whole[: len(whole) // 2],
        "overwritten in the middle": whole[:200] + bytes(600) + whole[800:],
    }


@pytest.mark.parametrize("how", damaged())
def test_a_damaged_profile_is_refused_and_a_damaged_cache_fitted_again(how: str) -> None:
    with pytest.raises(LedgerError, match="cannot be read"):
        reference.load(damaged()[how])
    assert reference.load_fitted(bytes(8) + damaged()[how]) is None


def test_a_profile_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "VERSION", 99)
    data = reference.dump(made())
    with pytest.raises(LedgerError, match="version 99"):
        reference.load(data)


def test_a_profile_of_the_first_version_has_the_shipped_weights() -> None:
    data = (files("ragguard") / "profiles/warm.npz").read_bytes()
    with np.load(io.BytesIO(data)) as kept:
        assert json.loads(kept["head"].tobytes())["version"] in reference.READABLE
        arrays = {key: kept[key] for key in kept.files}
    head = json.loads(arrays["head"].tobytes())
    head = {k: v for k, v in head.items() if k != "weights"} | {"version": 1}
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    assert reference.load(buffer.getvalue()).weights == scoring.WEIGHTS


def test_a_profile_keeps_the_weights_it_was_combined_with() -> None:
    profile = replace(made(), weights={"collusion": 0.5})
    assert reference.load(reference.dump(profile)).weights == {"collusion": 0.5}


@pytest.mark.parametrize(("indexed", "name"), [(0, "cold"), (49, "cold"), (50, "warm")])
def test_the_shipped_profile_goes_with_the_size_of_the_index(indexed: int, name: str) -> None:
    profile = reference.shipped(indexed)
    assert profile.name == f"shipped-{name}"
    assert set(profile.scores) <= set(checks.registry())
    assert profile.smallest_rate < 0.01
    for kept in (*profile.scores.values(), profile.combined):
        assert np.isfinite(kept).all()
        assert (np.diff(kept) >= 0).all()
