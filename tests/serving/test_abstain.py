"""When the retriever gives no passage: it says why, and gives nothing that is not proved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragguard.canary.floor import suggest_floor
from ragguard.canary.result import Run
from ragguard.config import Settings
from ragguard.errors import ConfigError, UsageError
from ragguard.ledger import cases
from ragguard.lineage.prove import verify_log
from ragguard.quarantine import review
from ragguard.serving import hand_over
from ragguard.serving.abstain import Rules, key_of, read_pinned
from ragguard.serving.contradiction import contradiction
from ragguard.serving.retriever import Retriever, open_retriever
from tests.support.simulator import HONEST, Gate, Publisher

QUESTION = "how many days of vacation do I get"
OFF_TOPIC = "which planet has the most moons"
PINNED = '{"question": "How many days of vacation do I get?", "answer": "See the contract."}\n'


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    made.publish(HONEST)
    yield made
    made.close()


def asking(gate: Gate, **settings: Any) -> Retriever:
    gate.settings = Settings.model_validate({"retriever": settings})
    gate.reopen()
    return open_retriever(gate.workspace)


# --- the floor ------------------------------------------------------------------------------------


def test_below_the_floor_nothing_is_given_and_above_it_everything(gate: Gate) -> None:
    retriever = asking(gate, floor=0.35)
    assert retriever.retrieve(QUESTION).abstained is None
    answer = retriever.retrieve(OFF_TOPIC)
    assert (answer.hits, answer.refused) == ([], [])
    assert answer.abstained is not None
    assert answer.abstained.kind == "below-floor"
    assert "below the floor of 0.35" in answer.abstained.reason
    assert asking(gate).retrieve(OFF_TOPIC).hits  # off by default


def run_of(near: list[float], far: list[float]) -> Run:
    rankings = {f"q{n}": [("wiki/a", s), ("wiki/b", s - 0.1)] for n, s in enumerate(near + far)}
    qrels = {f"q{n}": {"wiki/b": 1} for n in range(len(near))}
    return Run("serving", "", 10, rankings, qrels, [], {})


def test_the_suggested_floor_keeps_the_share_asked_for() -> None:
    near = [0.3 + 0.005 * n for n in range(100)]
    found = suggest_floor(run_of(near, [0.1, 0.2, 0.9]), 0.95)
    assert found.floor == 0.32
    assert (found.queries, found.kept, found.unanswered, found.stopped) == (100, 96, 3, 2)
    assert suggest_floor(run_of(near, []), 0.5).floor == pytest.approx(0.55)


def test_too_few_queries_set_no_floor() -> None:
    with pytest.raises(UsageError, match="at least 20"):
        suggest_floor(run_of(19 * [0.5], []), 0.95)


# --- contradictions -------------------------------------------------------------------------------

SAID = "Everybody has 27 days of paid leave a year. Ask your team lead before you go."


@pytest.mark.parametrize(
    ("other", "kind", "theirs"),
    [
        (SAID.replace("27", "99"), "number", "99"),
        ("Staff rules, section 4. " + SAID.replace("27 days", "30 days"), "number", "30"),
    ],
)
def test_one_fact_told_in_two_ways_by_two_sources_is_found(
    other: str, kind: str, theirs: str
) -> None:
    found = contradiction(["Lunch is at noon.", SAID, other], ["wiki", "wiki", "hr"])
    assert found is not None
    assert (found.first, found.second, found.kind, found.theirs) == (1, 2, kind, theirs)


def test_a_sentence_and_its_negation_contradict_each_other() -> None:
    said = "Guests may enter the hall at night with a badge of their own."
    found = contradiction([said, said.replace("may", "may not")], ["wiki", "hr"])
    assert found is not None
    assert (found.kind, found.ours, found.theirs) == ("negation", "", "not")


@pytest.mark.parametrize(
    ("other", "source"),
    [
        (SAID, "hr"),
        (SAID.upper(), "hr"),
        (SAID.replace("27", "99"), "wiki"),  # one source may say what it likes
        ("Everybody has 27 days of paid leave every year, and two more after ten years.", "hr"),
        ("Interns have 12 days of unpaid leave a term. Ask the office before you go.", "hr"),
        ("The canteen opens at 11 and closes at 14.", "hr"),
        ("", "hr"),
    ],
)
def test_what_does_not_contradict_is_let_be(other: str, source: str) -> None:
    assert contradiction([SAID, other], ["wiki", source]) is None


def test_contradicting_sources_are_named_and_nothing_is_given(gate: Gate) -> None:
    gate.trust(gate.alice, source="hr")
    hr = Publisher(gate.folder / "hr", gate.alice, "hr")
    path = hr.publish({"rules.md": HONEST["leave.md"].replace("27", "30")}, now=gate.now)
    gate.ingest(path, root=hr.folder, observe=True)
    retriever = asking(gate, contradictions=True)
    answer = retriever.retrieve(QUESTION)
    assert answer.hits == []
    assert answer.abstained is not None
    assert answer.abstained.kind == "contradiction"
    assert {"wiki/leave.md", "hr/rules.md", "'27'", "'30'"} <= {
        word.rstrip(":") for word in answer.abstained.reason.split()
    }
    assert retriever.retrieve("who lends me safety shoes", 1).hits


# --- what stands in its place ---------------------------------------------------------------------


def test_a_pinned_answer_stands_in_for_just_its_question(gate: Gate) -> None:
    (gate.workspace.folder / "pinned.jsonl").write_text(PINNED)
    retriever = asking(gate, floor=0.95, pinned="pinned.jsonl")
    for question, pinned in ((QUESTION, "See the contract."), (QUESTION + " off", None)):
        abstained = retriever.retrieve(question).abstained
        assert abstained is not None
        assert abstained.pinned == pinned
    retriever = asking(gate, pinned="pinned.jsonl")
    assert retriever.retrieve(QUESTION).hits  # it does not replace an answer


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"question": "a"}',
        '{"question": "?", "answer": "b"}',
        '{"question": "a", "answer": 5}',
        '{"question": "a", "answer": "b"}\n{"question": "A?", "answer": "c"}',
    ],
)
def test_a_file_that_pins_nothing_clear_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "pinned.jsonl").write_text(text)
    with pytest.raises(ConfigError):
        read_pinned(tmp_path / "pinned.jsonl")
    with pytest.raises(ConfigError):
        read_pinned(tmp_path / "absent.jsonl")


def test_where_nothing_is_proved_no_rule_is_needed() -> None:
    abstained = Rules(pinned={key_of("Why?"): "Because."}).judge([], "why")
    assert abstained is not None
    assert (abstained.kind, abstained.pinned) == ("unproved", "Because.")


def test_a_question_is_handed_over_once_and_a_reviewer_closes_it(gate: Gate) -> None:
    retriever = asking(gate, floor=0.35, hand_over=True)
    first, again = (retriever.retrieve(OFF_TOPIC).abstained for _ in range(2))
    assert first is not None
    assert first == again
    (case,) = gate.cases()
    assert (case.id, case.kind, case.detail["question"]) == (first.case, "question", OFF_TOPIC)
    review.look(gate.workspace, case, texts=True)
    review.decide(gate.workspace, case, "release", gate.bob, "told him: none of our business")
    with gate.workspace.ledger.reading() as conn:
        closed = cases.get(conn, case.id)
    assert closed is not None
    assert closed.state == "released"
    assert not verify_log(gate.workspace).problems
    assert gate.documents() == set(HONEST)


def test_who_asks_much_does_not_fill_the_queue(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_over, "MOST_OPEN", 2)
    retriever = asking(gate, floor=0.99, hand_over=True)
    numbers = [retriever.retrieve(f"question {n}").abstained for n in range(3)]
    assert [one.case for one in numbers if one is not None] == [1, 2, None]
