from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from ragguard.audit import drift
from ragguard.audit.drift import compare
from ragguard.audit.rules import RULES
from ragguard.stats.two_sample import NO_SHIFT
from ragguard.trust.canonical import format_time
from tests.support.audit.nights import Nights, said


def test_the_first_audit_has_nothing_to_compare_with() -> None:
    found = Nights().audit()
    assert (found.findings, found.shifts, found.tests) == ([], {}, 0)
    assert [len(v) for v in found.series.values()] == [1, 1, 0]


def test_where_nothing_changed_nothing_is_said() -> None:
    world = Nights()
    for number in range(8):
        found = world.audit(false_alarm_rate=0.999)
        assert found.findings == []
        assert bool(found.tests) == bool(number)
        assert found.shifts == ({"wiki": NO_SHIFT, "vendor": NO_SHIFT} if number else {})


def test_honest_arrivals_cry_wolf_no_more_often_than_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even where the smallest effect counts: then nothing but the p-values holds findings back."""
    for least in ("MOVED", "MIXED", "RESCORED", "GREW"):
        monkeypatch.setattr(drift, least, 0.0)
    alarms = nights = 0
    for seed in range(6):
        world = Nights(seed, {"wiki": 150, "vendor": 60})
        world.audit()
        for _ in range(4):
            world.grow()
            alarms += bool(world.audit(false_alarm_rate=0.2).findings)
            nights += 1
    assert alarms / nights <= 0.2


def test_a_tenth_of_a_source_on_a_new_subject_is_found() -> None:
    world = Nights()
    world.settle()
    quiet = world.sources.count("vendor")
    world.grow()
    world.add("vendor", quiet // 10, topic=world.topic())
    found = world.audit()
    assert ("embedding-drift", "source vendor") in said(found)
    assert "source wiki" not in {f.about for f in found.findings}
    finding = next(f for f in found.findings if f.rule == "embedding-drift")
    assert finding.p_value is not None
    assert finding.p_value <= 0.01
    assert finding.facts["arrived_share"] == pytest.approx(0.1, abs=0.03)
    assert RULES[finding.rule].level == "note"
    assert found.shifts["vendor"].effect > found.shifts["wiki"].effect


def test_a_new_subject_is_found_where_nobody_knows_what_came() -> None:
    """In a collection of others, all of it is held against all there was."""
    world = Nights()
    world.audit(known=False)
    world.add("vendor", 30, topic=world.topic())
    assert ("embedding-drift", "source vendor") in said(world.audit(known=False))


def test_a_subject_that_comes_drop_by_drop_adds_up() -> None:
    world = Nights()
    world.audit()
    topic, found = world.topic(), []
    for _ in range(5):
        world.add("vendor", 6, topic=topic)  # never enough for a sample of a night
        found.append(said(world.audit()))
    assert ("embedding-drift", "source vendor") not in found[0]
    assert ("embedding-drift", "source vendor") in found[-1]


def test_documents_that_left_are_drift_too() -> None:
    world = Nights(sizes={"wiki": 200})
    topic = world.topic()
    world.add("wiki", 60, topic=topic)
    world.audit()
    for field in ("names", "sources", "labels", "vectors", "scores"):
        del getattr(world, field)[200:]
    world.seen = len(world.names)
    assert ("embedding-drift", "source wiki") in said(world.audit())


def test_a_label_with_new_documents_on_another_subject_is_found() -> None:
    world = Nights()
    world.settle(3)
    world.add("wiki", 15, topic=world.topic(), label="team 3")
    assert ("embedding-drift", "label department=team 3") in said(world.audit())


def test_labels_that_change_their_shares_are_found() -> None:
    world = Nights()
    world.settle(3)
    world.add("vendor", 20, label="public")
    found = world.audit()
    (finding,) = [f for f in found.findings if f.rule == "label-drift"]
    assert finding.about == "source vendor, department"
    assert "'public'" in finding.detail


def test_documents_that_were_relabelled_are_found() -> None:
    world = Nights()
    world.settle(3)
    world.labels[:60] = ["public"] * 60
    assert ("label-drift", "source wiki, department") in said(world.audit())


def test_scores_that_rise_are_found() -> None:
    world = Nights()
    world.settle(3)
    world.scores = [s + 0.5 for s in world.scores]
    found = world.audit()
    (finding,) = [f for f in found.findings if f.rule == "score-drift"]
    assert finding.about == "isolation"
    assert "higher" in finding.detail
    assert finding.facts["moved"] == pytest.approx(0.5, abs=0.01)


def test_a_burst_and_a_jump_are_found() -> None:
    world = Nights()
    world.settle(6)
    world.add("vendor", 200)
    assert said(world.audit()) >= {("arrival-burst", "source vendor"), ("size-jump", "documents")}


def test_as_much_over_a_longer_time_is_no_burst() -> None:
    world = Nights()
    world.settle(6)
    world.now += timedelta(days=30)
    world.add("vendor", 120)
    assert "arrival-burst" not in {f.rule for f in world.audit().findings}


def test_few_documents_are_no_burst_however_rare() -> None:
    world = Nights()
    for _ in range(6):
        world.audit()
    world.add("vendor", 15)
    assert "arrival-burst" not in {f.rule for f in world.audit().findings}
    world.add("vendor", 40)
    assert "arrival-burst" in {f.rule for f in world.audit().findings}


def test_an_index_that_doubles_is_told_before_its_usual_growth_is_known() -> None:
    world = Nights()
    world.audit()
    world.add("wiki", 600)
    (finding,) = [f for f in world.audit().findings if f.about == "documents"]
    assert finding.rule == "size-jump"
    assert finding.p_value is None
    assert "grown from 420 to 1020" in finding.detail


def test_an_index_that_lost_half_is_told() -> None:
    world = Nights()
    world.audit()
    found = compare(world.snapshot(points=100, documents=150), world.history).findings
    assert {f.about for f in found if f.rule == "size-jump"} == {"documents", "points"}
    assert all("shrunk" in f.detail for f in found)


def test_vectors_of_another_model_are_not_compared() -> None:
    world = Nights()
    world.audit()
    world.vectors = [v[:, ::-1] for v in world.vectors]
    assert world.audit(space="another").shifts == {}
    assert world.audit(space="another").shifts["wiki"] == NO_SHIFT


def test_a_slice_of_the_index_is_held_against_another() -> None:
    """By rotation every night sees other documents of the same sources."""
    world = Nights(sizes={"wiki": 800})
    for part in range(4):
        chosen = np.arange(800) % 4 == part
        corpus = world.corpus(
            vectors=np.concatenate([v for v, c in zip(world.vectors, chosen, strict=True) if c]),
            documents=np.repeat(np.arange(200), 2),
            names=[n for n, c in zip(world.names, chosen, strict=True) if c],
            sources=["wiki"] * 200,
            labels={"department": [x for x, c in zip(world.labels, chosen, strict=True) if c]},
            scores={},
            fresh=None,
        )
        found = world.audit(corpus=corpus, points=1600, documents=800, arrived={"wiki": 0})
        assert found.findings == []
    assert found.snapshot.documents == 800


def test_series_go_over_the_last_audits_and_end_now() -> None:
    world = Nights()
    for number in range(3):
        found = world.audit(measures={"signed": 1.0 - number / 10})
        world.grow()
    assert [v for _, v in found.series["signed"]] == [1.0, 0.9, 0.8]
    assert found.series["documents"][-1] == (
        format_time(world.now - timedelta(days=1)),
        float(found.snapshot.documents),
    )
    assert len(found.series["arrived"]) == 2
    assert len(found.series["drift of source wiki"]) == 2


def test_only_the_last_audits_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "REMEMBERED", 2)
    world = Nights()
    for _ in range(5):
        found = world.audit()
    assert len(found.series["documents"]) == 3


def test_what_is_said_is_the_same_tomorrow() -> None:
    """A finding is known again by what it is about, not by its numbers."""
    world = Nights()
    world.settle(3)
    world.add("vendor", 30, topic=world.topic())
    first = {f.identity for f in world.audit().findings if f.rule == "embedding-drift"}
    again = {f.identity for f in world.audit().findings if f.rule == "embedding-drift"}
    assert "embedding-drift\n\nsource vendor" in first & again
