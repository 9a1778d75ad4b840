"""The two-phase commit on its own: real ledger, real vault, the exact in-memory store.

`test_kill.py` does the same to the embedded engine with SIGKILL.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragguard.errors import IntegrityError, LedgerError, RagguardError, StoreError, VaultError
from ragguard.ledger import commits, log, versions
from ragguard.ledger import writer as commit_module
from ragguard.ledger.cases import DecisionRow
from ragguard.ledger.decided import DenialRow
from ragguard.ledger.vault import Vault
from ragguard.ledger.writer import (
    dump_plan,
    dump_vectors,
    first_generation,
    leaf,
    load_plan,
    load_vectors,
)
from ragguard.store import Point
from ragguard.store.memory import MemoryStore
from ragguard.trust import dsse, merkle, signed_note
from ragguard.trust.canonical import digest_bytes
from tests.support.simulator import HONEST, Gate
from tests.support.workspaces.committing import KEY, VECTORS, World, fail, point
from tests.support.workspaces.ledger_rows import AT


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ledger.close()


def done(folder: Path, *steps: str) -> dict[str, Any]:
    """The state after plans that nothing interrupted."""
    folder.mkdir()
    made = World(folder)
    for step in steps:
        made.committer.commit(getattr(made, step)())
    state = made.state()
    made.ledger.close()
    return state


# --- plans and vectors ----------------------------------------------------------------------------


def test_a_plan_is_read_back_as_written(world: World) -> None:
    for plan in (world.first(), world.second()):
        assert load_plan(dump_plan(plan)) == replace(
            plan,
            **{k: list(getattr(plan, k)) for k in ("versions", "points", "opens", "leaves")},
            **{k: list(getattr(plan, k)) for k in ("decisions", "denials")},
            **{k: list(getattr(plan, k)) for k in ("enter", "leave", "closes")},
        )


def test_a_plan_with_many_decisions_is_read_back_and_one_without_is_as_it_always_was(
    world: World,
) -> None:
    plan = world.first()
    assert b"decisions" not in dump_plan(plan)
    rows = [
        DecisionRow(n, "release", "bob", "9a" * 32, "seen", ["hidden"], f"{n}", 1) for n in (1, 2)
    ]
    assert load_plan(dump_plan(replace(plan, decisions=rows))).decisions == rows


def test_a_plan_that_is_one_decision_is_written_as_it_was_before_there_were_many(
    world: World,
) -> None:
    said = DecisionRow(1, "reject", "bob", "9a" * 32, "seen", ["hidden"], "bc" * 32, 1)
    denied = DenialRow(1, "ef" * 32, "12" * 32, "a", "b", "c", 1)
    plan = replace(world.first(), decision=said.envelope, decisions=[said], denials=[denied])
    body = json.loads(dump_plan(plan))
    assert (body["decision"], body["denial"]) == (vars(said), vars(denied))
    assert not {"decisions", "denials"} & body.keys()
    back = load_plan(dump_plan(plan))
    assert (back.decision, back.decisions, back.denials) == (said.envelope, [said], [denied])


@pytest.mark.parametrize(
    "data",
    [b"", b"5", b"[]", b"{}", b"\xff", b'{"writes":[]}', b'{"writes":{"c":[{"id":1}]}}'],
)
def test_what_is_no_plan_is_said_so(data: bytes) -> None:
    with pytest.raises(LedgerError, match="plan of a commit") as caught:
        load_plan(data)
    assert "upgrading" in caught.value.hint


def test_a_plan_with_a_field_of_a_later_version_is_not_half_read(world: World) -> None:
    body = {**json.loads(dump_plan(world.first())), "promises": []}
    with pytest.raises(LedgerError, match="promises"):
        load_plan(json.dumps(body).encode())


def test_vectors_are_kept_to_the_bit_as_float32() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    assert load_vectors(dump_vectors(rows)).tobytes() == rows.tobytes()
    assert load_vectors(dump_vectors(np.asfortranarray(rows))).tobytes() == rows.tobytes()


def test_the_first_generation_is_named_after_the_collection() -> None:
    made = first_generation("corpus", "r")
    assert (made.id, made.serving, made.quarantine) == (1, "corpus-g1", "corpus-g1-quarantine")


# --- a commit -------------------------------------------------------------------------------------


def test_a_commit_is_in_store_ledger_and_log(world: World) -> None:
    plan = world.first()
    world.committer.commit(plan)
    state = world.state()
    assert (state["pending"], [c.id for c in state["commits"]]) == ([], [1])
    assert (state["serving"], state["waiting"]) == (["wiki/a.md"], ["wiki/b.md"])
    assert state["manifest"] == (1, "ab" * 32)
    assert [c.state for c in state["cases"]] == ["open"]
    assert state["seals"] == [w.payload["ragguard"]["seal"] for w in plan.writes["serving"]]
    assert [len(points) for points in state["points"]] == [2, 1]
    (back,) = world.store.get("serving", [point(1)], vectors=True)
    assert back.vector.tobytes() == VECTORS[1].tobytes()


def test_the_entry_commits_to_plan_documents_and_corpus_under_a_signed_head(world: World) -> None:
    plan = world.first()
    world.committer.commit(plan)
    with world.ledger.reading() as conn:
        entry = log.body(conn, 0)
        (row,) = commits.listed(conn)
        ((size, head),) = log.kept_checkpoints(conn)
        root = merkle.root(log.leaves(conn))
        state = versions.corpus_digest(conn)
    assert entry == {
        "act": "ingest",
        "commit": 1,
        "at": AT,
        "actor": "alice",
        "source": "wiki",
        "manifest": "ab" * 32,
        "decision": None,
        "plan": digest_bytes(dump_plan(plan)),
        "documents": 2,
        "documents_root": merkle.root([leaf(x.as_dict()) for x in plan.leaves]).hex(),
        "corpus": state,
        "counts": {"admit": 1, "quarantine": 1},
    }
    assert (row.plan, row.corpus, row.log_index) == (entry["plan"], state, 0)
    text = dsse.open_note(head, "log.test", KEY.public.public)
    assert (size, signed_note.parse_checkpoint(text).root) == (1, root)


def test_what_is_dropped_leaves_store_and_seals(world: World) -> None:
    world.committer.commit(world.first())
    world.committer.commit(world.second())
    state = world.state()
    assert (state["serving"], state["seals"], state["points"][0]) == ([], [None, None], [])
    assert [c.state for c in state["cases"]] == ["withdrawn"]


def test_a_commit_without_points_needs_no_store(world: World) -> None:
    plan = replace(world.first(), writes={}, points=(), enter=())
    world.with_store(fail).commit(plan)
    assert [c.id for c in world.state()["commits"]] == [1]


def test_points_are_written_and_compared_in_blocks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_module, "BLOCK", 3)
    world.committer.commit(world.first(points=7))
    assert world.store.count("serving") == 7


# --- interrupted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["upsert", "flush", "get"])
def test_a_store_that_fails_leaves_nothing_visible_and_the_next_start_finishes(
    world: World, tmp_path: Path, method: str
) -> None:
    world.store.faults[method] = fail
    with pytest.raises(StoreError, match="unreachable"):
        world.committer.commit(world.first())
    state = world.state()
    assert state["pending"] == [1]
    assert not any(state[k] for k in ("commits", "manifest", "serving", "waiting", "cases", "log"))
    assert world.committer.recover() == 1
    assert world.state() == done(tmp_path / "whole", "first")
    assert world.committer.recover() == 0


@pytest.mark.parametrize("method", ["delete", "flush", "get"])
def test_a_removal_that_fails_leaves_the_document_until_it_is_finished(
    world: World, tmp_path: Path, method: str
) -> None:
    world.committer.commit(world.first())
    world.store.faults[method] = fail
    with pytest.raises(StoreError, match="unreachable"):
        world.committer.commit(world.second())
    assert (world.state()["serving"], world.state()["pending"]) == (["wiki/a.md"], [2])
    assert world.committer.recover() == 1
    assert world.state() == done(tmp_path / "whole", "first", "second")


def test_several_interrupted_commits_are_finished_in_order(world: World, tmp_path: Path) -> None:
    for plan in (world.first(), world.second()):
        world.store.faults["flush"] = fail
        with pytest.raises(StoreError):
            world.committer.commit(plan)
    assert world.state()["pending"] == [1, 2]
    assert world.committer.recover() == 2
    assert world.state() == done(tmp_path / "whole", "first", "second")


def test_a_failing_ledger_in_the_last_phase_leaves_the_commit_pending(
    world: World, tmp_path: Path
) -> None:
    def refuse(text: str) -> str:
        raise LedgerError("no key")

    with pytest.raises(LedgerError):
        replace(world.committer, sign_note=refuse).commit(world.first())
    state = world.state()
    assert (state["pending"], state["log"], state["serving"], state["seals"]) == (
        [1],
        [],
        [],
        [None, None],
    )
    assert world.committer.recover() == 1
    assert world.state() == done(tmp_path / "whole", "first")


def test_a_disk_that_takes_no_plan_leaves_nothing_at_all(world: World) -> None:
    plan = world.first()
    before = world.state()
    world.folder.joinpath("blocked").write_text("a file where a folder should be")
    with pytest.raises(VaultError, match="cannot write"):
        replace(world.committer, vault=Vault(str(world.folder / "blocked"))).commit(plan)
    assert world.state() == before


# --- a store or a plan that is not what it should be ----------------------------------------------


def lies(world: World, change: Callable[[Point], Point | None]) -> Callable[..., list[Point]]:
    def get(collection: str, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        found = [change(p) for p in MemoryStore.get(world.store, collection, ids, vectors=vectors)]
        return [p for p in found if p is not None]

    return get


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda p: None, "and is not there", id="missing"),
        pytest.param(lambda p: replace(p, vector=-p.vector), "is not what was written", id="other"),
        pytest.param(
            lambda p: replace(p, vector=np.nextafter(p.vector, 2, dtype=np.float32)),
            "is not what was written",
            id="a-bit-of-a-vector",
        ),
        pytest.param(
            lambda p: replace(p, payload={**p.payload, "page_content": "poison"}),
            "is not what was written",
            id="payload",
        ),
        pytest.param(
            lambda p: replace(p, payload={**p.payload, "more": 1}),
            "is not what was written",
            id="more-payload",
        ),
    ],
)
def test_a_store_that_holds_something_else_confirms_nothing(
    world: World, tmp_path: Path, change: Callable[[Point], Point | None], says: str
) -> None:
    world.store.faults["get"] = lies(world, change)
    with pytest.raises(StoreError, match=says):
        world.committer.commit(world.first())
    assert (world.state()["pending"], world.state()["commits"]) == ([1], [])
    world.committer.recover()
    assert world.state() == done(tmp_path / "whole", "first")


def test_another_writers_point_in_the_way_is_overwritten_from_the_plan(
    world: World, tmp_path: Path
) -> None:
    world.store.faults["flush"] = fail
    with pytest.raises(StoreError):
        world.committer.commit(world.first())
    poison = Point(point(0), VECTORS[3], {"page_content": "poison", "ragguard": {}})
    world.store.upsert("serving", [poison])
    assert world.committer.recover() == 1
    assert world.state() == done(tmp_path / "whole", "first")


def test_a_store_that_does_not_delete_confirms_nothing(world: World) -> None:
    world.committer.commit(world.first())
    world.store.faults["delete"] = lambda collection, ids: None
    with pytest.raises(StoreError, match="is still in 'serving'"):
        world.committer.commit(world.second())
    assert world.state()["serving"] == ["wiki/a.md"]
    assert world.committer.recover() == 1
    assert world.state()["points"][0] == []


@pytest.mark.parametrize("data", [None, b"", b"{}"], ids=["gone", "empty", "other"])
@pytest.mark.parametrize("what", ["plan", "vectors"])
def test_a_plan_or_vector_that_cannot_be_read_stops_and_is_finished_when_restored(
    world: World, tmp_path: Path, what: str, data: bytes | None
) -> None:
    plan = world.first()
    world.store.faults["upsert"] = fail
    with pytest.raises(StoreError):
        world.committer.commit(plan)
    blobs = {"plan": dump_plan(plan), "vectors": dump_vectors(VECTORS)}
    digest = digest_bytes(blobs[what])
    path = world.folder / "vault" / digest[:2] / digest
    path.chmod(0o600)
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    before = world.state()
    with pytest.raises(VaultError, match="vault: ") as caught:
        world.committer.recover()
    assert caught.value.exit_code == 5
    assert world.state() == before
    path.write_bytes(blobs[what])
    assert world.committer.recover() == 1
    assert world.state() == done(tmp_path / "whole", "first")


def test_a_pending_commit_that_names_something_else_as_its_plan_is_refused(world: World) -> None:
    world.store.faults["upsert"] = fail
    with pytest.raises(StoreError):
        world.committer.commit(world.first())
    other = world.vault.put(b'{"no": "plan"}')
    with sqlite3.connect(world.folder / "ledger.db") as conn:
        conn.execute("UPDATE commits SET plan = ?", (other,))
    conn.close()
    with pytest.raises(LedgerError, match="commit 1 is pending, and it was not planned here"):
        world.committer.recover()


# --- generations ----------------------------------------------------------------------------------


def test_an_index_that_is_gone_is_not_silently_made_anew(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    gate.close()
    (gate.folder / "w" / "index").rename(gate.folder / "moved")
    with pytest.raises(IntegrityError, match="'corpus-g1' is gone") as caught:
        gate.workspace.open_store()
    assert "backup" in caught.value.hint


def test_collections_that_were_not_made_yet_are_made_at_the_next_start(gate: Gate) -> None:
    """As after a kill between recording the generation and making its collections."""
    recipe = gate.workspace.encoder.recipe
    made = first_generation("corpus", recipe.digest)
    with gate.workspace.ledger.writing() as conn:
        commits.add_generation(conn, made, recipe.__dict__, AT)
    store = gate.reopen().open_store()
    assert [store.count(name) for name in (made.serving, made.quarantine)] == [0, 0]
    assert store.aliases() == {"corpus": "corpus-g1"}
    assert gate.publish({"leave.md": HONEST["leave.md"]}).exit_code == 0


def test_an_alias_that_was_turned_away_is_set_back(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    store = gate.workspace.open_store()
    store.set_alias("corpus", "corpus-g1-quarantine")
    assert gate.reopen().open_store().aliases() == {"corpus": "corpus-g1"}


def test_an_unreadable_plan_stops_ingest_with_an_error_and_not_with_a_bug(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = gate.publisher.publish({"leave.md": HONEST["leave.md"]})
    store = gate.workspace.open_store()
    monkeypatch.setattr(store, "flush", fail)
    assert gate.ingest(path).exit_code == 5
    monkeypatch.undo()
    with gate.workspace.ledger.reading() as conn:
        (row,) = commits.pending(conn)
    blob = gate.folder / "w" / "vault" / row.plan[:2] / row.plan
    kept = blob.read_bytes()
    blob.chmod(0o600)
    blob.write_bytes(b"")
    with pytest.raises(RagguardError, match="vault: ") as caught:
        gate.ingest(path)
    assert caught.value.exit_code == 5
    blob.write_bytes(kept)
    report = gate.ingest(path)
    assert (report.recovered, report.exit_code, gate.documents()) == (1, 0, {"leave.md"})
