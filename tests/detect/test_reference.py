from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ragguard.detect import checks, reference, scoring
from ragguard.detect import lexicon as lexicons
from ragguard.detect.checks import Check
from ragguard.detect.scoring import SHARES, WEIGHTS, Profile, active_checks, shares
from ragguard.detect.view import PreparedDocument, Surroundings
from ragguard.errors import LedgerError, NotApplicable
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.stats import conformal
from ragguard.trust.canonical import digest
from ragguard.trust.kept import wrap
from tests.support.batches import SERVING, prepared, stored
from tests.support.checks.views import NOW, direction, near

UNITS = {"a": 1.0, "b": 1.0}

KEY = bytes(range(32))


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
    assert set(profile.families) == set(UNITS)
    assert all(len(found) == 60 for found in profile.families.values())
    for kept in (*profile.scores.values(), *profile.families.values(), profile.combined):
        assert (np.diff(kept) >= 0).all()
        assert np.isfinite(kept).all()
    assert profile.smallest_rate == 1 / 61


def test_a_document_is_compared_with_the_others_and_never_with_its_own_fold() -> None:
    """The slow way: checks, then families, each against the nine folds a document is not in."""
    count = 40
    dice = np.random.default_rng(3)
    units = {"collusion": 1.0, "accord": 1.0, "glosh": 1.0, "other": 1.0}
    families = {"collusion": ("accord", "collusion"), "isolation": ("glosh",), "other": ("other",)}
    assert {checks.registry()[name].family for name in families["collusion"]} == {"collusion"}
    assert checks.registry()["glosh"].family == "isolation"
    owners = np.repeat(np.arange(count), 2)
    scores = {name: dice.standard_normal(len(owners)) for name in units}
    found = reference.assemble("x", scores, dict.fromkeys(units, owners), units, names(count))
    fold_of = np.random.default_rng(0).permutation(count) % reference.FOLDS
    said = {family: np.zeros(count) for family in families}
    products = {family: np.ones(count) for family in families}
    for document in range(count):
        for family, members in families.items():
            for name in members:
                others = np.sort(scores[name][fold_of[owners] != fold_of[document]])
                worst = np.array([scores[name][owners == document].max()])
                p = 2 * conformal.tail_p_values(worst, others, 1.0)[0]
                p = max(p, 2 * scoring.FLOORS.get(name, 0.0))
                said[family][document] += -np.log(min(1.0, p)) * WEIGHTS.get(name, 1.0)
                products[family][document] *= min(1.0, p)
    expected = []
    for document in range(count):
        row = []
        for family, statistics in said.items():
            others = np.sort(statistics[fold_of != fold_of[document]])
            least = products[family][[document]]
            row.append(conformal.family_p_values(statistics[[document]], others, least)[0])
        expected.append(conformal.combine(np.array([row]), shares(list(said)))[0])
    np.testing.assert_allclose(found.combined, np.sort(expected))
    assert list(found.families) == list(families)
    for family, statistics in said.items():
        np.testing.assert_allclose(found.families[family], np.sort(statistics), atol=1e-12)


def test_a_document_alone_in_its_fold_has_families_and_one_without_others_has_none() -> None:
    p_values, family = np.random.default_rng(4).random((10, 1)), scoring.families_of(["x"])
    assert np.isfinite(reference.clean_family_p_values(p_values, family)).all()
    assert np.isnan(reference.clean_family_p_values(p_values[:1], family)).all()


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
        (1, 10_000, reference.Rounds(16, together=8)),
        (16, 10_000, reference.Rounds(16, together=8)),
        (60, 10_000, reference.Rounds(64, together=8)),
        (1_000, 10_000, reference.Rounds(1024, together=8)),
        (751, 6_762, reference.Rounds(724, together=8)),
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


def indexed(count: int = 40) -> list[PreparedDocument]:
    where = direction(9)
    return [
        prepared(f"d-{i}", [f"text number {i} here"], [near(where, 0.8, i)]) for i in range(count)
    ]


def rehearse(
    documents: list[PreparedDocument],
    chosen: Mapping[str, tuple[Check, object]],
    size: int = 16,
    thin: float = 0.0,
) -> Profile:
    waiting = [prepared("w-1000", ["waiting"], [near(direction(9), 0.9)])]
    waiting.append(prepared("far-2000", ["waiting elsewhere"], [direction(10)]))
    lexicon = lexicons.count([c.text for d in documents for c in d.chunks], len(documents))
    around = Surroundings(stored(documents), SERVING, lexicon, (), NOW, suspects=waiting)
    held = reference.Rounds(size, thin)
    return reference.rehearse(documents, around, chosen, held, "corpus")


def test_every_document_is_brought_in_once_as_a_newcomer() -> None:
    watch = Watching()
    profile = rehearse(indexed(), watch.checks())
    assert [list(v.zones).count("batch") for v in watch.seen] == [16, 16, 8]
    assert profile.scores["watch"].tolist() == [float(i) for i in range(40)]
    assert (profile.name, profile.documents) == ("corpus", 40)


def test_a_rehearsed_document_is_not_in_the_reference_and_its_companions_are_newcomers() -> None:
    watch = Watching()
    rehearse(indexed(), watch.checks())
    for view in watch.seen:
        batch = {view.labels[d] for d, zone in zip(view.documents, view.zones, strict=True)
                 if zone == "batch"}  # fmt: skip
        known = {view.labels[view.documents[j]] for j in view.reference.indices.ravel() if j >= 0}
        beside = {view.labels[view.documents[j]] for j in view.newcomers.indices.ravel() if j >= 0}
        assert known
        assert not known & batch
        assert beside == batch | {"wiki/w-1000"}


def test_what_waits_is_rehearsed_beside_the_documents_and_is_no_part_of_the_profile() -> None:
    watch = Watching()
    profile = rehearse(indexed(), watch.checks())
    for view in watch.seen:
        assert view.zones[view.n - 1] == "quarantine"
        assert view.labels[view.documents[view.n - 1]] == "wiki/w-1000"
        assert "wiki/far-2000" not in view.labels
    assert profile.scores["watch"].max() == 39.0
    assert len(profile.combined) == len(profile.families["watch"]) == 40


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
    """What is conclusive knows by itself how rare it is, and has no reference."""
    where = direction(9)
    texts = [" ".join(f"word{(i * 5 + j) % 31}" for j in range(15)) for i in range(40)]
    documents = [prepared(f"d-{i}", [t], [near(where, 0.8, i)]) for i, t in enumerate(texts)]
    chosen = active_checks({})
    profile = rehearse(documents, chosen)
    assert {"accord", "collusion", "hubness", "stuffing"} <= set(profile.scores)
    assert not {"hidden", "instructions", "secrets", "denylist"} & set(profile.scores)
    assert {"hidden", "instructions", "secrets"} <= set(chosen)
    assert set(profile.scores) <= set(checks.registry())
    assert set(profile.families) == {chosen[name][0].family for name in profile.scores}
    assert profile.scores["accord"].max() < scoring.FLAGRANT["accord"] / 3
    assert profile.calibrated


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    documents = indexed()
    around = Surroundings(stored(documents), SERVING, lexicons.empty(), (), NOW)
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
        and left.families.keys() == right.families.keys()
        and all(np.array_equal(left.families[k], right.families[k]) for k in left.families)
        and np.array_equal(left.combined, right.combined)
        and left.shares == right.shares
    )


def test_a_profile_comes_back_from_its_bytes() -> None:
    assert same(reference.load(reference.dump(made())), made())


def test_a_kept_profile_comes_back_with_the_size_of_the_index(tmp_path: Path) -> None:
    path = tmp_path / "cache/profile.npz"
    reference.keep(made(), path, 345, KEY)
    kept = reference.load_fitted(path, KEY)
    assert kept is not None
    assert same(kept[0], made())
    assert kept[1] == 345
    assert [p.name for p in path.parent.iterdir()] == ["profile.npz"]


def test_a_profile_that_another_hand_put_there_is_fitted_again(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "profile-10-aa.npz", tmp_path / "profile-20-bb.npz"
    reference.keep(made(), ours, 345, KEY)
    reference.keep(made(), theirs, 345, bytes(32))
    assert reference.load_fitted(theirs, KEY) is None
    theirs.write_bytes(ours.read_bytes())  # ours, under the name of other settings
    assert reference.load_fitted(theirs, KEY) is None
    ours.write_bytes(ours.read_bytes()[32:])  # as older versions wrote it
    assert reference.load_fitted(ours, KEY) is None
    assert reference.load_fitted(tmp_path / "absent.npz", KEY) is None


def damaged() -> dict[str, bytes]:
    whole = reference.dump(made())
    return {
        "empty": b"",
        "text": b"not an archive",
        "cut short": whole[: len(whole) // 2],
        "overwritten in the middle": whole[:200] + bytes(600) + whole[800:],
    }


@pytest.mark.parametrize("how", damaged())
def test_a_damaged_profile_is_refused_and_a_damaged_cache_fitted_again(
    how: str, tmp_path: Path
) -> None:
    with pytest.raises(LedgerError, match="cannot be read"):
        reference.load(damaged()[how])
    path = tmp_path / "profile.npz"
    path.write_bytes(wrap(bytes(8) + damaged()[how], KEY, path.name))
    assert reference.load_fitted(path, KEY) is None


def test_a_profile_of_another_version_is_refused_and_a_cache_of_one_fitted_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "profile.npz"
    for version in (reference.VERSION - 1, 99):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reference, "VERSION", version)
            data = reference.dump(made())
        with pytest.raises(LedgerError, match=f"version {version}"):
            reference.load(data)
        path.write_bytes(wrap(bytes(8) + data, KEY, path.name))
        assert reference.load_fitted(path, KEY) is None


def test_a_profile_keeps_the_shares_it_was_combined_with() -> None:
    assert made().shares == SHARES
    profile = replace(made(), shares={"collusion": 0.5})
    assert reference.load(reference.dump(profile)).shares == {"collusion": 0.5}


def test_other_shares_are_other_statistics_of_the_same_families() -> None:
    dice = np.random.default_rng(6)
    owners = np.arange(50)
    scores = {"a": dice.random(50), "b": dice.random(50)}
    learned = {"a": 5.0, "b": 0.2}
    even, uneven = (
        reference.assemble("x", scores, dict.fromkeys(UNITS, owners), UNITS, names(50), given)
        for given in (SHARES, learned)
    )
    assert uneven.shares == learned
    assert not np.allclose(even.combined, uneven.combined)
    for family in UNITS:
        assert even.families[family].tolist() == uneven.families[family].tolist()


# --- runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 5, 8, 61])
def test_what_lies_together_is_brought_in_together(count: int) -> None:
    drawn = reference.in_runs(list(range(count)), 8)
    assert sorted(drawn) == list(range(count))
    runs = [drawn[i : i + 8] for i in range(0, count, 8)]
    assert all(run == list(range(run[0], run[0] + len(run))) for run in runs)


def test_runs_are_drawn_from_all_over() -> None:
    first = reference.in_runs(list(range(4000)), 8)[:200]
    assert min(first) < 1000
    assert max(first) > 3000


def test_a_section_is_rehearsed_together_and_a_large_batch_one_by_one() -> None:
    assert reference.rounds(50, 1000).together == reference.TOGETHER
    assert reference.rounds(300, 1000).together == 1
