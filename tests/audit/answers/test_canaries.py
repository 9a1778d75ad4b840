"""Canaries in the audit: what must not appear, and quality that is lost night by night."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ragguard import canary
from ragguard.audit import audit
from ragguard.audit.answers.canaries import check_canaries
from ragguard.audit.findings import AuditFinding, Note, RunningAudit
from ragguard.audit.snapshot import AuditSnapshot
from ragguard.canary.sets import Canaries, Forbidden, acts
from ragguard.lineage.prove import verify_log
from ragguard.quarantine.review import decide
from ragguard.trust.canonical import format_time
from tests.canary.test_ask import QRELS, QUERIES
from tests.support.simulator import HONEST, Gate

# Twelve queries, so that a bootstrap has something to say.
TWICE = {**QUERIES, **{f"{query}-2": f"tell me: {text}" for query, text in QUERIES.items()}}
JUDGED = {query: QRELS[query.removesuffix("-2")] for query in TWICE}
SET = Canaries(TWICE, JUDGED)


@pytest.fixture
def served(gate: Gate) -> Iterator[Gate]:
    assert gate.publish(HONEST).counts["admitted"] == 6
    yield gate
    gate.close()


def night(gate: Gate, past: dict[str, Any] | None = None) -> tuple[list[AuditFinding], Note, Any]:
    """The canaries of the next night."""
    gate.reopen(days=1)
    note, course = Note(), RunningAudit(lambda stage, done, total: None)
    taken = AuditSnapshot(format_time(gate.now), "space", 6, 6, measures={"signed": 1.0})
    snapshot, series = check_canaries(gate.workspace, course, note, taken, past or {})
    return course.findings, note, (snapshot, series)


def test_without_a_set_the_part_is_skipped_and_says_so(served: Gate) -> None:
    findings, note, (snapshot, series) = night(served)
    assert (note.state, note.reason) == ("skipped", "this workspace has no canary queries")
    assert (findings, series, dict(snapshot.measures)) == ([], {}, {"signed": 1.0})


def test_quiet_nights_find_nothing_and_are_remembered(served: Gate) -> None:
    canary.keep(served.workspace, SET)
    first, note, (snapshot, series) = night(served)
    assert (first, note.state, note.looked_at) == ([], "done", 12)
    assert snapshot.measures["canary nDCG@10"] > 0.8
    assert snapshot.measures["signed"] == 1.0
    second, _, (later, more) = night(served, dict(series))
    assert second == []
    assert [value for _, value in more["canary RR"]] == [later.measures["canary RR"]] * 2
    entries = acts(served.workspace, "canary run")
    assert [e["canaries"] for e in entries] == [SET.digest] * 2
    assert entries[0]["run"] == entries[1]["run"]
    assert verify_log(served.workspace).problems == []


def test_a_document_that_must_not_appear_is_one_finding(served: Gate) -> None:
    forbidden = (Forbidden("wiki/leave.md", reason="forged"), Forbidden(pattern="27 days"))
    made = Canaries(TWICE, JUDGED, forbidden, ("everybody has 27 days",))
    canary.keep(served.workspace, made)
    findings, _, _ = night(served)
    (found,) = findings
    assert (found.rule, found.document) == ("canary-forbidden", "wiki/leave.md")
    assert found.level == "error"
    assert found.count == 2 * 12 + 1
    assert found.facts["queries"] == [*sorted(TWICE), "everybody has 27 days"]


def test_answers_that_other_documents_push_away_are_found(served: Gate) -> None:
    canary.keep(served.workspace, SET)
    assert night(served)[0] == []
    flood = {f"{n}-{q}.txt": f"{text}? {text} {n}" for q, text in QUERIES.items() for n in "ab"}
    served.publish(flood)
    release_all(served)
    (found,) = night(served)[0]
    assert found.rule == "canary-quality"
    assert found.facts["lost"] > 0.05
    assert found.p_value is not None
    assert found.p_value <= 0.01
    assert found.count >= 6
    assert set(found.facts["queries"]) <= set(TWICE)
    # It stands as long as it lasts: the oldest night is remembered too.
    assert [f.rule for f in night(served)[0]] == ["canary-quality"]


def release_all(gate: Gate) -> None:
    for case in gate.cases():
        decide(gate.workspace, case, "release", gate.bob, "a careless reviewer")


def test_a_document_taken_out_is_no_loss_and_told(served: Gate) -> None:
    canary.keep(served.workspace, SET)
    night(served)
    (served.publisher.folder / "leave.md").unlink()
    assert served.publish().counts["removed"] == 1
    findings, note, _ = night(served)
    assert findings == []
    assert note.state == "partial"
    assert note.reason == "2 relevant documents are not in the index any more"


def test_runs_of_another_set_are_not_compared(served: Gate) -> None:
    others = {query: {"wiki/leave.md": 1} for query in TWICE}
    canary.keep(served.workspace, SET)
    night(served)
    canary.keep(served.workspace, Canaries(TWICE, others))
    assert night(served)[0] == []


def test_an_earlier_run_that_is_damaged_is_told_and_stops_nothing(served: Gate) -> None:
    canary.keep(served.workspace, SET)
    night(served)
    (entry,) = acts(served.workspace, "canary run")
    (served.folder / "w/vault" / entry["run"][:2] / entry["run"]).write_bytes(b"q Q0 d 1 1 x")
    (found,) = night(served)[0]
    assert found.rule == "vault-damaged"
    assert len(acts(served.workspace, "canary run")) == 2


def test_the_whole_audit_asks_them_and_its_report_says_what_they_answered(served: Gate) -> None:
    canary.keep(served.workspace, Canaries(TWICE, JUDGED, (Forbidden(pattern="27 days"),)))
    for count in (1, 2):
        served.reopen(days=1)
        report = audit(served.workspace).report
        (part,) = [p for p in report.parts if p.name == "canaries"]
        assert (part.state, part.reason, part.looked_at) == ("done", "", 12)
        (found,) = [f for f in report.findings if f.rule.startswith("canary")]
        assert (found.rule, found.document) == ("canary-forbidden", "wiki/leave.md")
        assert len(report.series["canary nDCG@10"]) == count
        assert not any(f.rule.startswith("vault") for f in report.findings)
    assert found.identity not in report.fresh
