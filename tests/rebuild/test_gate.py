"""The canary gate of a rebuild, with real canaries on real collections."""

from __future__ import annotations

from ragguard import canary
from ragguard.canary import Canaries, Forbidden
from ragguard.config import Settings
from ragguard.rebuild.gate import canary_gate
from ragguard.rebuild.reindex import ReindexResult, reindex
from ragguard.trust import amend_root
from tests.support.simulator import HONEST, Gate, Publisher

QUERIES = {
    "q1": "how many days of paid leave are there",
    "q2": "when are supplier invoices paid",
    "q3": "who may sign contracts",
}
QRELS = {
    "q1": {"wiki/leave.md": 1},
    "q2": {"wiki/invoices.md": 1},
    "q3": {"wiki/contracts.md": 1},
}


def rebuild(gate: Gate, yes: bool = False) -> ReindexResult:
    return reindex(gate.workspace, yes=yes, gate=canary_gate(gate.workspace))


def test_without_canaries_there_is_no_gate(gate: Gate) -> None:
    gate.publish(HONEST)
    assert canary_gate(gate.workspace) is None
    done = rebuild(gate)
    assert done.gated is False
    assert done.compared is not None
    assert done.compared.before == done.compared.after
    assert (done.compared.shared, done.compared.neighbours) == (len(HONEST), 1.0)


def test_an_index_that_answers_as_well_passes_even_by_another_chunk_size(gate: Gate) -> None:
    gate.publish(HONEST)
    canary.keep(gate.workspace, Canaries(QUERIES, QRELS))
    done = rebuild(gate)
    assert (done.gated, done.refused, done.commit) == (True, [], 2)
    gate.settings = Settings.model_validate({"chunks": {"size": 150, "overlap": 10}})
    gate.reopen()
    done = rebuild(gate)
    assert (done.gated, done.recipe_changed, done.refused, done.commit) == (True, True, [], 3)


def test_an_answer_that_must_not_appear_is_refused_whatever_was_said(gate: Gate) -> None:
    gate.publish(HONEST)
    forbidden = (Forbidden(document="wiki/leave.md"),)
    canary.keep(gate.workspace, Canaries(QUERIES, QRELS, forbidden))
    done = rebuild(gate, yes=True)
    assert (done.exit_code, done.commit, done.generation) == (4, None, 1)
    assert "wiki/leave.md" in done.refused[0]
    assert gate.workspace.open_store().aliases() == {"corpus": "corpus-g1"}
    assert gate.documents() == set(HONEST)


def test_answers_that_go_with_their_documents_are_no_loss_of_the_index(gate: Gate) -> None:
    """What was left out on purpose cannot be found, and is not held against the new index."""
    gate.publish({k: v for k, v in HONEST.items() if k != "leave.md"})
    gate.trust(gate.alice, source="desk")
    other = Publisher(gate.folder / "desk", gate.alice, "desk")
    gate.ingest(other.publish({"leave.md": HONEST["leave.md"]}), root=other.folder)
    qrels = {**QRELS, "q1": {"desk/leave.md": 1}}
    canary.keep(gate.workspace, Canaries(QUERIES, qrels))
    gate.change_root(lambda root: amend_root.revoke_source(root, "desk", gate.now))
    done = rebuild(gate)
    assert [one.label for one in done.left] == ["desk/leave.md"]
    assert (done.refused, done.commit) == ([], 3)
