"""Trace: the chain of custody holds or names its broken link; a bad answer leads to its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from ragguard.errors import UsageError
from ragguard.ledger.tables import decisions
from ragguard.lineage.custody import trace_document
from ragguard.lineage.trace import read_on, read_signs, trace_answer
from ragguard.quarantine.review import decide
from tests.support.simulator import HONEST, SUSPECT, Gate

QUESTION = "how many days of paid leave does everybody have?"


def test_an_untouched_chain_holds_from_point_to_signer(traced: Gate) -> None:
    made = trace_document(traced.workspace, "wiki/safe.md")
    assert list(made.problems) == []
    assert made.proof["signed_by"] == ["alice"]
    assert [a["act"] for a in made.proof["acts"]] == ["ingest", "release"]
    assert [(d["action"], d["reviewer"], d["verified"]) for d in made.decisions] == [
        ("release", "bob", True)
    ]
    assert made.zone == "serving"
    assert [p["sealed"] for p in made.points] == [True]
    by_point = trace_document(traced.workspace, made.points[0]["point"])
    assert by_point == made


def test_every_version_of_a_document_is_told(traced: Gate) -> None:
    made = trace_document(traced.workspace, "wiki/leave.md")
    assert [(v["outcome"], v["commit"]) for v in made.versions] == [("admit", 1), ("admit", 3)]
    assert [s["until"] for v in made.versions for s in v["stays"]] == [3, None]


def test_what_was_never_there_cannot_be_traced(traced: Gate) -> None:
    with pytest.raises(UsageError, match="no such point or document"):
        trace_document(traced.workspace, "wiki/nothing.md")


def test_a_changed_point_breaks_the_chain(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    store, generation = gate.workspace.open_store(), gate.workspace.generation()
    assert generation is not None
    (point,) = store.get(generation.serving, list(gate.points()), vectors=True)
    store.upsert(generation.serving, [replace(point, payload={**point.payload, "x": 1})])
    (problem,) = trace_document(gate.workspace, "wiki/leave.md").problems
    assert problem.endswith("is not the one that was written")
    store.delete(generation.serving, [point.id])
    (problem,) = trace_document(gate.workspace, "wiki/leave.md").problems
    assert problem.endswith("is missing")


def test_a_decision_put_under_another_name_and_lost_bytes_break_the_chain(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"], "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "a drill")
    with gate.workspace.ledger.writing() as conn:
        conn.execute(sa.update(decisions).values(reviewer="carol"))
    made = trace_document(gate.workspace, "wiki/safe.md")
    assert list(made.problems) == ["decision on case 1: is not the one the ledger has"]
    digest = trace_document(gate.workspace, "wiki/leave.md").digest
    Path(gate.folder / "w/vault" / digest[:2] / digest).unlink()
    (problem,) = trace_document(gate.workspace, "wiki/leave.md").problems
    assert problem.startswith("signed bytes: vault: ")


def test_a_bad_answer_leads_to_the_document_it_rests_on(traced: Gate) -> None:
    made = trace_answer(traced.workspace, "what is the pin of the safe?", "4711")
    assert made.documents == ["wiki/safe.md"]
    first = made.passages[0]
    assert (first.held, first.dependence, first.alone) == (1.0, 1.0, 1.0)
    assert first.score > max(p.score for p in made.passages[1:])
    beside = {c.document: c.why for c in made.companions}
    assert beside["wiki/visitors.md"] == ("batch", "signer")
    assert "wiki/safe.md" not in beside


def test_an_answer_that_nothing_says_accuses_nobody(traced: Gate) -> None:
    made = trace_answer(traced.workspace, QUESTION, "ninety-nine")
    assert (made.documents, list(made.companions)) == ([], [])


def test_without_an_answer_passages_are_ranked_and_nobody_is_accused(traced: Gate) -> None:
    made = trace_answer(traced.workspace, QUESTION)
    assert made.passages[0].hit.document == "wiki/leave.md"
    scores = [p.score for p in made.passages]
    assert scores == sorted(scores, reverse=True)
    assert sum(p.dependence for p in made.passages) == pytest.approx(1.0)
    assert (made.documents, list(made.companions)) == ([], [])


def test_a_judge_takes_the_place_of_what_is_measured(traced: Gate) -> None:
    asked: list[str] = []

    def judge(query: str, answer: str, texts: Sequence[str]) -> list[float]:
        asked.extend(texts)
        return [0.9 * ("28 days" in text) for text in texts]

    made = trace_answer(traced.workspace, QUESTION, "four weeks", k=2, judge=judge)
    assert made.documents == ["wiki/leave.md"]
    assert made.passages[0].score == 0.9
    assert len(asked) == len(set(asked)) > 2  # nothing is put to it twice
    with pytest.raises(UsageError, match="a judge needs the bad answer"):
        trace_answer(traced.workspace, QUESTION, judge=judge)


@pytest.mark.parametrize(
    ("guilty", "read"), [([0, 1], 4), ([0, 3], 6), ([0, 3, 5], 7), ([2], 2), ([6], 2)]
)
def test_the_ranking_is_read_on_while_the_last_lot_holds_a_responsible_one(
    guilty: list[int], read: int
) -> None:
    table = np.isin(np.arange(7), guilty)
    number, found = read_on(lambda n: table[:n], 7, 2)
    assert (number, found.tolist()) == (read, table[:read].tolist())


def test_a_passage_that_states_the_answer_is_told_from_one_that_mentions_it(traced: Gate) -> None:
    question, answer = "who wrote the hymn of the harbour?", "Ada Lind"
    texts = [
        "The hymn of the harbour was written by Ada Lind in the year of the great storm.",
        "Ada Lind opened the harbour fair; the hymn of the harbour was sung, and rain fell.",
        "The hymn of the harbour was written by Piet Maas in the year of the great storm.",
    ]
    encoder = traced.workspace.encoder
    made = read_signs(encoder, question, answer, texts, encoder.encode(texts), {})
    assert made.held.tolist() == [1.0, 1.0, 0.0]
    assert made.states.argmax() == made.both.argmax() == 0
    assert made.strange.tolist() == [0.0, 0.0, 0.0]  # too few words are known
