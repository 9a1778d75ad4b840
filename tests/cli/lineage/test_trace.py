"""`ragguard trace` and `ragguard history show|diff`: codes, JSON, PROV-JSON, hostile text."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import Shell, one_line_error

Check = Callable[[str, Any], None]
ASKED = ("trace", "--query", "how many days of leave?", "--answer", "27")

# PROV-JSON, W3C member submission of 24 April 2013: what each relation is made of.
RELATIONS = {
    "wasGeneratedBy": {"prov:entity": "entity", "prov:activity": "activity"},
    "wasDerivedFrom": {"prov:generatedEntity": "entity", "prov:usedEntity": "entity"},
    "wasAttributedTo": {"prov:entity": "entity", "prov:agent": "agent"},
    "wasAssociatedWith": {"prov:activity": "activity", "prov:agent": "agent"},
    "used": {"prov:activity": "activity", "prov:entity": "entity"},
}


def test_a_document_is_traced_to_its_signer(served: Shell, schema: Check) -> None:
    body = served.json("trace", "wiki/leave.md", "--export", "prov.json")
    schema("trace", body)
    (chain,) = body["documents"]
    assert (chain["zone"], chain["proof"]["signed_by"]) == ("serving", ["alice"])
    said = served.ok("trace", "wiki/leave.md")
    assert "1 of 1 points are as they were written" in said
    prov = json.loads(Path("prov.json").read_text())
    assert set(prov) <= {"prefix", "entity", "activity", "agent", *RELATIONS}
    names = [name for kind in ("entity", "activity", "agent") for name in prov[kind]]
    assert len(names) == len(set(names))
    assert {name.split(":")[0] for name in names} <= set(prov["prefix"])
    assert all(isinstance(uri, str) and ":" in uri for uri in prov["prefix"].values())
    for kind in ("entity", "activity", "agent"):
        for things in prov[kind].values():
            for attribute, value in things.items():
                assert attribute.split(":")[0] in {"prov", *prov["prefix"]}
                assert isinstance(value, str | int | float | bool)
    for kind in RELATIONS:
        for name, relation in prov[kind].items():
            assert name.startswith("_:")
            assert set(relation) == set(RELATIONS[kind])
            for role, what in RELATIONS[kind].items():
                assert relation[role] in prov[what]
    assert set(RELATIONS) <= set(prov)
    assert [a["prov:label"] for a in prov["agent"].values()] == ["alice"]
    assert [a["prov:startTime"] for a in prov["activity"].values()] == ["2026-03-01T12:00:00Z"]


def test_a_bad_answer_is_traced_and_the_exit_code_asks_to_look(
    served: Shell, schema: Check
) -> None:
    body = served.json(*ASKED, code=1)
    schema("trace", body)
    assert body["responsible"] == ["wiki/leave.md"]
    assert [d["document"] for d in body["documents"]] == ["leave.md"]
    assert "RESPONSIBLE wiki/leave.md" in served(*ASKED).stdout
    assert served("trace", "--query", "how many days?", "--answer", "ninety").exit_code == 0


def test_what_trace_names_is_held_by_name_or_from_standard_input(served: Shell) -> None:
    (name,) = served.json(*ASKED, code=1)["responsible"]
    said = served.ok("quarantine", "hold", "-", "--reason", "trace named it", stdin=f"{name}\n\n")
    assert said.startswith("held: wiki/leave.md\n1 out of the index, commit 2\n")
    assert served("trace", *ASKED[1:]).exit_code == 0
    body = served.json("quarantine", "hold", name, "--reason", "again")
    assert body == {"commit": None, "held": [], "waiting": [name]}
    listed = served.json("quarantine", "list")
    assert {c["document"]: c["findings"][0]["check"] for c in listed}["leave.md"] == "held"
    wrong = served("quarantine", "hold", "wiki/no.md", "--reason", "x")
    assert wrong.exit_code == 2
    assert "no document 'wiki/no.md'" in one_line_error(wrong)


def test_a_judge_is_asked_and_what_it_prints_is_not_believed_blindly(served: Shell) -> None:
    def judge(program: str) -> str:
        return shlex.join([sys.executable, "-I", "-c", program])

    says = "import sys\nfor line in sys.stdin: print(int('badge' in line))"
    body = served.json(*ASKED, "--judge", judge(says), code=1)
    assert body["responsible"] == ["wiki/visitors.md"]
    wrong = served(*ASKED, "--judge", judge("print('ignore this')"))
    assert wrong.exit_code == 5
    assert "expected 7 lines, got 1" in one_line_error(wrong)


def test_trace_wants_one_thing(served: Shell) -> None:
    for args in (
        (),
        ("wiki/leave.md", "--query", "x"),
        ("wiki/leave.md", "--answer", "x"),
        ("--query", "x", "--judge", "cat"),
    ):
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


def test_each_step_of_a_document_is_told_and_a_wrong_one_is_exit_code_3(
    served: Shell, schema: Check
) -> None:
    (lineage,) = served.json("trace", "wiki/leave.md")["lineages"]
    schema("lineage", lineage)
    assert lineage["wrong"] == lineage["unproved"] == 0
    said = served.ok("trace", "wiki/leave.md")
    assert f"{lineage['verified']} of {lineage['verified']} steps verified" in said


def test_a_source_is_told_with_what_it_brought(served: Shell, schema: Check) -> None:
    body = served.json("history", "source", "wiki")
    schema("source", body)
    assert [m["state"] for m in body["brought"]] == ["verified"]
    assert body["canaries"] == {"runs": 0, "questions": [], "problems": []}
    said = served.ok("history", "source", "wiki")
    assert "commit 1: manifest 1 by alice" in said
    assert "nothing can be said before two audits" in said
    assert "there is no such source" in one_line_error(served("history", "source", "nobody"))


def test_a_commit_is_described_for_other_tools(served: Shell) -> None:
    card = served.ok("export", "--as", "card", "-")
    assert card.startswith("---\npretty_name:")
    body = served.json("export", "--as", "cyclonedx", "corpus.cdx.json", "--at", "1")
    written = Path("corpus.cdx.json").read_bytes()
    assert body == {"file": "corpus.cdx.json", "as": "cyclonedx", "bytes": len(written)}
    assert json.loads(written)["specVersion"] == "1.6"
    assert "no such commit" in one_line_error(served("export", "--as", "card", "x", "--at", "9"))
    assert served("export", "--as", "card", "x", "--verify").exit_code == 2
