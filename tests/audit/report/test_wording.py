from __future__ import annotations

from dataclasses import replace

import pytest

from ragguard.audit.findings import AuditFinding, AuditReport, Part
from ragguard.audit.report import wording
from ragguard.audit.rules import RULES
from tests.support.audit import reports


def _with(*findings: AuditFinding, failed: tuple[str, ...] = ()) -> AuditReport:
    broken = [Part(name, "failed", "why") for name in failed]
    return replace(reports.quiet(), findings=findings, parts=[*reports.parts(), *broken])


SUSPECT = AuditFinding("suspect-document", "", "wiki/a")
NOTE = AuditFinding("arrival-burst", "", about="wiki")
CHANGED = AuditFinding("vector-changed", "", "wiki/a", "77", count=2)


@pytest.mark.parametrize(
    ("report", "mood", "headline"),
    [
        (_with(), "quiet", "Nothing to look at in 7,512 points."),
        (_with(NOTE), "quiet", "Nothing to look at in 7,512 points; 1 note."),
        (_with(SUSPECT, SUSPECT, NOTE), "look", "To look at: 2 suspect documents."),
        (_with(CHANGED, SUSPECT), "broken", "Not what was written: 2 changed vectors."),
        (_with(failed=("drift",)), "incomplete", "Not everything was looked at: drift failed."),
        (
            _with(SUSPECT, failed=("drift", "log")),
            "incomplete",
            "Not everything was looked at: drift and log failed. Found so far: 1 suspect document.",
        ),
        (
            _with(CHANGED, failed=("a", "b", "c", "d")),
            "broken",
            "Not what was written: 2 changed vectors; a, b, c and 1 further part failed.",
        ),
    ],
)
def test_the_headline_is_what_must_be_looked_at(
    report: AuditReport, mood: str, headline: str
) -> None:
    assert wording.mood(report) == mood
    assert wording.headline(report) == headline


def test_a_failed_part_is_never_nothing_to_look_at() -> None:
    for name in ("log", "index", "drift"):
        assert "Nothing" not in wording.headline(_with(failed=(name,)))


def test_every_rule_can_be_counted() -> None:
    for rule in RULES:
        assert wording.things(rule, 1).startswith("1 ")
        assert wording.things(rule, 2_000).startswith("2,000 ")
        assert wording.things(rule, 1)[2:] != wording.things(rule, 2)[2:]


def test_rules_stand_by_gravity_then_by_number() -> None:
    found = [NOTE, SUSPECT, AuditFinding("hub", "", "x", count=9), CHANGED]
    canary = AuditFinding("canary-forbidden", "", "x", count=99)
    assert list(wording.totals([*found, canary])) == [
        "vector-changed",
        "canary-forbidden",
        "hub",
        "suspect-document",
        "arrival-burst",
    ]
    assert list(wording.grouped([*found, canary])) == list(wording.totals([*found, canary]))


def test_what_changed_adds_up() -> None:
    report = reports.busy()
    change = wording.change(report)
    assert len(change.new) + len(change.still) == len(report.findings)
    assert {f.identity for f in change.new} == report.fresh
    assert not change.first
    first = wording.change(replace(report, previous="", fresh=frozenset()))
    assert (len(first.new), len(first.still), first.first) == (len(report.findings), 0, True)


@pytest.mark.parametrize(
    ("found", "about", "reason"),
    [
        (AuditFinding("hub", "wiki/a: too near", "wiki/a"), "wiki/a", "too near"),
        (AuditFinding("hub", "too near", "wiki/a", "77"), "wiki/a", "too near"),
        (AuditFinding("foreign-point", "not ours", "", "77"), "point 77", "not ours"),
        (AuditFinding("source-stale", "faq: expired", about="faq"), "faq", "expired"),
        (AuditFinding("log-broken", "cut short", about="cut short"), "", "cut short"),
        (AuditFinding("noise-flood", "many", collection="c"), "collection c", "many"),
    ],
)
def test_what_a_finding_is_about_is_said_once(found: AuditFinding, about: str, reason: str) -> None:
    assert (wording.subject(found), wording.reason(found)) == (about, reason)


@pytest.mark.parametrize(
    ("number", "shown"), [(12, "12 B"), (2_048, "2 KiB"), (5 << 20, "5 MiB"), (6 << 30, "6.0 GiB")]
)
def test_sizes_are_for_people(number: int, shown: str) -> None:
    assert wording.size(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.25, "0.2 s"), (75, "1 min 15 s"), (7_260, "2 h 1 min")]
)
def test_durations_are_for_people(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown
