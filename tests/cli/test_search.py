"""`ragguard search --proved` on a stranger's terminal."""

from __future__ import annotations

import json

from ragguard.store import Point, open_store
from tests.cli.conftest import Shell
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
