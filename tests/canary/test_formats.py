"""Files in and out: what is read, what is refused, and that TREC tools read what is written."""

from __future__ import annotations

from pathlib import Path

import ir_measures
import pytest

from ragguard.canary import formats
from ragguard.canary.sets import Canaries, Forbidden
from ragguard.errors import UsageError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_queries_come_as_json_lines_or_as_a_table(tmp_path: Path) -> None:
    lines = '{"id": 7, "query": "who pays?", "relevant": ["a.md"], "answer": "us"}\n\n'
    made = formats.read_queries(write(tmp_path, "q.jsonl", lines), "wiki/")
    assert made == Canaries({"7": "who pays?"}, {"7": {"wiki/a.md": 1}})
    table = write(tmp_path, "q.tsv", "7\twho pays?\n8\twho\tasks?\n")
    assert formats.read_queries(table).queries == {"7": "who pays?", "8": "who\tasks?"}


def test_qrels_keep_spaces_of_ids_and_grades(tmp_path: Path) -> None:
    path = write(tmp_path, "qrels", "q1 0 my notes.md 2\nq1\t0\tb.md\t0\nq2 Q0 c.md -1\n")
    assert formats.read_qrels(path, "wiki/") == {
        "q1": {"wiki/my notes.md": 2, "wiki/b.md": 0},
        "q2": {"wiki/c.md": -1},
    }


def test_must_not_lines_name_documents_and_patterns(tmp_path: Path) -> None:
    text = '{"document": "x.md", "reason": "forged"}\n{"pattern": "47[0-9]+", "query": "q1"}\n'
    assert formats.read_must_not(write(tmp_path, "m.jsonl", text), "wiki/") == (
        Forbidden("wiki/x.md", reason="forged"),
        Forbidden(pattern="47[0-9]+", query="q1"),
    )


@pytest.mark.parametrize(
    ("reader", "name", "text"),
    [
        (formats.read_queries, "q.jsonl", "[1]"),
        (formats.read_queries, "q.jsonl", '{"id": "a"}'),
        (formats.read_queries, "q.jsonl", '{"id": "a", "text": "b", "relevant": [1]}'),
        (formats.read_queries, "q.jsonl", '{"id": "a", "text": "b"}\n{"id": "a", "text": "c"}'),
        (formats.read_queries, "q.jsonl", '{"id": "a", "id": "b", "text": "c"}'),
        (formats.read_queries, "q.tsv", "no tab in it"),
        (formats.read_qrels, "qrels", "q1 0 a.md"),
        (formats.read_qrels, "qrels", "q1 0 a.md high"),
        (formats.read_must_not, "m.jsonl", '{"document": "a", "pattern": "b"}'),
        (formats.read_must_not, "m.jsonl", '{"reason": "b"}'),
        (formats.read_must_not, "m.jsonl", '{"pattern": "b", "colour": "red"}'),
        (formats.read_run, "a.run", "q1 Q0 a.md 1 nan tag"),
        (formats.read_run, "a.run", "q1 Q0 a.md 1 0.5"),
        (formats.read_run, "a.run", "q1 Q0 a 1 0.5 t\nq1 Q0 a 2 0.4 t"),
    ],
)
def test_other_files_are_refused_with_the_place(
    tmp_path: Path, reader: object, name: str, text: str
) -> None:
    with pytest.raises(UsageError, match=name):
        reader(write(tmp_path, name, text))


def test_bytes_that_are_no_text_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        formats.read_queries(path)
    with pytest.raises(UsageError, match="No such file"):
        formats.read_qrels(tmp_path / "none")


def test_a_run_comes_back_as_it_was_written_and_other_tools_read_it(tmp_path: Path) -> None:
    rankings = {"q1": [("wiki/my 100% notes.md", 0.75), ("wiki/b.md", 0.5)], "q2": [("w/c", -0.1)]}
    text = formats.dump_run(rankings)
    assert formats.load_run(text, "run") == rankings
    read = list(ir_measures.read_trec_run(str(write(tmp_path, "a.run", text))))
    assert [(r.query_id, r.score) for r in read] == [("q1", 0.75), ("q1", 0.5), ("q2", -0.1)]
    assert read[0].doc_id == "wiki/my%20100%25%20notes.md"


def test_suggested_queries_can_be_added(tmp_path: Path) -> None:
    made = Canaries({"s-1": "wer zählt?"}, {"s-1": {"wiki/a.md": 1}})
    assert formats.read_queries(write(tmp_path, "q.jsonl", formats.dump_queries(made))) == made
