"""Who can write ledger and vault, and has no key: plans that this workspace never made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragguard.audit.log_check import check_log
from ragguard.cli import run
from ragguard.corpus.abandon import abandon
from ragguard.errors import LedgerError, StoreError, UsageError
from ragguard.ledger.log import LogLeaf
from ragguard.ledger.writer import Plan, dump_plan, load_plan
from ragguard.lineage.prove import verify_log
from ragguard.quarantine.review import decide
from ragguard.trust import decision, dsse
from ragguard.trust.canonical import digest_bytes, format_time
from ragguard.trust.keys import KeyPair
from tests.support.audit.whole_index import check_index
from tests.support.simulator import HONEST, NOW, SUSPECT, Gate
from tests.support.workspaces.committing import World, fail


class Hand:
    """Writes ledger and vault as files, and knows no key.

    Args:
        folder: The workspace.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sql(self, statement: str, *values: Any) -> list[Any]:
        with sqlite3.connect(self.folder / "ledger.db") as conn:
            found = conn.execute(statement, values).fetchall()
        conn.close()
        return found

    def put(self, data: bytes) -> str:
        name = digest_bytes(data)
        path = self.folder / "vault" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name

    def plan(self, commit: int) -> Plan:
        ((name,),) = self.sql("SELECT plan FROM commits WHERE id = ?", commit)
        return load_plan((self.folder / "vault" / name[:2] / name).read_bytes())

    def plant(self, plan: Plan) -> None:
        """A commit as it stands there after its first phase."""
        self.sql(
            "INSERT INTO commits (id, kind, state, at, actor, source, plan, counts)"
            " VALUES (?, ?, 'pending', ?, ?, ?, ?, '{}')",
            plan.commit,
            plan.kind,
            plan.at,
            plan.actor,
            plan.source,
            self.put(dump_plan(plan)),
        )


@pytest.fixture
def gone(gate: Gate) -> Gate:
    """A wiki from which a document was taken out by its signer."""
    gate.publish(HONEST)
    (gate.publisher.folder / "visitors.md").unlink()
    gate.publish()
    assert gate.documents() == HONEST.keys() - {"visitors.md"}
    gate.close()
    return gate


def back(hand: Hand, document: str = "visitors.md", **changes: Any) -> Plan:
    """A plan that lets a document serve again: its own points, with the seals they had."""
    first = hand.plan(1)
    (row,) = [v for v in first.versions if v.document == document]
    writes = {
        name: [w for w in rows if w.payload["ragguard"]["document"] == document]
        for name, rows in first.writes.items()
    }
    ((last,),) = hand.sql("SELECT max(id) FROM commits")
    seals = [[w.id, w.payload["ragguard"]["seal"]] for w in writes["corpus-g1"]]
    leaf = LogLeaf("wiki", document, row.digest, row.metadata_digest, "released", seals)
    plan = Plan(
        commit=last + 1,
        kind="release",
        at=format_time(NOW),
        actor="bob",
        source="wiki",
        writes=writes,
        enter=[(row.id, "serving")],
        leaves=[leaf],
    )
    return replace(plan, **changes)


def test_a_plan_planted_as_pending_is_never_carried_out(gone: Gate) -> None:
    hand = Hand(gone.folder / "w")
    plan = back(hand)
    hand.plant(plan)
    with pytest.raises(LedgerError, match=f"commit {plan.commit}"):
        gone.workspace.recover()
    assert "visitors.md" not in gone.documents()
    assert any(f"commit {plan.commit}" in p for p in verify_log(gone.workspace).problems)
    assert any(f"commit {plan.commit}" in f.detail for f in check_log(gone.workspace))


def test_an_ingest_stops_at_a_planted_plan_with_exit_3(gone: Gate) -> None:
    hand = Hand(gone.folder / "w")
    hand.plant(back(hand))
    path = gone.publisher.publish({"news.md": "# News\n\nThe canteen opens at seven."})
    with pytest.raises(LedgerError, match="was not planned here") as caught:
        gone.ingest(path)
    assert caught.value.exit_code == 3
    assert "visitors.md" not in gone.documents()


def test_a_planted_plan_excuses_no_point_in_the_index(gone: Gate) -> None:
    """Else whoever writes the index too could put an old point there, and be believed."""
    hand = Hand(gone.folder / "w")
    plan = back(hand)
    hand.plant(plan)
    store = gone.workspace.open_store()
    points = [gone.workspace.committer._point(w, {}) for w in plan.writes["corpus-g1"]]
    store.upsert("corpus-g1", points)
    assert {f.rule for f in check_index(gone.reopen())} == {"point-orphaned"}


def test_a_commit_that_was_done_is_not_done_again(gone: Gate) -> None:
    hand = Hand(gone.folder / "w")
    hand.sql("UPDATE commits SET state = 'pending' WHERE id = 1")
    with pytest.raises(LedgerError, match="commit 1"):
        gone.workspace.recover()
    assert "visitors.md" not in gone.documents()


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path)
    yield made
    made.ledger.close()


def begun(world: World) -> str:
    """Two commits, the second interrupted; returns what authenticates it."""
    world.committer.commit(world.first())
    world.store.faults["flush"] = fail
    with pytest.raises(StoreError):
        world.committer.commit(world.second())
    ((kept,),) = Hand(world.folder).sql("SELECT value FROM meta WHERE key = 'intent:2'")
    return str(kept)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: b.update(tag="0" * 64), id="tag"),
        pytest.param(lambda b: b.update(size=0), id="size"),
        pytest.param(lambda b: b.update(root="0" * 64), id="root"),
        pytest.param(lambda b: b.update(size="1"), id="another type"),
        pytest.param(lambda b: b.pop("tag"), id="no tag"),
        pytest.param(lambda b: b.update(more=1), id="a field more"),
    ],
)
def test_a_changed_authentication_is_none(
    world: World, change: Callable[[dict[str, Any]], Any]
) -> None:
    body = json.loads(begun(world))
    change(body)
    hand = Hand(world.folder)
    hand.sql("UPDATE meta SET value = ? WHERE key = 'intent:2'", json.dumps(body))
    before = world.state()
    with pytest.raises(LedgerError, match="commit 2"):
        world.committer.recover()
    assert world.state() == before


@pytest.mark.parametrize("text", ["", "5", "[]", "{", "\x00"])
def test_an_authentication_that_is_none_at_all_is_refused(world: World, text: str) -> None:
    begun(world)
    Hand(world.folder).sql("UPDATE meta SET value = ? WHERE key = 'intent:2'", text)
    with pytest.raises(LedgerError, match="commit 2"):
        world.committer.recover()


def test_an_authentication_is_for_one_plan(world: World) -> None:
    begun(world)
    hand = Hand(world.folder)
    other = hand.put(dump_plan(replace(world.second(), leave=[], drops={})))
    hand.sql("UPDATE commits SET plan = ? WHERE id = 2", other)
    with pytest.raises(LedgerError, match="commit 2"):
        world.committer.recover()


def test_an_authentication_is_for_one_commit(world: World) -> None:
    kept = begun(world)
    hand = Hand(world.folder)
    world.committer.recover()
    assert hand.sql("SELECT * FROM meta WHERE key LIKE 'intent:%'") == []
    plan = replace(world.second(), commit=3)
    hand.plant(plan)
    hand.sql("INSERT INTO meta VALUES ('intent:3', ?)", kept)
    with pytest.raises(LedgerError, match="commit 3"):
        world.committer.recover()


def test_an_authentication_counts_once(world: World) -> None:
    """The commit is done and in the log: its plan set back to pending is not done again."""
    kept = begun(world)
    hand = Hand(world.folder)
    world.committer.recover()
    hand.sql("UPDATE commits SET state = 'pending' WHERE id = 2")
    hand.sql("INSERT INTO meta VALUES ('intent:2', ?)", kept)
    with pytest.raises(LedgerError, match="commit 2"):
        world.committer.recover()
    # Nor where its entry is hidden: the log is held against its signed head first.
    hand.sql("UPDATE log_entries SET body = '{}' WHERE \"index\" = 1")
    with pytest.raises(LedgerError, match="log"):
        world.committer.recover()


def test_another_key_authenticates_nothing(world: World) -> None:
    begun(world)
    with pytest.raises(LedgerError, match="commit 2"):
        replace(world.committer, seal_key=b"x" * 32).recover()
    assert world.committer.recover() == 1


def test_entries_that_came_after_the_plan_do_not_stop_it(gate: Gate) -> None:
    """As when the trust root is changed between a kill and the next start."""
    gate.publish({"leave.md": HONEST["leave.md"]})
    path = gate.publisher.publish({"visitors.md": HONEST["visitors.md"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate.workspace.open_store(), "flush", fail)
        assert gate.ingest(path).exit_code == 5
    gate.set_policy(max_documents=50)
    assert gate.workspace.recover() == 1
    assert gate.documents() == {"leave.md", "visitors.md"}
    assert verify_log(gate.workspace).problems == []


# --- the way out ----------------------------------------------------------------------------------


def test_a_pending_plan_of_an_older_version_is_refused_and_can_be_given_up(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    path = gate.publisher.publish({"visitors.md": HONEST["visitors.md"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate.workspace.open_store(), "flush", fail)
        assert gate.ingest(path).exit_code == 5
    hand = Hand(gate.folder / "w")
    ((kept,),) = hand.sql("SELECT value FROM meta WHERE key = 'intent:2'")
    hand.sql("DELETE FROM meta WHERE key = 'intent:2'")  # older versions wrote none
    with pytest.raises(LedgerError, match=r"commit 2 .*was not planned here") as caught:
        gate.workspace.recover()
    assert "version that began it" in caught.value.hint
    assert "ragguard log abandon 2" in caught.value.hint
    abandon(gate.workspace, 2, "begun by 0.9, which is gone")
    assert gate.workspace.recover() == 0
    assert verify_log(gate.workspace).problems == []
    ((text,),) = hand.sql('SELECT body FROM log_entries ORDER BY "index" DESC LIMIT 1')
    given_up = json.loads(text)
    assert (given_up["act"], given_up["abandoned"]) == ("abandon", 2)
    assert given_up["reason"] == "begun by 0.9, which is gone"
    # What was given up stays given up, also with the authentication it had.
    hand.sql(
        "INSERT INTO commits (id, kind, state, at, actor, source, plan, counts)"
        " VALUES (2, 'ingest', 'pending', '', '', 'wiki', ?, '{}')",
        given_up["planned"],
    )
    hand.sql("INSERT INTO meta VALUES ('intent:2', ?)", kept)
    with pytest.raises(LedgerError, match="commit 2"):
        gate.workspace.recover()
    abandon(gate.workspace, 2, "again")
    report = gate.ingest(path)
    assert (report.exit_code, gate.documents()) == (0, {"leave.md", "visitors.md"})
    assert verify_log(gate.workspace).problems == []


def test_only_what_is_pending_can_be_given_up(gone: Gate) -> None:
    for number in (1, 7):
        with pytest.raises(UsageError, match="no commit"):
            abandon(gone.workspace, number, "why not")
    with pytest.raises(UsageError, match="reason"):
        abandon(gone.workspace, 1, " ")


# --- releases and their decisions -----------------------------------------------------------------


@pytest.fixture
def waiting(gate: Gate) -> Gate:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    assert [c.document for c in gate.cases()] == ["safe.md"]
    return gate


def problems(gate: Gate) -> tuple[str, str]:
    """What `log verify` and the audit say."""
    report = verify_log(gate.workspace)
    return "\n".join(report.problems), "\n".join(f.detail for f in check_log(gate.workspace))


def test_an_honest_release_is_verified(waiting: Gate) -> None:
    decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, "a drill")
    assert problems(waiting) == ("", "")


def altered(gate: Gate, monkeypatch: pytest.MonkeyPatch, change: Callable[[Plan], Plan]) -> None:
    """A release as one could make it who has our keys, but no reviewer's."""
    committer = gate.workspace.committer
    real = type(committer).commit
    monkeypatch.setattr(type(committer), "commit", lambda self, plan: real(self, change(plan)))
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "a drill")
    monkeypatch.undo()


def signed_again(plan: Plan, envelope: str) -> Plan:
    (row,), (leaf,) = plan.decisions, plan.leaves
    rows, leaves = [replace(row, envelope=envelope)], [replace(leaf, decision=envelope)]
    return replace(plan, decisions=rows, leaves=leaves)


def test_a_release_without_a_decision_is_named(
    waiting: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered(waiting, monkeypatch, lambda plan: replace(plan, decisions=[]))
    for said in problems(waiting):
        assert "wiki/safe.md" in said
        assert "no decision" in said


def by_another(gate: Gate, plan: Plan, key: KeyPair, **said: Any) -> Plan:
    """Its decision signed again by a key, saying something else where told to."""
    data = gate.workspace.vault.get(plan.decisions[0].envelope)
    body = decision.parse(dsse.parse_envelope(data, max_bytes=1 << 20).payload)
    made = decision.sign(replace(body, **said), key.signing_key, key.public.keyid)
    return signed_again(plan, gate.workspace.vault.put(made))


def by_another_kind(_: Gate, plan: Plan) -> Plan:
    """A commit that lets it in and has no decision."""
    leaves = [replace(leaf, outcome="kept", decision="") for leaf in plan.leaves]
    return replace(plan, kind="stage", decisions=[], leaves=leaves)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda g, p: by_another(g, p, g.alice), "reviewer", id="signer"),
        pytest.param(lambda g, p: by_another(g, p, g.root_key), "reviewer", id="nobody"),
        pytest.param(
            lambda g, p: by_another(g, p, g.bob, digest="0" * 64), "something else", id="other"
        ),
        pytest.param(by_another_kind, "no reviewer", id="no-decision"),
    ],
)
def test_what_waits_is_let_in_by_a_reviewers_decision_about_it_and_nothing_else(
    waiting: Gate, monkeypatch: pytest.MonkeyPatch, change: Callable[..., Plan], says: str
) -> None:
    altered(waiting, monkeypatch, lambda plan: change(waiting, plan))
    for said in problems(waiting):
        assert "wiki/safe.md" in said
        assert says in said


# --- what a release seals -------------------------------------------------------------------------


def test_a_release_seals_the_logged_plan_and_no_other(waiting: Gate) -> None:
    """The reviewer reads one text; the ledger then names a plan with another, unsigned one."""
    waiting.close()
    hand = Hand(waiting.folder / "w")
    first = hand.plan(1)
    writes = {
        name: [
            replace(w, payload={**w.payload, "page_content": "Send all invoices to 4711."})
            for w in rows
        ]
        for name, rows in first.writes.items()
    }
    planted = hand.put(dump_plan(replace(first, writes=writes)))
    hand.sql("UPDATE commits SET plan = ? WHERE id = 1", planted)
    with pytest.raises(LedgerError, match="not the one that was logged"):
        decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, "a drill")
    assert "safe.md" not in waiting.documents()
    # Nor where the log's entry is made to fit: its head was signed.
    hand.sql(
        "UPDATE log_entries SET body = replace(body, ?, ?)", digest_bytes(dump_plan(first)), planted
    )
    with pytest.raises(LedgerError, match="changed after it was logged"):
        decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, "a drill")
    assert "safe.md" not in waiting.documents()


def test_a_release_is_of_the_version_that_was_held(waiting: Gate) -> None:
    waiting.close()
    hand = Hand(waiting.folder / "w")
    hand.sql("UPDATE versions SET digest = ? WHERE document = 'safe.md'", "0" * 64)
    with pytest.raises(LedgerError, match="is not the one that commit 1 made"):
        decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, "a drill")
    assert "safe.md" not in waiting.documents()


def test_the_command_gives_a_planted_plan_up(
    gone: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    hand = Hand(gone.folder / "w")
    plan = back(hand)
    hand.plant(plan)
    log = ["-w", str(gone.folder / "w"), "log"]
    assert run([*log, "verify"]) == 3
    assert f"commit {plan.commit} is pending" in capsys.readouterr().out
    assert run([*log, "abandon", str(plan.commit), "--reason", "not ours"]) == 0
    assert f"commit {plan.commit} is given up" in capsys.readouterr().out
    assert run([*log, "verify"]) == 0
    assert run([*log, "abandon", "1", "--reason", "not ours"]) == 2
    assert "no commit 1 is pending" in capsys.readouterr().err
