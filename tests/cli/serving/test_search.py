"""`ragguard search --proved` on a stranger's terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragguard.store import Point, open_store
from tests.cli.conftest import Shell, one_line_error
from tests.cli.test_schemas import Check

QUESTION = "how many days off do I get"


def forge(served: Shell) -> None:
    """Change the text of the passage that answers, past the gate."""
    store = open_store(served.folder / "index")
    for point in [p for block in store.scan("corpus", vectors=True) for p in block]:
        if point.payload["ragguard"]["document"] == "leave.md":
            changed = {**point.payload, "page_content": "You get \x1b[31m99 days."}
            store.upsert("corpus-g1", [Point(point.id, point.vector, changed)])
    store.close()


def test_proved_passages_fit_their_schema(served: Shell, schema: Check) -> None:
    body = served.json("search", QUESTION, "-k", "3", "--proved")
    schema("retrieve", body)
    assert body["hits"][0]["document"] == "wiki/leave.md"
    assert body["refused"] == []
    assert "proved: sealed, signed" in served.ok("search", QUESTION, "--proved")


def test_a_forged_passage_is_not_shown_and_the_exit_code_is_3(served: Shell, schema: Check) -> None:
    forge(served)
    shown = served("search", QUESTION, "--proved")
    assert shown.exit_code == 3
    assert "ALARM: wiki/leave.md: the point is not the one the ledger knows" in shown.stdout
    assert "99 days" not in shown.stdout
    result = served("search", QUESTION, "--proved", "--format", "json")
    body = json.loads(result.stdout)
    schema("retrieve", body)
    assert [r["kind"] for r in body["refused"]] == ["seal"]


def test_a_reader_needs_what_was_published_and_the_log_key_and_no_workspace(
    served: Shell, schema: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = served.json("publish", tmp_path / "out")
    assert published["proved"] == published["points"] == 7
    key = ("--published", tmp_path / "out", "--log-key", published["log_key"])
    monkeypatch.chdir(tmp_path)
    body = served.json("search", QUESTION, "-k", "3", *key)
    schema("retrieve", body)
    assert body["hits"][0]["document"] == "wiki/leave.md"
    served.clock.later(hours=25)
    late = served("search", QUESTION, *key)
    assert late.exit_code == 3
    assert "at most 1 day" in one_line_error(late)
    assert served("search", QUESTION, *key, "--max-age", "2d").exit_code == 0


@pytest.mark.parametrize(
    "args", [["--published", "."], ["--log-key", "x"], ["--url", "http://x"], ["--receipt", "x"]]
)
def test_options_of_readers_go_together(served: Shell, args: list[str]) -> None:
    result = served("search", QUESTION, *args)
    assert result.exit_code == 2
    assert "with --" in one_line_error(result)


def test_a_receipt_is_verified_and_traced(served: Shell, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    served.ok("search", QUESTION, "-k", "2", "--proved", "--receipt", path)
    shown = served.ok("log", "verify", path)
    assert "signed by log" in shown
    assert "1. wiki/leave.md, entry" in shown
    assert shown.count("good then") == 2
    key = served.json("log", "checkpoint")["log_key"]
    offline = served.json("log", "verify", path, "--log-key", key)
    assert offline["wrong"] is None
    assert [h["document"] for h in offline["hits"]][:1] == ["wiki/leave.md"]
    assert "is still" in served.ok("trace", path)
    served.ok("quarantine", "hold", "wiki/leave.md", "--reason", "wrong")
    body = served.json("trace", path, code=1)
    assert [bool(p["now"]) for p in body["passages"]] == [True, False]
    assert served.json("log", "verify", path)["wrong"] == {}


def test_a_question_without_an_answer_is_said_so_and_waits_for_a_person(
    served: Shell, schema: Check
) -> None:
    with (served.folder / "ragguard.toml").open("a") as settings:
        settings.write("[retriever]\nfloor = 0.4\nhand_over = true\n")
    asked = "which planet has the most moons"
    body = served.json("search", asked, "--proved", code=1)
    schema("retrieve", body)
    number = body["abstained"]["case"]
    shown = served("search", asked, "--proved")
    assert shown.exit_code == 1
    assert "no answer: the nearest passage" in shown.stdout
    assert f"case {number} waits for a person" in shown.stdout
    listed = served.json("quarantine", "list")
    schema("quarantine", listed)
    assert {row["case"]: row["kind"] for row in listed}[number] == "question"
    assert asked in served.ok("quarantine", "show", str(number))
    assert "below-floor" in served.ok("quarantine", "list")
    served.ok("quarantine", "list", "--group")
    schema("quarantine", served.json("quarantine", "show", str(number)))
    served.ok("quarantine", "stats")
    decided = ("--key", "keys/bob.key", "--reason", "not ours")
    served.ok("quarantine", "reject", str(number), *decided)
    assert number not in {row["case"] for row in served.json("quarantine", "list")}
