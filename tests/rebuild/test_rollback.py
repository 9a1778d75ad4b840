"""Rollback: an earlier state by a new commit, and an older generation that serves again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from ragguard.audit.log_check import check_log
from ragguard.audit.provenance import check_provenance
from ragguard.embed.encoder import DirectEncoder
from ragguard.errors import IntegrityError, RecipeMismatchError, UsageError
from ragguard.export.write import export
from ragguard.ledger import commits, tables
from ragguard.quarantine import review
from ragguard.quarantine.hold import hold
from ragguard.rebuild.reindex import reindex
from ragguard.rebuild.rollback import RollbackResult, rollback
from ragguard.store import Point
from tests.support.audit.whole_index import check_index
from tests.support.simulator import HONEST, NEWS, SUSPECT, Gate, outcomes
from tests.support.workspaces.deciding import decide_all
from tests.support.workspaces.rebuilding import (
    LEAVE,
    MENU,
    OTHER,
    SMALL,
    answers,
    falsify,
    proved,
    revoke_alice,
    serve_denied,
    serve_near_denied,
    settings,
    states,
)


def back(gate: Gate, where: str, /, **rest: Any) -> RollbackResult:
    return rollback(gate.workspace, where, **rest)


def sound(gate: Gate) -> None:
    """An audit of log, ledger, index and provenance finds nothing."""
    gate.reopen()
    found = [*check_log(gate.workspace), *check_index(gate.workspace)]
    found += check_provenance(gate.workspace).findings
    assert [(f.rule, f.detail) for f in found] == []


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts the encoder was given, call by call."""
    given: list[int] = []
    real = DirectEncoder.encode

    def counting(self: DirectEncoder, texts: Any, progress: Any = None) -> Any:
        given.append(len(texts))
        return real(self, texts, progress)

    monkeypatch.setattr(DirectEncoder, "encode", counting)
    return given


def test_a_commit_is_gone_back_to_and_forth_with_nothing_embedded(
    gate: Gate, unasked: list[int]
) -> None:
    """An ingest, an update and a removal are undone, and brought back, each by a new commit."""
    gate.publish(HONEST)
    first = answers(gate)
    gate.publish({"news.md": NEWS, "leave.md": LEAVE})
    (gate.publisher.folder / "visitors.md").unlink()
    gate.publish()
    last = answers(gate)
    unasked.clear()
    plan = back(gate, "1", dry_run=True)
    assert (plan.back, plan.gone, plan.commit) == (
        ["wiki/leave.md", "wiki/visitors.md"],
        ["wiki/news.md"],
        None,
    )
    done = back(gate, "1")
    assert (done.commit, done.before, done.after, done.exit_code) == (4, 6, 6, 0)
    assert (done.back, done.gone) == (plan.back, plan.gone)
    assert (unasked, done.embedded) == ([], 0)
    assert answers(gate) == first
    again = back(gate, "1")
    assert (again.unchanged, again.commit, again.exit_code) == (True, None, 0)
    sound(gate)
    done = back(gate, "3")
    assert (done.commit, done.back, done.gone) == (
        5,
        ["wiki/leave.md", "wiki/news.md"],
        ["wiki/visitors.md"],
    )
    assert answers(gate) == last
    with gate.workspace.ledger.reading() as conn:
        rows = {r.id: r for r in commits.listed(conn)}
    assert [rows[n].kind for n in sorted(rows)] == ["ingest"] * 3 + ["rollback"] * 2
    assert [rows[4].corpus, rows[5].corpus] == [rows[1].corpus, rows[3].corpus]
    acts = proved(gate.workspace, "news.md")["acts"]
    assert [act["act"] for act in acts] == ["ingest", "rollback"]
    sound(gate)


def test_what_came_later_is_judged_when_a_new_manifest_lists_it(gate: Gate) -> None:
    gate.publish(HONEST)
    path = gate.publisher.publish({"news.md": NEWS}, now=gate.now)
    gate.ingest(path)
    back(gate, "1")
    assert gate.documents() == set(HONEST)
    again = gate.ingest(path)  # the accepted manifest again is a no-op
    assert (again.exit_code, gate.documents()) == (1, set(HONEST))
    report = gate.publish()
    assert outcomes(report)["news.md"] == "admit"
    assert gate.documents() == {*HONEST, "news.md"}
    sound(gate)


def test_what_is_denied_or_cannot_be_proved_is_refused_by_name(gate: Gate) -> None:
    serve_denied(gate)  # the release is commit 2
    for names in (("safe.md", "copy.md"), ("visitors.md",)):
        for name in names:
            (gate.publisher.folder / name).unlink()
        gate.publish()
        gate.reopen(days=8)  # removals are counted over a week
    name = gate.workspace.vault.put(HONEST["visitors.md"].encode())
    lost = next(p for p in (gate.folder / "w/vault").rglob("*") if p.name == name)
    lost.unlink()
    before = gate.points()
    with pytest.raises(IntegrityError) as raised:
        back(gate, "2")
    assert "2 documents that must not serve: wiki/safe.md (a reviewer rejected" in str(raised.value)
    assert "wiki/visitors.md" in str(raised.value)
    assert raised.value.exit_code == 3
    with pytest.raises(IntegrityError):
        back(gate, "2", dry_run=True)
    assert gate.points() == before
    with gate.workspace.ledger.reading() as conn:
        assert len(commits.listed(conn)) == 6
    done = back(gate, "2", leave_out=True)
    assert [(one.label, one.findings[0].check) for one in done.left] == [
        ("wiki/safe.md", "denied"),
        ("wiki/visitors.md", "integrity"),
    ]
    assert (done.unchanged, done.commit, done.exit_code) == (True, None, 1)
    lost.write_bytes(HONEST["visitors.md"].encode())
    done = back(gate, "2", leave_out=True)
    assert (done.back, len(done.left)) == (["wiki/visitors.md"], 1)
    assert gate.documents() == set(HONEST)
    sound(gate)


def test_what_waits_goes_on_waiting_and_a_revoked_signer_is_not_brought_back(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.reopen(days=10)
    gate.publish({"news.md": NEWS, "menu.md": MENU})
    (gate.publisher.folder / "menu.md").unlink()
    gate.publish({"leave.md": LEAVE})
    number = revoke_alice(gate)
    assert (number, gate.documents("quarantine")) == (4, {"news.md", "leave.md"})
    done = back(gate, "3")  # there is nothing else to bring back
    assert (done.unchanged, done.waiting, done.exit_code) == (
        True,
        ["wiki/leave.md", "wiki/news.md"],
        1,
    )
    with pytest.raises(IntegrityError, match=r"wiki/menu\.md \(0 of 1 valid signatures; revoked"):
        back(gate, "2")
    done = back(gate, "1")
    assert (done.back, done.gone, done.waiting) == (["wiki/leave.md"], [], [])
    assert gate.documents() == set(HONEST)
    assert gate.documents("quarantine") == {"news.md", "leave.md"}
    assert len(gate.cases()) == 2
    sound(gate)


def test_a_released_document_may_come_back_although_its_signer_was_revoked(gate: Gate) -> None:
    """And the next audit remembers why it may."""
    gate.publish(HONEST)
    gate.reopen(days=10)
    gate.publish({"news.md": NEWS})
    assert revoke_alice(gate) == 3
    decide_all(gate.workspace, 3, "release", gate.bob, "is fine")
    assert back(gate, "1").gone == ["wiki/news.md"]
    assert back(gate, "4").back == ["wiki/news.md"]
    sound(gate)


def test_a_commit_before_a_rebuild_is_gone_back_to_by_the_recipe_of_today(
    gate: Gate, unasked: list[int]
) -> None:
    gate.publish({**HONEST, "menu.md": MENU})
    (gate.publisher.folder / "menu.md").unlink()
    gate.publish({"leave.md": LEAVE})
    assert reindex(gate.workspace).commit == 3
    now = answers(gate)
    done = back(gate, "1")  # the same recipe: as it was, in the new collections
    assert done.back == ["wiki/leave.md", "wiki/menu.md"]
    sound(gate)
    assert back(gate, "3").gone == ["wiki/menu.md"]
    assert answers(gate) == now
    settings(gate, **SMALL)
    assert reindex(gate.workspace).recipe_changed
    gate.publish({"news.md": NEWS})
    now = answers(gate)
    with pytest.raises(RecipeMismatchError) as raised:
        back(gate, "1")
    assert "2 documents were never embedded by the recipe of generation 3" in str(raised.value)
    assert "wiki/leave.md, wiki/menu.md" in str(raised.value)
    assert "reindex --from-clean --at" in raised.value.hint
    assert answers(gate) == now
    unasked.clear()
    done = back(gate, "2")  # what stands there is in the new index too, cut otherwise
    assert (done.back, done.gone, unasked) == ([], ["wiki/news.md"], [])
    assert max(len(p["page_content"]) for p in gate.points().values()) <= 120
    sound(gate)


def test_a_kept_generation_serves_again_with_all_that_happened_since(gate: Gate) -> None:
    """Ingest, rejection and revocation are done to it again; a point changed there is repaired."""
    serve_near_denied(gate, **{"hall.md": OTHER})
    assert [one.label for one in reindex(gate.workspace).left] == ["wiki/vault.md"]
    gate.reopen(days=10)
    gate.publish({"news.md": NEWS, "copy.md": OTHER + " Now."})
    held = {c.document: c for c in gate.cases()}
    assert held.keys() == {"vault.md", "hall.md", "copy.md"}
    review.decide(gate.workspace, held["copy.md"], "reject", gate.bob, "poison")
    gate.publish({"leave.md": LEAVE})
    assert revoke_alice(gate) == 8
    store = gate.workspace.open_store()
    first = next(p for block in store.scan("corpus-g1", vectors=True) for p in block)
    other = np.roll(first.vector, 1)
    store.upsert("corpus-g1", [Point(first.id, other, first.payload)])
    stranger = "00000000-0000-4000-8000-000000000001"
    store.upsert("corpus-g1", [Point(stranger, other, {"page_content": "buy"})])
    plan = back(gate, "g1", dry_run=True)
    assert (plan.freed, plan.commit, plan.generation) == (["wiki/vault.md"], None, 1)
    done = back(gate, "g1")
    assert (done.commit, done.generation, done.embedded) == (9, 1, 0)
    assert (done.freed, done.back, done.gone) == (["wiki/vault.md"], ["wiki/vault.md"], [])
    assert store.aliases() == {"corpus": "corpus-g1"}
    assert gate.documents() == {*HONEST, "vault.md"} - {"leave.md"}
    assert gate.documents("quarantine") == {"hall.md", "news.md", "leave.md"}
    assert "28 days" in " ".join(p["page_content"] for p in gate.points("quarantine").values())
    assert stranger not in gate.points()
    assert {c.document for c in gate.cases()} == {"hall.md", "news.md", "leave.md"}
    assert len(gate.cases("superseded")) == 1  # about vault.md, which serves again
    assert states(gate) == {1: "serving", 2: "retired"}
    sound(gate)
    assert back(gate, "g2").gone == ["wiki/vault.md"]
    assert gate.documents("quarantine") == {"hall.md", "news.md", "leave.md", "vault.md"}
    sound(gate)


def test_what_a_manifest_removed_from_quarantine_does_not_serve_again(gate: Gate) -> None:
    """It left the corpus from another zone than the one it is in at the kept generation."""
    serve_near_denied(gate)
    reindex(gate.workspace)
    assert gate.documents("quarantine") == {"vault.md"}
    for name in ("vault.md", "safe.md"):
        (gate.publisher.folder / name).unlink()
    gate.publish()
    done = back(gate, "g1")
    assert (done.back, done.gone, done.freed) == ([], [], [])
    assert (gate.documents(), gate.documents("quarantine")) == (set(HONEST), set())
    sound(gate)


def test_a_manifest_that_came_while_another_generation_served_counts_for_the_kept_one(
    gate: Gate,
) -> None:
    """What it removes was not in the corpus then, and so no commit took it out."""
    gate.publish(HONEST)
    gate.publish({"news.md": NEWS, "menu.md": MENU})
    assert reindex(gate.workspace, at=1).gone == ["wiki/menu.md", "wiki/news.md"]
    path = gate.publisher.publish(mode="delta", paths=[], removes=["news.md"], now=gate.now)
    assert gate.ingest(path).exit_code == 0
    assert back(gate, "g1").back == ["wiki/menu.md"]
    assert gate.documents() == {*HONEST, "menu.md"}
    sound(gate)


@pytest.mark.parametrize("then", ["a newer version", "removed"])
def test_what_was_held_and_never_decided_is_not_brought_back(
    gate: Gate, tmp_path: Path, then: str
) -> None:
    """It waits no more, and nobody let it in: by no old commit, into no index and no export."""
    gate.publish(HONEST)
    hold(gate.workspace, ["wiki/leave.md"], "traced")
    if then == "removed":
        (gate.publisher.folder / "leave.md").unlink()
    gate.publish({} if then == "removed" else {"leave.md": LEAVE})
    assert (gate.documents("quarantine"), gate.cases()) == (set(), [])
    before = gate.points()
    with pytest.raises(IntegrityError, match=r"wiki/leave\.md \(it waited for a reviewer last"):
        back(gate, "1")
    assert gate.points() == before
    made = export(gate.workspace, tmp_path / "out", at=1)
    assert [(o.document, o.check) for o in made.inventory.left] == [("leave.md", "undecided")]
    plan = reindex(gate.workspace, at=1, dry_run=True)
    assert [(o.label, o.findings[0].check) for o in plan.left] == [("wiki/leave.md", "undecided")]
    done = back(gate, "1", leave_out=True)
    assert ([one.label for one in done.left], done.exit_code) == (["wiki/leave.md"], 1)
    assert gate.documents() == set(HONEST) - {"leave.md"}
    gate.publish({"leave.md": HONEST["leave.md"]})  # signed anew, it is judged
    assert gate.documents() == set(HONEST)
    sound(gate)


def test_a_generation_of_another_recipe_gets_what_it_lacks_embedded(
    gate: Gate, unasked: list[int]
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    before = answers(gate)
    settings(gate, **SMALL)
    reindex(gate.workspace)
    gate.publish({"news.md": NEWS})
    with pytest.raises(RecipeMismatchError) as raised:
        back(gate, "g1")
    assert "[chunks] size = 1000 (now 120)" in str(raised.value)
    settings(gate)
    unasked.clear()
    done = back(gate, "g1")
    assert (done.generation, done.embedded, unasked) == (1, 1, [1])
    assert gate.documents() == {*HONEST, "news.md"}
    (case,) = gate.cases()
    assert case.opened == done.commit  # about the version that waits now
    assert back(gate, "1").gone == ["wiki/news.md"]
    assert answers(gate) == before
    review.decide(gate.workspace, case, "release", gate.bob, "is fine")
    assert "safe.md" in gate.documents()
    sound(gate)


def test_a_generation_that_cannot_serve_again_is_refused_with_the_reason(gate: Gate) -> None:
    with pytest.raises(UsageError, match="no manifest was ingested yet"):
        back(gate, "1")
    gate.publish(HONEST)
    with pytest.raises(UsageError, match="generation 1: serves already"):
        back(gate, "g1")
    for _ in range(2):
        reindex(gate.workspace)
    reindex(gate.workspace, stage=True)
    for where, says in (
        ("g4", "generation 4: never served"),
        ("g1", "generation 1: was dropped"),
        ("g7", "generation 7: there is none"),
        ("9", "commit 9: there is none"),
        ("HEAD~1", "neither a commit nor a generation"),
    ):
        with pytest.raises(UsageError, match=says) as raised:
            back(gate, where)
        assert raised.value.hint
    gate.workspace.open_store().drop("corpus-g2")
    with pytest.raises(IntegrityError, match="'corpus-g2' of generation 2 is gone"):
        back(gate, "g2")
    gate.reopen()
    assert gate.workspace.recover() == 0
    assert gate.workspace.open_store().aliases() == {"corpus": "corpus-g3"}


def test_a_generations_state_changed_by_hand_is_found(gate: Gate) -> None:
    gate.publish(HONEST)
    reindex(gate.workspace)
    back(gate, "g1")
    assert check_log(gate.workspace) == []
    table = tables.generations
    for number, state, said in (
        (2, "candidate", "generation 2: is candidate, by the log it is retired"),
        (2, "dropped", "generation 2: is dropped, by the log it is retired"),
        (1, "retired", "generation 1: is retired, by the log it is serving"),
    ):
        was = states(gate)
        assert said in falsify(gate, {number: state})
        assert falsify(gate, was) == ""
    with gate.workspace.ledger.writing() as conn:
        conn.execute(sa.update(table).where(table.c.id == 1).values(quarantine="elsewhere"))
    assert "not the one that a rebuild made" in " ".join(
        f.detail for f in check_log(gate.workspace)
    )
