"""`ragguard canary` as a person would use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.canary.test_ask import QUERIES
from tests.cli.conftest import Shell, one_line_error

Check = Callable[[str, Any], None]
ANSWERS = ("leave", "laptops", "invoices", "visitors", "releases", "contracts")


@pytest.fixture
def files(served: Shell) -> Shell:
    """Beside a served workspace: queries, qrels, and what must not appear."""
    lines = [json.dumps({"id": q, "text": text}) for q, text in QUERIES.items()]
    Path("queries.jsonl").write_text("\n".join(lines))
    rows = [f"{q} 0 {name}.md 1\n" for q, name in zip(QUERIES, ANSWERS, strict=True)]
    Path("qrels.trec").write_text("".join(rows))
    Path("not.jsonl").write_text('{"document": "leave.md", "reason": "forged"}\n')
    return served


@pytest.fixture
def added(files: Shell) -> Shell:
    files.ok("canary", "add", "queries.jsonl", "--qrels", "qrels.trec", "--prefix", "wiki/")
    return files


def test_queries_are_added_listed_and_asked(added: Shell, schema: Check) -> None:
    assert "6 queries (6 judged)" in added.ok("canary", "list")
    listed = added.json("canary", "list")
    assert listed["qrels"]["leave"] == {"wiki/leave.md": 1}
    shown = added.ok("canary", "run")
    assert "6 queries, 6 judged" in shown
    body = added.json("canary", "run")
    schema("canary", body)
    assert body["means"]["recall@10"] == 1.0
    assert body["triggers"] == body["forbidden"] == []
    assert [len(q["answers"]) for q in body["queries"]] == [7] * 6


def test_what_must_not_appear_exits_1_and_can_be_masked(added: Shell, schema: Check) -> None:
    added.ok("canary", "add", "--must-not", "not.jsonl", "--prefix", "wiki/", "--trigger", "zq")
    result = added("canary", "run")
    assert result.exit_code == 1
    assert "MUST NOT APPEAR: wiki/leave.md is at rank 1 of 'leave' (forged)" in result.stdout
    assert "trigger 'zq': ALIVE" in result.stdout
    body = added.json("canary", "run", code=1)
    schema("canary", body)
    assert {hit["document"] for hit in body["forbidden"]} == {"wiki/leave.md"}
    assert added("canary", "run", "--exit-zero").exit_code == 0
    added.ok("canary", "add", "queries.jsonl", "--replace")
    assert "0 must-not entries" in added.ok("canary", "list")


def test_a_run_file_is_compared_with_what_serves(added: Shell, schema: Check) -> None:
    added.ok("canary", "run", "--run-file", "before.run")
    assert "the gate would let it pass" in added.ok("canary", "compare", "before.run", "serving")
    body = added.json("canary", "compare", "before.run", "1")
    schema("canary", body)
    assert (body["overlap"], body["refused"]) == (1.0, [])
    assert body["before"]["triggers"] is None
    assert body["compared"] is None
    both = added.json("canary", "compare", "1", "serving")
    schema("canary", both)
    assert (both["compared"]["neighbours"], both["compared"]["distance"]) == (1.0, 0.0)
    assert "neighbours kept: 100.0%" in added.ok("canary", "compare", "1", "serving")
    rows = Path("before.run").read_text().splitlines()
    worse = [r for r in rows if "leave.md" not in r and "laptops.md" not in r]
    Path("after.run").write_text("\n".join(worse))
    result = added("canary", "compare", "before.run", "after.run")
    assert result.exit_code == 4
    assert "REFUSED: nDCG@10 falls from" in result.stdout
    refused = added.json("canary", "compare", "before.run", "after.run", code=4)
    schema("canary", refused)
    assert {q["query"] for q in refused["queries"][:2]} == {"laptop", "leave"}
    assert added("canary", "compare", "before.run", "after.run", "--tolerance", "1").exit_code == 0


def test_suggested_queries_are_looked_through_and_added(served: Shell) -> None:
    served.write({"shoes.md": "# Safety shoes for guests\n\nThe porter lends safety shoes.\n"})
    served.sign("two.intoto.json")
    served("ingest", "two.intoto.json", "--root", served.site)
    served.clock.later(days=40)
    said = served("canary", "suggest", "-n", "5", "-o", "q.jsonl")
    assert said.exit_code == 0
    assert "left out: " in said.stderr
    row = json.loads(Path("q.jsonl").read_text().splitlines()[0])
    assert row["relevant"] == ["wiki/shoes.md"]
    served.ok("canary", "add", "q.jsonl")
    assert row["text"] in served.ok("canary", "list")
    assert row["id"] in served.ok("canary", "suggest")
    assert "next: ragguard canary run" in served.ok("canary", "suggest", "--add")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("canary", "add"), "nothing to add"),
        (("canary", "run"), "no canary queries"),
        (("canary", "list"), "no canary queries"),
        (("canary", "compare", "serving", "serving"), "no canary queries"),
        (("canary", "add", "--qrels", "qrels.trec"), "there is no query"),
        (("canary", "add", "queries.jsonl", "--qrels", "qrels.trec"), "no document id"),
        (("canary", "add", "not.jsonl"), "expected an id and a text"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    files: Shell, args: tuple[str, ...], said: str
) -> None:
    before = files.state()
    result = files(*args)
    assert result.exit_code == 2
    assert said in one_line_error(result)
    assert files.state() == before


def test_a_side_that_is_no_run_and_no_generation_is_refused(added: Shell) -> None:
    for name, said in (("nowhere.run", "no such run file"), ("7", "there is none")):
        result = added("canary", "compare", "serving", name)
        assert result.exit_code == 2
        assert said in one_line_error(result)
