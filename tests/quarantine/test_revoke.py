"""Revoking since a day: what goes, what stays, what brings it back."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragguard.errors import DecisionError, LogError, UsageError
from ragguard.ledger import commits, tables, versions
from ragguard.ledger.writer import Committer
from ragguard.lineage.prove import verify_log
from ragguard.quarantine import review
from ragguard.quarantine.revoke import Radius, blast_radius, find_target, revoke
from ragguard.trust import amend_root, dsse, keys
from ragguard.trust.canonical import canonical
from tests.support.simulator import HONEST, NEWS, NOW, SUSPECT, Gate, Publisher
from tests.support.workspaces.deciding import decide_all
from tests.support.workspaces.ledger_rows import decision_on

CHANGED = HONEST["leave.md"].replace("27 days", "28 days")
THEFT = NOW + timedelta(days=5)


def digest(gate: Gate) -> str:
    with gate.workspace.ledger.reading() as conn:
        return versions.corpus_digest(conn)


def radius(gate: Gate, key: str | None = "alice", source: str | None = None) -> Radius:
    target = find_target(gate.workspace.root, key, source)
    return blast_radius(gate.workspace, target, THEFT)


def carry_out(gate: Gate, found: Radius) -> int | None:
    return revoke(gate.workspace, found.target, found, "laptop stolen", [gate.root_key])


@pytest.fixture
def stolen(gate: Gate) -> Gate:
    """Alice's six documents; ten days later, by her key, one changed and one new."""
    gate.publish(HONEST)
    gate.reopen(days=10)
    report = gate.publish({"leave.md": CHANGED, "news.md": NEWS})
    assert {v.outcome for v in report.documents} == {"admit", "unchanged"}
    return gate


def test_the_radius_names_what_came_since_and_what_it_replaced(stolen: Gate) -> None:
    before = stolen.points()
    found = radius(stolen)
    assert [t.label for t in found.documents] == ["wiki/leave.md", "wiki/news.md"]
    assert {t.at for t in found.documents} == {"2026-03-11T12:00:00Z"}
    assert found.chunks == 2
    assert [(t.version.document, t.older.commit) for t in found.older if t.older] == [
        ("leave.md", 1)
    ]
    assert (found.waiting, found.vouched) == ([], [])
    assert stolen.points() == before
    assert stolen.workspace.root.revoked == {}


def test_all_of_it_goes_into_quarantine_in_one_commit(stolen: Gate) -> None:
    number = carry_out(stolen, radius(stolen))
    assert number == 3
    assert stolen.documents() == set(HONEST) - {"leave.md"}
    assert stolen.documents("quarantine") == {"leave.md", "news.md"}
    assert [c.document for c in stolen.cases()] == ["leave.md", "news.md"]
    shown = review.look(stolen.workspace, stolen.cases()[0])
    assert shown.version is not None
    (finding,) = shown.version.findings
    assert finding["check"] == "revoked"
    assert "laptop stolen" in finding["detail"]
    assert finding["facts"]["logged"] == "2026-03-11T12:00:00Z"
    assert stolen.alice.public.keyid in stolen.workspace.root.revoked
    with stolen.workspace.ledger.reading() as conn:
        row = commits.get(conn, 3)
    assert row is not None
    assert (row.kind, row.actor, row.source, row.counts) == (
        "revoke",
        "root",
        "wiki",
        {"pulled": 2},
    )
    assert verify_log(stolen.workspace).problems == []


def test_it_is_undone_in_one_commit_and_everything_is_as_it_was(stolen: Gate) -> None:
    before, texts = digest(stolen), {i: p["page_content"] for i, p in stolen.points().items()}
    number = carry_out(stolen, radius(stolen))
    assert number is not None
    assert digest(stolen) != before
    undone, released = decide_all(stolen.workspace, number, "release", stolen.bob, "was not stolen")
    assert undone == number + 1
    assert [c.document for c in released] == ["leave.md", "news.md"]
    assert digest(stolen) == before
    assert {i: p["page_content"] for i, p in stolen.points().items()} == texts
    assert stolen.documents("quarantine") == set()
    assert stolen.cases() == []
    assert verify_log(stolen.workspace).problems == []
    with stolen.workspace.ledger.reading() as conn:
        said = [decision_on(conn, c.id) for c in released]
    for row in said:
        envelope = dsse.parse_envelope(stolen.workspace.vault.get(row.envelope), max_bytes=1 << 20)
        public = {stolen.bob.public.keyid: stolen.bob.public}
        assert dsse.verify(envelope, public, payload_type=dsse.IN_TOTO, threshold=1)
    assert len({row.envelope for row in said}) == 2
    with pytest.raises(UsageError, match="opened no case"):
        decide_all(stolen.workspace, number, "release", stolen.bob, "again")


def test_both_commits_are_finished_by_the_next_start_when_they_are_cut_short(
    stolen: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended after the plan is recorded and before a point is written."""
    before = digest(stolen)
    with monkeypatch.context() as patch:
        patch.setattr(Committer, "_finish", _die)
        with pytest.raises(KeyboardInterrupt):
            carry_out(stolen, radius(stolen))
    assert stolen.reopen().recover() == 1
    assert stolen.documents("quarantine") == {"leave.md", "news.md"}
    assert radius(stolen).documents == []
    with monkeypatch.context() as patch:
        patch.setattr(Committer, "_finish", _die)
        with pytest.raises(KeyboardInterrupt):
            decide_all(stolen.workspace, 3, "release", stolen.bob, "was not stolen")
    assert stolen.reopen().recover() == 1
    assert digest(stolen) == before
    with stolen.workspace.ledger.reading() as conn:
        assert [decision_on(conn, c.id).commit for c in stolen.cases(None)] == [4, 4]
    assert verify_log(stolen.workspace).problems == []


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_who_signed_one_of_the_documents_releases_none(stolen: Gate) -> None:
    number = carry_out(stolen, radius(stolen))
    assert number is not None
    second = keys.generate("alice")
    stolen.trust(second, role="reviewer")
    with pytest.raises(DecisionError, match="signed the document"):
        decide_all(stolen.workspace, number, "release", second, "mine")
    with pytest.raises(UsageError, match="reason"):
        decide_all(stolen.workspace, number, "release", stolen.bob, " ")
    assert stolen.documents("quarantine") == {"leave.md", "news.md"}


def test_a_manifest_that_claims_to_be_older_is_not(gate: Gate) -> None:
    """A thief writes any date into a manifest; the log has its own clock."""
    gate.publish(HONEST)
    gate.reopen(days=10)
    gate.ingest(gate.publisher.publish({"news.md": NEWS}, now=NOW + timedelta(days=1)))
    assert [t.version.document for t in radius(gate).documents] == ["news.md"]


def test_after_a_kill_between_root_and_commit_the_same_call_does_the_rest(stolen: Gate) -> None:
    alice = stolen.alice.public
    stolen.change_root(lambda root: amend_root.revoke(root, alice, stolen.now, "stolen"))
    stolen.reopen()
    found = radius(stolen)
    assert not found.target.in_force
    version = stolen.workspace.root.version
    assert revoke(stolen.workspace, found.target, found, "laptop stolen") == 3
    assert stolen.workspace.root.version == version
    assert stolen.documents("quarantine") == {"leave.md", "news.md"}
    again = radius(stolen)
    assert (again.documents, again.waiting) == ([], ["wiki/leave.md", "wiki/news.md"])
    assert carry_out(stolen, again) is None


def test_what_waited_already_goes_on_waiting(stolen: Gate) -> None:
    stolen.publish({"safe.md": SUSPECT})
    assert radius(stolen).waiting == ["wiki/safe.md"]
    carry_out(stolen, radius(stolen))
    assert stolen.documents("quarantine") == {"leave.md", "news.md", "safe.md"}


def test_of_a_document_one_version_waits_at_a_time(stolen: Gate) -> None:
    """A newer version of it waited: it gives way to the one that served, which can come back."""
    stolen.publish({"news.md": f"{NEWS}\n\n{SUSPECT}"})
    assert [c.document for c in stolen.cases()] == ["news.md"]
    before = digest(stolen)
    number = carry_out(stolen, radius(stolen))
    assert number is not None
    assert [c.document for c in stolen.cases()] == ["leave.md", "news.md"]
    assert [c.state for c in stolen.cases(None)] == ["superseded", "open", "open"]
    waiting = [p for p in stolen.points("quarantine").values() if SUSPECT in p["page_content"]]
    assert waiting == []
    decide_all(stolen.workspace, number, "release", stolen.bob, "fine")
    assert digest(stolen) == before


def test_what_enough_others_signed_stays(gate: Gate) -> None:
    carol = keys.generate("carol")
    gate.trust(carol, source="wiki")
    path = gate.publisher.publish(HONEST)
    gate.reopen(days=10)
    both = dsse.add_signature(
        path.read_bytes(), carol.public.keyid, carol.signing_key, max_bytes=1 << 24
    )
    path.write_bytes(both)
    gate.ingest(path)
    found = radius(gate)
    assert found.documents == []
    assert found.vouched == sorted(f"wiki/{name}" for name in HONEST)
    dora = keys.generate("dora")
    gate.trust(dora, source="wiki", threshold=2)  # by now two are asked for: carol is not enough
    assert len(radius(gate).documents) == len(HONEST)


def test_a_source_is_revoked_with_all_that_came_from_it(stolen: Gate, tmp_path: Path) -> None:
    stolen.trust(stolen.alice, source="handouts")
    other = Publisher(tmp_path / "handouts", stolen.alice, "handouts")
    text = "# Parking\n\nThe car park opens at six. Charging posts are booked at the porter's."
    report = stolen.ingest(other.publish({"parking.md": text}, now=stolen.now), root=other.folder)
    assert [v.outcome for v in report.documents] == ["admit"]
    found = radius(stolen, None, "wiki")
    carry_out(stolen, found)
    assert set(stolen.workspace.root.sources) == {"handouts"}
    assert stolen.workspace.root.revoked == {}
    assert stolen.documents() == {*HONEST, "parking.md"} - {"leave.md"}
    again = radius(stolen, None, "wiki")
    assert (again.target.in_force, again.documents) == (False, [])


def test_without_a_day_nothing_leaves_the_corpus(stolen: Gate) -> None:
    target = find_target(stolen.workspace.root, "alice", None)
    assert revoke(stolen.workspace, target, None, "left", [stolen.root_key]) is None
    assert stolen.documents() == {*HONEST, "news.md"}
    assert stolen.alice.public.keyid in stolen.workspace.root.revoked


def test_a_revocation_without_the_root_key_changes_nothing(stolen: Gate) -> None:
    found = radius(stolen)
    before = stolen.points()
    with pytest.raises(Exception, match="trust root"):
        revoke(stolen.workspace, found.target, found, "mine", [stolen.bob])
    assert stolen.points() == before
    assert stolen.workspace.root.revoked == {}


@pytest.mark.parametrize(
    ("key", "source", "since", "said"),
    [
        (None, None, THEFT, "KEY or --source"),
        ("alice", "wiki", THEFT, "KEY or --source"),
        ("nobody", None, THEFT, "no such key"),
        (None, "nothing", NOW, "neither the trust root nor the ledger"),
        ("alice", None, NOW + timedelta(days=11), "in the future"),
    ],
)
def test_what_makes_no_sense_is_refused(
    gate: Gate, key: str | None, source: str | None, since: datetime, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        blast_radius(gate.workspace, find_target(gate.workspace.root, key, source), since)


def test_a_time_that_the_log_does_not_bear_out_is_not_believed(stolen: Gate) -> None:
    entries = tables.log_entries
    with stolen.workspace.ledger.writing() as conn:
        second = commits.get(conn, 2)
        assert second is not None
        where = entries.c.index == second.log_index
        body = json.loads(conn.execute(sa.select(entries.c.body).where(where)).scalar_one())
        moved = canonical({**body, "commit": 1}).decode()
        conn.execute(sa.update(entries).where(where).values(body=moved))
    with pytest.raises(LogError, match="not that of commit 2"):
        radius(stolen)
