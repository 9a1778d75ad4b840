"""`ragguard trace` and `ragguard history show|diff`: codes, JSON, PROV-JSON, hostile text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import Shell, one_line_error

Check = Callable[[str, Any], None]


def test_a_document_is_traced_to_its_signer(served: Shell, schema: Check) -> None:
    body = served.json("trace", "wiki/leave.md", "--export", "prov.json")
    schema("trace", body)
    (chain,) = body["documents"]
    assert (chain["zone"], chain["proof"]["signed_by"]) == ("serving", ["alice"])
    said = served.ok("trace", "wiki/leave.md")
    assert "1 of 1 points are as they were written" in said
    prov = json.loads(Path("prov.json").read_text())
    things = {**prov["entity"], **prov["activity"], **prov["agent"]}
    for kind in ("wasGeneratedBy", "wasDerivedFrom", "wasAttributedTo", "wasAssociatedWith"):
        for body in prov[kind].values():
            assert len(body) == 2
            assert all(value in things for value in body.values())
    assert [a["prov:label"] for a in prov["agent"].values()] == ["alice"]
    assert [a["prov:startTime"] for a in prov["activity"].values()] == ["2026-03-01T12:00:00Z"]
    assert {name.split(":")[0] for name in things} <= set(prov["prefix"])


def test_a_bad_answer_is_traced_and_the_exit_code_asks_to_look(
    served: Shell, schema: Check
) -> None:
    asked = ("trace", "--query", "how many days of leave?", "--answer", "27")
    body = served.json(*asked, code=1)
    schema("trace", body)
    assert [d["document"] for d in body["documents"]] == ["leave.md"]
    assert "RESPONSIBLE wiki/leave.md" in served(*asked).stdout
    assert served("trace", "--query", "how many days?", "--answer", "ninety").exit_code == 0


def test_trace_wants_one_thing(served: Shell) -> None:
    for args in ((), ("wiki/leave.md", "--query", "x"), ("wiki/leave.md", "--answer", "x")):
        result = served("trace", *args)
        assert result.exit_code == 2
        assert one_line_error(result)


def test_history_shows_a_commit_and_lists_the_corpus_after_it(served: Shell) -> None:
    shown = served.json("history", "show", "1", "--documents")
    assert (shown["signed_by"], shown["agrees"], shown["serving"]) == (["alice"], True, 7)
    assert len(shown["documents"]) == 7
    said = served.ok("history", "show", "1", "--documents")
    assert "+ quarantine wiki/safe.md" in said
    assert "as the log has it" in said
    made = served.json("history", "diff", "1", "1")
    assert (made["added"], made["removed"], made["changed"], made["commits"]) == ([], [], [], [])
    assert served("history", "show", "7").exit_code == 2
