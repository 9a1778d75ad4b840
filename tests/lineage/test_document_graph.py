"""The graph of a document: every step verified by itself, and only what is wrong is red."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.errors import UsageError
from ragguard.ledger.tables import (
    cases,
    commits,
    decisions,
    log_entries,
    membership,
    seals,
    versions,
)
from ragguard.lineage.document_graph import document_lineage
from ragguard.lineage.graph import Lineage
from ragguard.lineage.prove import verify_log
from ragguard.quarantine.review import decide
from ragguard.trust import amend_root, keys
from tests.support.simulator import HONEST, SUSPECT, Gate


def states(made: Lineage) -> dict[str, str]:
    """Kind of each step that is not verified, and its state."""
    return {step.kind: step.state for step in made.steps if step.state != "verified"}


def look(gate: Gate, what: str = "wiki/safe.md") -> Lineage:
    return document_lineage(gate.workspace, what)


def test_an_untouched_document_is_green_from_its_points_to_the_checkpoint(traced: Gate) -> None:
    made = look(traced)
    assert states(made) == {}
    kinds = [step.kind for step in made.steps]
    assert kinds == [
        *("point", "seals", "stay", "stay", "version", "bytes", "case", "decision", "reviewer"),
        *("manifest", "signer", "commit", "commit", "entry", "entry", "checkpoint"),
    ]
    told = {(e.source.split(":")[0], e.relation, e.target.split(":")[0]) for e in made.edges}
    assert {
        ("point", "sealed by", "seals"),
        ("stay", "of", "version"),
        ("version", "listed in", "manifest"),
        ("manifest", "signed by", "signer"),
        ("case", "decided by", "decision"),
        ("decision", "signed by", "reviewer"),
        ("commit", "logged as", "entry"),
        ("entry", "under", "checkpoint"),
    } <= told
    names = {step.id for step in made.steps}
    assert all({e.source, e.target} <= names for e in made.edges)
    assert made.focus.startswith("version:")


def test_a_chunk_is_a_step_of_its_document(traced: Gate) -> None:
    point = next(step for step in look(traced).steps if step.kind == "point")
    made = look(traced, point.facts["point"])
    assert (made.subject, made.focus) == ("wiki/safe.md", point.id)
    with pytest.raises(UsageError, match="no such point or document"):
        look(traced, "wiki/nothing.md")


def test_every_version_is_in_it(traced: Gate) -> None:
    made = look(traced, "wiki/leave.md")
    assert states(made) == {}
    assert sum(step.kind == "version" for step in made.steps) == 2
    assert "replaced" in {edge.relation for edge in made.edges}


def test_who_became_a_reviewer_later_was_none_of_that_day(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    carol = keys.generate("carol")
    later = amend_root.add(gate.workspace.root, carol.public, gate.now, role="reviewer")
    monkeypatch.setattr(gate.workspace, "root", later)
    decide(gate.workspace, gate.cases()[0], "release", carol, "let us")
    monkeypatch.undo()
    gate.trust(carol, role="reviewer")
    found = next(step for step in look(gate).steps if step.kind == "decision")
    assert (found.state, found.reason) == ("wrong", "decision: not signed by a reviewer in force")
    assert any(
        "not signed by a reviewer in force" in p for p in verify_log(gate.workspace).problems
    )


# --- what is changed is red, and nothing else -----------------------------------------------------


@contextmanager
def flipped(gate: Gate, kind: str, name: str) -> Iterator[None]:
    """One byte changed of what the vault keeps for a step."""
    digest = str(next(s for s in look(gate).steps if s.kind == kind).facts[name])
    path = Path(gate.folder / "w/vault" / digest[:2] / digest)
    data = path.read_bytes()
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(changed))
    yield
    path.write_bytes(data)


@contextmanager
def changed(
    gate: Gate, table: sa.Table, where: sa.ColumnElement[bool], **values: Any
) -> Iterator[None]:
    """Rows of the ledger with other values."""
    with gate.workspace.ledger.writing() as conn:
        rows = [dict(row._mapping) for row in conn.execute(sa.select(table).where(where))]
        assert rows
        conn.execute(sa.update(table).where(where).values(**values))
    yield
    with gate.workspace.ledger.writing() as conn:
        for row in rows:
            same = [column == row[column.name] for column in table.primary_key]
            conn.execute(sa.update(table).where(*same).values(**row))


@contextmanager
def another_point(gate: Gate, **payload: Any) -> Iterator[None]:
    """The document's point with another payload; gone where none is given."""
    store, generation = gate.workspace.open_store(), gate.workspace.generation()
    assert generation is not None
    number = next(i for i, p in gate.points().items() if p["ragguard"]["document"] == "safe.md")
    (point,) = store.get(generation.serving, [number], vectors=True)
    if payload:
        store.upsert(generation.serving, [replace(point, payload={**point.payload, **payload})])
    else:
        store.delete(generation.serving, [number])
    yield
    store.upsert(generation.serving, [point])


SAFE = versions.c.document == "safe.md"
SERVES = sa.and_(membership.c.zone == "serving", membership.c.since == 2)
TAMPERED: dict[str, tuple[Callable[[Gate], AbstractContextManager[None]], dict[str, str]]] = {
    "a byte in the vault": (lambda g: flipped(g, "bytes", "sha256"), {"bytes": "wrong"}),
    "the seals": (
        lambda g: changed(g, seals, seals.c.seal != "", seal="0" * 64),
        {"seals": "wrong"},
    ),
    "who decided": (
        lambda g: changed(g, decisions, decisions.c.id == 1, reviewer="carol"),
        {"decision": "wrong"},
    ),
    "why it was decided": (
        lambda g: changed(g, decisions, decisions.c.id == 1, reason="it was asked for"),
        {"decision": "wrong"},
    ),
    "a decision's bytes": (lambda g: flipped(g, "decision", "envelope"), {"decision": "wrong"}),
    "a point's payload": (
        lambda g: another_point(g, page_content="the pin is 0000"),
        {"point": "wrong"},
    ),
    "a point, gone": (another_point, {"point": "wrong"}),
    "a verdict": (lambda g: changed(g, versions, SAFE, score=0.0), {"version": "wrong"}),
    "a stay": (lambda g: changed(g, membership, SERVES, since=1), {"stay": "wrong"}),
    "a case": (lambda g: changed(g, cases, cases.c.id == 1, state="rejected"), {"case": "wrong"}),
    "a commit": (
        lambda g: changed(g, commits, commits.c.id == 2, actor="eve"),
        {"commit": "wrong"},
    ),
    "a manifest": (
        lambda g: flipped(g, "manifest", "envelope"),
        {"manifest": "wrong", "signer": "unproved", "version": "unproved"},
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_is_red_and_nothing_else_is(traced: Gate, what: str) -> None:
    tamper, expected = TAMPERED[what]
    with tamper(traced):
        made = look(traced)
    found = states(made)
    if what == "a commit":  # what rests on it is not proved any more, and not wrong
        assert {found.pop(k) for k in ("case", "decision", "stay", "seals")} == {"unproved"}
    assert found == expected
    (red,) = made.wrong
    assert red.reason
    assert states(look(traced)) == {}


def test_an_entry_that_was_changed_leaves_its_commit_unproved(traced: Gate) -> None:
    with traced.workspace.ledger.reading() as conn:
        (index,) = conn.execute(sa.select(commits.c.log_index).where(commits.c.id == 2)).one()
        at = log_entries.c.index == index
        text = conn.execute(sa.select(log_entries.c.body).where(at)).scalar_one()
    body = json.dumps({**json.loads(text), "actor": "carol"})
    with changed(traced, log_entries, at, body=body):
        made = look(traced)
    assert [step.id for step in made.wrong] == [f"entry:{index}"]
    assert next(s for s in made.steps if s.id == "commit:2").state == "unproved"
    assert next(s for s in made.steps if s.id == "commit:1").state == "verified"


def test_a_rewritten_log_is_red_at_its_checkpoint(traced: Gate) -> None:
    with changed(traced, log_entries, log_entries.c.index == 0, leaf=b"0" * 32):
        made = look(traced)
    assert [step.kind for step in made.wrong] == ["checkpoint"]
    assert not any(s.state == "verified" for s in made.steps if s.kind in ("entry", "commit"))


def test_a_signer_who_was_revoked_later_counted_then_and_it_is_told(traced: Gate) -> None:
    traced.reopen(days=1)
    traced.change_root(
        lambda root: amend_root.revoke(root, traced.alice.public, traced.now, "stolen")
    )
    made = look(traced)
    assert states(made) == {}
    signer = next(step for step in made.steps if step.kind == "signer")
    assert signer.facts["revoked"] == "2026-03-02T12:00:00Z"
