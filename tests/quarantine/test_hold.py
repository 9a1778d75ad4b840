"""Holding: named documents leave the index in one commit, and a reviewer brings them back."""

from __future__ import annotations

import pytest

from ragguard.audit.log_check import check_log
from ragguard.errors import UsageError
from ragguard.ledger import commits, versions_at
from ragguard.ledger import decided as decided_rows
from ragguard.ledger.writer import Committer
from ragguard.lineage.custody import trace_document
from ragguard.lineage.prove import verify_log
from ragguard.quarantine.hold import HoldResult, hold
from ragguard.quarantine.review import look
from ragguard.trust.canonical import digest_bytes
from tests.support.simulator import HONEST, Gate
from tests.support.workspaces.deciding import decide_all

NAMED = ["wiki/visitors.md", "wiki/leave.md"]


@pytest.fixture
def published(gate: Gate) -> Gate:
    gate.publish(HONEST)
    return gate


def test_named_documents_go_into_quarantine_in_one_commit_and_come_back(published: Gate) -> None:
    before = published.points()
    made = hold(published.workspace, [*NAMED, NAMED[0]], "trace named them")
    assert made == HoldResult(2, sorted(NAMED), [])
    assert published.documents() == set(HONEST) - {"leave.md", "visitors.md"}
    assert published.documents("quarantine") == {"leave.md", "visitors.md"}
    shown = look(published.workspace, published.cases()[0])
    assert shown.version is not None
    (finding,) = shown.version.findings
    assert (finding["check"], finding["detail"]) == ("held", "held by hand: trace named them")
    with published.workspace.ledger.reading() as conn:
        row = commits.get(conn, 2)
    assert row is not None
    assert (row.kind, row.actor) == ("hold", "operator")
    assert list(trace_document(published.workspace, "wiki/leave.md").problems) == []
    assert hold(published.workspace, NAMED, "again") == HoldResult(None, [], NAMED)
    number, released = decide_all(published.workspace, 2, "release", published.bob, "a false alarm")
    assert (number, len(released)) == (3, 2)
    assert published.points().keys() == before.keys()
    assert verify_log(published.workspace).problems == []


def test_what_was_held_is_denied_in_one_commit(published: Gate) -> None:
    """As if each had been rejected alone: the same denials, a signed decision for each document."""
    hold(published.workspace, NAMED, "trace named them")
    number, rejected = decide_all(published.workspace, 2, "reject", published.bob, "poison")
    assert (number, [c.document for c in rejected]) == (3, ["leave.md", "visitors.md"])
    assert published.documents("quarantine") == set()
    with published.workspace.ledger.reading() as conn:
        denied = {row.digest for row in decided_rows.denied(conn)}
        assert {
            len(versions_at.decisions_on(conn, "wiki", name))
            for name in ("leave.md", "visitors.md")
        } == {1}
    assert denied == {digest_bytes(HONEST[n].encode()) for n in ("leave.md", "visitors.md")}
    for name in NAMED:
        assert [d["verified"] for d in trace_document(published.workspace, name).decisions] == [
            True
        ]
    assert check_log(published.workspace) == []
    report = published.publish({"copy.md": HONEST["leave.md"]})
    assert {d.id: d.outcome for d in report.documents}["copy.md"] == "reject"
    with pytest.raises(UsageError, match="no case that is still open"):
        decide_all(published.workspace, 2, "reject", published.bob, "again")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2_001])
def test_a_hold_without_a_reason_is_refused(gate: Gate, reason: str) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        hold(gate.workspace, NAMED, reason)


def test_an_unknown_name_stops_all_and_what_was_cut_off_is_finished_at_the_next_start(
    published: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(UsageError, match=r"'wiki/nothing\.md' .* nothing was held"):
        hold(published.workspace, [*NAMED, "wiki/nothing.md"], "x")
    with monkeypatch.context() as patch:
        patch.setattr(Committer, "_finish", die)
        with pytest.raises(KeyboardInterrupt):
            hold(published.workspace, NAMED, "trace named them")
    assert published.documents() == set(HONEST)
    assert published.reopen().recover() == 1
    assert published.documents() == set(HONEST) - {"leave.md", "visitors.md"}
    assert published.documents("quarantine") == {"leave.md", "visitors.md"}
    assert hold(published.workspace, NAMED, "again").commit is None
