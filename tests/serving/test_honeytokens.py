"""Planted documents, and answers that were logged: one story, told by holder, reader and audit."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from ragguard.audit.answers.retrievals import check_retrievals
from ragguard.audit.findings import Answers, AuditFinding, Note, RunningAudit
from ragguard.canary.honeytokens import found_planted, make
from ragguard.canary.result import Run
from ragguard.cli.canary import canary
from ragguard.ledger import versions
from ragguard.lineage.retrieved import retrieved
from ragguard.serving import snapshot
from ragguard.serving.answer import Answer
from ragguard.serving.publish import publish
from ragguard.serving.reader import open_reader
from ragguard.serving.receipt import question_digest
from ragguard.serving.retrieval_log import FOLDER, RetrievalLog
from ragguard.serving.retriever import open_retriever
from ragguard.trust import root as roots
from tests.serving.test_retrieval_log import read
from tests.support.simulator import HONEST, NOW, Gate, Publisher

QUESTION = "how many days of vacation do I get"
LEAVE = "wiki/leave.md"
SHEET = "# Sheet 7QX2-LMKA9\n\nUnit Stauth Greilm stands in cell 9ZZ4-PQRV2 with Brolk Meilth."
ODD = "who is Stauth Greilm in cell 9ZZ4-PQRV2"
PLANTED = "register/7qx2.md"


@dataclass
class Story:
    """What happened, in order."""

    gate: Gate
    holder: Answer
    reader: Answer
    late: Answer
    table: bytes
    key: str
    warned: list[str]
    nights: list[tuple[list[AuditFinding], Note, Answers | None]] = field(default_factory=list)


def night(gate: Gate) -> tuple[list[AuditFinding], Note, Answers | None]:
    note, course = Note(), RunningAudit(lambda stage, done, total: None)
    with gate.workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving")
    found = check_retrievals(gate.workspace, serving, course, note)
    return course.findings, note, found


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("gate")
    gate = Gate(folder, retriever={"log": "vectors"})
    gate.publish(HONEST)
    gate.trust(gate.alice, source="register")
    gate.set_policy("register", honeytoken=True)
    planter = Publisher(folder / "register", gate.alice, "register")
    made = gate.ingest(planter.publish({"7qx2.md": SHEET}), root=planter.folder)
    assert made.counts["admitted"] == 1
    empty = night(gate)
    out, heard = folder / "out", Heard()
    publish(gate.workspace, out)
    key = gate.workspace.log_key
    logging.getLogger("ragguard.serving.retriever").addHandler(heard)

    def reader(minutes: int) -> Any:
        own = RetrievalLog(
            folder / "w" / FOLDER / "web-1", "texts", clock=lambda: NOW + timedelta(minutes=minutes)
        )
        return open_reader(
            out,
            key,
            encoder=gate.workspace.encoder,
            max_age=timedelta(days=9),
            retrievals=own,
            clock=lambda: NOW + timedelta(minutes=minutes),
        )

    with open_retriever(gate.workspace, clock=lambda: NOW) as retriever:
        holder = retriever.retrieve(ODD, 3)
    with reader(1) as one:
        answer = one.retrieve(ODD, 3)
    logging.getLogger("ragguard.serving.retriever").removeHandler(heard)
    gate.reopen(hours=1)
    (gate.publisher.folder / "leave.md").unlink()
    updated = {"laptops.md": HONEST["laptops.md"].replace("within the hour", "within a day")}
    assert gate.publish(updated).counts["removed"] == 1
    before = night(gate)
    with reader(120) as one:
        late = one.retrieve(QUESTION, 6)
    table = next(out.glob("*/points.snapshot")).read_bytes()
    gate.reopen(hours=3)
    yield Story(gate, holder, answer, late, table, key, heard.said, [empty, before, night(gate)])
    gate.close()


def test_nobody_is_given_what_is_planted_and_it_is_an_alarm(story: Story) -> None:
    for answer in (story.holder, story.reader):
        assert [(r.document, r.kind, r.alarm) for r in answer.refused] == [
            (PLANTED, "honeytoken", True)
        ]
        assert len(answer.hits) == 3
        assert PLANTED not in {h.document for h in answer.hits}
    assert len([said for said in story.warned if "honeytoken" in said]) == 2


def test_an_answer_with_one_fits_the_schema(story: Story) -> None:
    path = Path(__file__).parents[2] / "docs/schemas/retrieve.json"
    schema = json.loads(path.read_text("utf-8"))
    Draft202012Validator(schema).validate(json.loads(json.dumps(story.holder.as_dict())))


def test_the_point_says_nothing_of_it_and_the_snapshot_only_to_who_has_the_point(
    story: Story,
) -> None:
    points = story.gate.points()
    (point,) = [i for i, p in points.items() if p["ragguard"]["source"] == "register"]
    own, other = points[point]["ragguard"], next(iter(points.values()))["ragguard"]
    assert own.keys() == other.keys()
    assert "honeytoken" not in json.dumps(points[point])
    found = snapshot.load(story.table, story.key)
    assert (found.is_honeytoken(point), found.find(point)) == (True, None)
    assert not found.is_honeytoken("no id")
    assert point.replace("-", "").encode() not in story.table


def test_a_root_without_honeytokens_has_the_bytes_it_had(story: Story) -> None:
    body = json.loads(roots.dump_root(story.gate.workspace.root))
    assert "honeytoken" not in body["sources"]["wiki"]["policy"]
    assert body["sources"]["register"]["policy"]["honeytoken"] is True


def test_holder_and_readers_write_into_one_log(story: Story) -> None:
    found = read(story.gate.workspace.folder / FOLDER)
    assert found.damaged == 0
    mine, theirs, late = found.records
    assert mine.question == theirs.question == question_digest(ODD)
    assert (mine.text, theirs.text) == ("", ODD)
    assert mine.direction is not None
    assert [p.document for p in mine.honeytokens] == [p.document for p in theirs.honeytokens]
    assert [p.document for p in mine.hits] == [h.document for h in story.holder.hits]
    assert late.log < mine.log + 9


def test_an_empty_log_is_skipped_and_says_so(story: Story) -> None:
    findings, note, answers = story.nights[0]
    assert (findings, note.state, answers) == ([], "skipped", None)
    assert note.reason == "no answer was logged yet"


def test_the_audit_names_document_question_and_time_of_what_was_planted(story: Story) -> None:
    found = [f for f in story.nights[1][0] if f.rule == "honeytoken-retrieved"]
    (only,) = found
    assert (only.level, only.count) == ("error", 2)
    assert PLANTED in only.detail
    assert only.facts["questions"] == [
        {"question": question_digest(ODD), "at": "2026-03-01T12:00:00Z"},
        {"question": question_digest(ODD), "at": "2026-03-01T12:01:00Z"},
    ]


def test_what_a_reader_gives_after_its_removal_is_an_alarm_and_an_older_version_is_none(
    story: Story,
) -> None:
    assert {LEAVE, "wiki/laptops.md"} <= {h.document for h in story.late.hits}
    assert not [f for f in story.nights[1][0] if f.rule == "retrieved-after-removal"]
    findings, note, answers = story.nights[2]
    (found,) = [f for f in findings if f.rule == "retrieved-after-removal"]
    assert (found.document, found.level, found.count) == (LEAVE, "error", 1)
    assert found.facts["questions"] == [
        {"question": question_digest(QUESTION), "at": "2026-03-01T14:00:00Z"}
    ]
    assert answers is not None
    assert (answers.answers, answers.questions, answers.stale) == (3, 2, 1)
    assert note.looked_at == 3
    assert answers.documents[0].questions == 2


def test_trace_says_to_which_question_and_when(story: Story) -> None:
    planted, leave = retrieved(story.gate.workspace, [PLANTED, LEAVE, "wiki/never.md"])
    # Six passages were asked for of a corpus of seven: that finds whatever there is.
    assert (planted.answers, planted.questions) == (3, 2)
    assert {(f.question, f.given) for f in planted.last} == {
        (question_digest(ODD), False),
        (question_digest(QUESTION), False),
    }
    assert (leave.document, leave.last[-1].given) == (LEAVE, True)


# --- making them ----------------------------------------------------------------------------------


def test_no_two_are_alike_and_none_says_what_it_is() -> None:
    made = make(40)
    assert len(made) == len(set(made.values())) == 40
    assert not [text for text in made.values() if "honey" in text.lower()]
    words = [set(text.split()) for text in made.values()]
    assert all(len(a & b) < 25 for a in words for b in words if a is not b)


def test_the_command_writes_them_and_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(canary, ["plant", str(tmp_path / "register"), "-n", "2"])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "register").glob("*.md"))) == 2
    assert "--set honeytoken=true" in done.output


def test_an_honest_question_that_finds_one_is_told() -> None:
    rankings = {"q1": [("wiki/a.md", 0.9), (PLANTED, 0.3)], "q2": [("wiki/a.md", 0.8)]}
    answered = Run("c", "d", 10, rankings)
    (found,) = found_planted(answered, ["register"])
    assert (found.query, found.document, found.rank) == ("q1", PLANTED, 2)
