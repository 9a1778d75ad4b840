"""The log and the ledger against it: every table that is written to behind their back is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.audit.earlier import remembered
from ragguard.audit.findings import AuditFinding
from ragguard.audit.log_check import check_log
from ragguard.canary.sets import acts
from ragguard.corpus.log_check import verify_log
from ragguard.errors import LogError, StoreError
from ragguard.ledger import commits, log
from ragguard.ledger.tables import cases as case_rows
from ragguard.ledger.tables import (
    checkpoints,
    decisions,
    denials,
    log_entries,
    manifests,
    membership,
    points,
    recipes,
    roots,
    seals,
    versions,
)
from ragguard.ledger.tables import commits as commit_rows
from ragguard.ledger.writer import append_entry
from ragguard.trust import merkle
from ragguard.trust.canonical import canonical
from ragguard.trust.signed_note import Checkpoint, checkpoint_text
from tests.support.audit.world import live
from tests.support.simulator import HONEST, SUSPECT, Gate
from tests.support.workspaces.copying import copy_folder
from tests.support.workspaces.deciding import decide_all


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """Ingest, release, reject, update and removal, all in the log."""
    gate = Gate(tmp_path_factory.mktemp("logcheck"))
    for _ in live(gate, {"department": "it", "weight": 0.5, "public": True}, "legal"):
        pass
    return gate


def alter(gate: Gate, *statements: sa.Executable) -> None:
    """Change tables behind the ledger's back."""
    with gate.workspace.ledger.writing() as conn:
        conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for statement in statements:
            conn.execute(statement)


def head(gate: Gate) -> str:
    with gate.workspace.ledger.reading() as conn:
        return log.kept_checkpoints(conn)[-1][1]


def rules(found: list[AuditFinding]) -> set[str]:
    return {f.rule for f in found}


def says(found: list[AuditFinding]) -> str:
    return "\n".join(f.detail for f in found)


# --- honest ---------------------------------------------------------------------------------------


def test_an_honest_log_and_ledger_give_no_finding(kept: Gate) -> None:
    assert check_log(kept.workspace) == []
    assert check_log(kept.workspace, head(kept)) == []


def test_a_new_workspace_gives_no_finding(gate: Gate) -> None:
    assert check_log(gate.workspace) == []


def test_a_checkpoint_stays_good_as_the_log_grows(kept: Gate) -> None:
    old = head(kept)
    workspace = kept.workspace
    with workspace.ledger.writing() as conn:
        append_entry(conn, {"act": "audit"}, workspace.origin, workspace.sign_note)
    assert check_log(workspace, old) == []


def test_a_commit_that_was_killed_is_no_finding(
    new_gate: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = new_gate()
    gate.publish({"leave.md": HONEST["leave.md"]})
    store = gate.workspace.open_store()

    def fail(collection: str) -> None:
        raise StoreError("store: unreachable")

    monkeypatch.setattr(store, "flush", fail)
    assert gate.publish({"laptops.md": HONEST["laptops.md"]}).exit_code == 5
    with gate.workspace.ledger.reading() as conn:
        assert len(commits.pending(conn)) == 1
    assert check_log(gate.workspace) == []


# --- the log --------------------------------------------------------------------------------------


def test_a_changed_entry_breaks_the_log(kept: Gate) -> None:
    table = log_entries
    alter(kept, sa.update(table).where(table.c.index == 1).values(body='{"act":"nothing"}'))
    assert "log-broken" in rules(check_log(kept.workspace))


def test_a_truncated_log_breaks_the_log(kept: Gate) -> None:
    with kept.workspace.ledger.reading() as conn:
        last = log.size(conn) - 1
    alter(kept, sa.delete(log_entries).where(log_entries.c.index == last))
    found = check_log(kept.workspace)
    assert rules(found) == {"log-broken", "ledger-inconsistent"}
    assert "it was truncated" in says(found)


def test_a_checkpoint_by_another_key_breaks_the_log(kept: Gate, gate: Gate) -> None:
    text = checkpoint_text(Checkpoint(kept.workspace.origin, 1, b"\0" * 32))
    alter(kept, sa.update(checkpoints).values(note=gate.workspace.sign_note(text)))
    assert rules(check_log(kept.workspace)) == {"log-broken"}


def resign(gate: Gate) -> None:
    """Sign the whole log anew, as whoever holds the checkpoint key can."""
    workspace = gate.workspace
    with workspace.ledger.writing() as conn:
        leaves = log.leaves(conn)
        conn.execute(sa.delete(checkpoints))
        made = Checkpoint(workspace.origin, len(leaves), merkle.root(leaves))
        log.keep_checkpoint(conn, made.size, workspace.sign_note(checkpoint_text(made)))


@pytest.mark.parametrize(
    "body", [b"\xff", "[]", "", '{"act":"audit","a":' + "[" * 100_000], ids=len
)
def test_an_entry_that_is_none_any_more_is_a_finding_and_stops_nobody(
    kept: Gate, body: str | bytes
) -> None:
    workspace = kept.workspace
    with workspace.ledger.writing() as conn:
        append_entry(conn, {"act": "audit"}, workspace.origin, workspace.sign_note)
        values = (body, log.size(conn) - 1)
        conn.exec_driver_sql('UPDATE log_entries SET body = ? WHERE "index" = ?', values)
    assert "log-broken" in rules(check_log(workspace))
    assert verify_log(workspace).problems
    remembered(workspace), acts(workspace, "audit")
    with workspace.ledger.reading() as conn, pytest.raises(LogError, match="damaged"):
        log.body(conn, values[1])


def test_a_log_rewritten_and_signed_again_is_found_by_the_checkpoint_kept_outside(
    kept: Gate,
) -> None:
    remembered = head(kept)
    with kept.workspace.ledger.reading() as conn:
        text = canonical({**log.body(conn, 1), "reason": "another"})
    values = {"body": text.decode(), "leaf": merkle.leaf_hash(text)}
    alter(kept, sa.update(log_entries).where(log_entries.c.index == 1).values(**values))
    resign(kept)
    assert check_log(kept.workspace) == [], "from the inside it looks whole"
    found = check_log(kept.workspace, remembered)
    assert rules(found) == {"log-rolled-back"}


def test_an_old_ledger_put_back_is_found_by_the_checkpoint_kept_outside(
    kept: Gate, tmp_path: Path
) -> None:
    kept.close()
    old = copy_folder(kept.folder, tmp_path / "old")
    workspace = kept.workspace
    with workspace.ledger.writing() as conn:
        append_entry(conn, {"act": "audit"}, workspace.origin, workspace.sign_note)
    remembered = head(kept)
    kept.close()
    kept.folder = old
    assert check_log(kept.workspace) == []
    found = check_log(kept.workspace, remembered)
    assert (rules(found), "truncated" in says(found)) == ({"log-rolled-back"}, True)


@pytest.mark.parametrize("text", ["", "no checkpoint", "a\n1\nAAAA\n\n— a b\n"])
def test_a_remembered_checkpoint_that_is_none_is_a_finding(kept: Gate, text: str) -> None:
    assert rules(check_log(kept.workspace, text)) == {"log-rolled-back"}


def test_a_remembered_checkpoint_of_another_workspace_is_a_finding(kept: Gate, gate: Gate) -> None:
    assert rules(check_log(kept.workspace, head(gate))) == {"log-rolled-back"}


# --- the ledger -----------------------------------------------------------------------------------

LAST = sa.select(sa.func.max(commit_rows.c.id)).scalar_subquery()
SERVING = sa.and_(membership.c.zone == "serving", membership.c.until.is_(None))
WAITING = sa.and_(membership.c.zone == "quarantine", membership.c.until.is_(None))
ONE_SEAL = sa.select(sa.func.min(seals.c.point)).scalar_subquery()


def version(document: str) -> Any:
    return versions.c.document == document


LEDGER: dict[str, sa.Executable] = {
    "a commit's time": sa.update(commit_rows).where(commit_rows.c.id == 1).values(at="2020"),
    "a commit's actor": sa.update(commit_rows).where(commit_rows.c.id == 1).values(actor="bob"),
    "a commit's kind": sa.update(commit_rows).where(commit_rows.c.id == 3).values(kind="removal"),
    "a commit's counts": sa.update(commit_rows).values(counts={"admitted": 1}),
    "a commit's manifest": sa.update(commit_rows).values(manifest="ab" * 32),
    "a commit's corpus": sa.update(commit_rows).where(commit_rows.c.id == LAST).values(corpus="x"),
    "a commit that is none any more": sa.update(commit_rows).values(state="pending"),
    "another commit": sa.insert(commit_rows).values(
        id=99,
        kind="ingest",
        state="confirmed",
        at="2026",
        actor="eve",
        plan="ab" * 32,
        corpus="cd" * 32,
        log_index=1,
        counts={},
    ),
    "a version's metadata": sa.update(versions)
    .where(version("laptops.md"))
    .values(metadata={"department": "Public"}),
    "a version's verdict": sa.update(versions)
    .where(version("gate.md"))
    .values(outcome="admit", findings=[]),
    "a version's digest": sa.update(versions).where(version("gate.md")).values(digest="ab" * 32),
    "a point's text digest": sa.update(points).where(points.c.version == 1).values(text_digest="x"),
    "a point taken out": sa.delete(points).where(points.c.version == 1),
    "a point put in": sa.insert(points).values(
        version=1, ordinal=9, point="x", start=0, end=1, text_digest="x"
    ),
    "membership: another zone": sa.update(membership).where(WAITING).values(zone="serving"),
    "membership: out of serving": sa.update(membership).where(SERVING).values(until=LAST),
    "membership: out of quarantine": sa.update(membership).where(WAITING).values(until=LAST),
    "membership: back in": sa.update(membership)
    .where(membership.c.until.is_not(None))
    .values(until=None),
    "membership: since another commit": sa.update(membership).where(SERVING).values(since=2),
    "membership: one more": sa.insert(membership).values(version=1, zone="serving", since=1),
    "a seal": sa.update(seals).where(seals.c.point == ONE_SEAL).values(seal="ab" * 32),
    "a seal taken out": sa.delete(seals).where(seals.c.point == ONE_SEAL),
    "a seal put in": sa.insert(seals).values(
        point="00000000-0000-4000-8000-000000000001", collection="corpus-g1", seal="ab" * 32
    ),
    "a seal of no id": sa.insert(seals).values(point="x", collection="corpus-g1", seal="x"),
    "a manifest's signers": sa.update(manifests).values(signers=[["ab" * 32, "eve"]]),
    "a manifest's expiry": sa.update(manifests).values(expires="2099-01-01T00:00:00Z"),
    "a case closed": sa.update(case_rows)
    .where(case_rows.c.state == "open")
    .values(state="released"),
    "a case opened again": sa.update(case_rows).values(state="open"),
    "a case taken out": sa.delete(case_rows).where(case_rows.c.state == "open"),
    "a decision's reviewer": sa.update(decisions).values(reviewer="eve"),
    "a denial taken out": sa.delete(denials),
    "a denial put in": sa.update(denials).values(digest="ab" * 32),
    "a trust root": sa.update(roots).where(roots.c.version == 1).values(digest="ab" * 32),
    "a trust root taken out": sa.delete(roots).where(roots.c.version == 1),
    "a recipe": sa.update(recipes).values(body={"model": "another"}),
}


@pytest.mark.parametrize("kind", LEDGER)
def test_a_ledger_written_to_is_found(kept: Gate, kind: str) -> None:
    alter(kept, LEDGER[kind])
    found = check_log(kept.workspace)
    assert rules(found) == {"ledger-inconsistent"}, says(found)
    assert all(f.level == "error" for f in found)


def test_a_replayed_seal_in_the_ledger_is_not_taken_for_the_newest(kept: Gate) -> None:
    """The state before the change of metadata, put back where its newer one should be."""
    from ragguard.ledger.writer import load_plan

    with kept.workspace.ledger.reading() as conn:
        rows = commits.listed(conn)
    plans = [load_plan(kept.workspace.vault.get(r.plan)) for r in rows]
    states: dict[str, list[str]] = {}
    for plan in plans:
        for write in plan.writes.get("corpus-g1", ()):
            states.setdefault(write.id, []).append(write.payload["ragguard"]["seal"])
    point, (now, before) = next((i, s) for i, s in states.items() if len(s) == 2)
    assert now != before
    mine = sa.and_(seals.c.point == point, seals.c.collection == "corpus-g1")
    alter(kept, sa.update(seals).where(mine).values(seal=before))
    assert "1 seals of 'corpus-g1' are not the ones written" in says(check_log(kept.workspace))


def test_a_plan_that_is_gone_is_the_vaults_fault(kept: Gate) -> None:
    with kept.workspace.ledger.reading() as conn:
        (row, *_) = commits.listed(conn)
    (kept.folder / "w" / "vault" / row.plan[:2] / row.plan).unlink()
    found = check_log(kept.workspace)
    assert rules(found) == {"vault-damaged"}, says(found)


def test_a_commit_with_many_decisions_gives_no_finding(gate: Gate) -> None:
    names = ("safe", "door", "gate")
    gate.publish({**HONEST, **{f"{n}.md": SUSPECT.replace("safe", n) for n in names}})
    decide_all(gate.workspace, 1, "release", gate.bob, "a drill")
    assert check_log(gate.workspace) == []
    alter(gate, sa.update(decisions).where(decisions.c.id == 2).values(reason="another"))
    assert rules(check_log(gate.workspace)) == {"ledger-inconsistent"}
