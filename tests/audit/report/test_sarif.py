from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from jsonschema import Draft7Validator

from ragguard.audit.findings import AuditFinding, AuditReport
from ragguard.audit.report import sarif
from ragguard.audit.rules import RULES
from tests.support.audit import reports

OFFICIAL = json.loads(
    (Path(__file__).resolve().parents[2] / "schemas/sarif-schema-2.1.0.json").read_text("utf-8")
)
VALIDATOR = Draft7Validator(OFFICIAL)
KINDS = {"quiet": reports.quiet, "busy": reports.busy, "failed": reports.failed} | {
    "hostile": reports.hostile
}


def run_of(report: AuditReport) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(sarif.dump(report))["runs"][0]
    return run


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_fits_the_official_schema(kind: str) -> None:
    VALIDATOR.validate(json.loads(sarif.dump(KINDS[kind]())))


def test_the_official_schema_can_say_no() -> None:
    log = json.loads(sarif.dump(reports.busy()))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not VALIDATOR.is_valid(log)


def test_every_rule_stands_in_the_driver_under_its_id() -> None:
    run = run_of(reports.busy())
    rules = run["tool"]["driver"]["rules"]
    assert [r["id"] for r in rules] == [r.id for r in RULES.values()]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert rules[result["ruleIndex"]]["defaultConfiguration"]["level"] == result["level"]
    assert len({r["name"] for r in rules}) == len(rules)


def test_a_fingerprint_survives_what_drifts() -> None:
    report = reports.busy()
    drifted = [
        replace(f, score=f.score / 2, p_value=0.5, detail="in other words", facts={}, count=9)
        for f in report.findings
    ]
    later = replace(report, at="2026-03-02T12:00:00Z", findings=drifted)
    before, after = (
        [r["partialFingerprints"] for r in run_of(each)["results"]] for each in (report, later)
    )
    assert before == after
    assert len({p["primaryLocationLineHash"] for p in before}) == len(before)


def test_two_findings_of_one_identity_are_two_results() -> None:
    found = AuditFinding("hub", "first chunk", "wiki/a.md")
    report = replace(reports.quiet(), findings=[found, replace(found, detail="second chunk")])
    first, second = (r["partialFingerprints"] for r in run_of(report)["results"])
    assert first != second


def test_results_say_what_is_new_unless_it_is_the_first_audit() -> None:
    report = reports.busy()
    states = [r["baselineState"] for r in run_of(report)["results"]]
    fresh = [f.identity in report.fresh for f in report.findings]
    assert states == ["new" if new else "unchanged" for new in fresh]
    assert set(states) == {"new", "unchanged"}
    first = run_of(replace(report, previous=""))
    assert not any("baselineState" in r for r in first["results"])


@pytest.mark.parametrize(
    ("found", "uri", "names"),
    [
        (AuditFinding("hub", "", "wiki/leave.md"), "wiki/leave.md", ["wiki/leave.md"]),
        (AuditFinding("hub", "", "faq/q.jsonl#7"), "faq/q.jsonl", ["faq/q.jsonl#7"]),
        (AuditFinding("hub", "", "wiki/c#.md"), "wiki/c%23.md", ["wiki/c#.md"]),
        (
            AuditFinding("vector-changed", "", "wiki/a b.md", "77", "c-1"),
            "wiki/a%20b.md",
            ["wiki/a b.md", "c-1/77"],
        ),
        (AuditFinding("foreign-point", "", "", "77", "c-1"), "qdrant/c-1/77", ["c-1/77"]),
        (AuditFinding("source-stale", "", about="faq"), "qdrant/corpus-1", ["faq"]),
        (AuditFinding("log-broken", ""), "qdrant/corpus-1", ["corpus-1"]),
    ],
)
def test_every_result_has_a_place(found: AuditFinding, uri: str, names: list[str]) -> None:
    result = run_of(replace(reports.quiet(), findings=[found]))["results"][0]
    (place,) = result["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert [n["fullyQualifiedName"] for n in place["logicalLocations"]] == names


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "wiki/../../x",
        "wiki/./..",
        "/etc/passwd",
        "//evil.example/x",
        "javascript:alert(1)",
        "C:\\x",
        "wiki/%2e%2e/x",
        "a\r\nb\x00\ud800",
        "/",
        "...",
        *reports.HOSTILE,
    ],
)
def test_a_hostile_name_stays_below_the_root(name: str) -> None:
    found = AuditFinding("hub", "", name)
    run = run_of(replace(reports.quiet(), findings=[found]))
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert not urlsplit(uri).scheme
    assert not urlsplit(uri).netloc
    assert uri
    assert uri.isascii()
    assert urljoin("file:///base/folder/", uri).startswith("file:///base/folder/")
    assert ".." not in unquote(uri).split("/")


def test_hostile_text_makes_neither_links_nor_placeholders() -> None:
    for result in run_of(reports.hostile())["results"]:
        text = result["message"]["text"]
        assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]]", text)
        assert re.sub(r"\{\{|\}\}", "", text).count("{") == 0
        assert text.isprintable()
        assert len(text) < 2 * sarif.LONGEST


def test_parts_that_did_not_look_are_told() -> None:
    (invocation,) = run_of(reports.failed())["invocations"]
    assert invocation["executionSuccessful"] is False
    told = {n["properties"]["part"]: n for n in invocation["toolExecutionNotifications"]}
    assert {name: n["level"] for name, n in told.items()} == {
        "vault": "note",
        "neighbourhoods": "error",
        "drift": "error",
        "canaries": "note",
    }
    assert "out of memory" in told["neighbourhoods"]["message"]["text"]
    (invocation,) = run_of(reports.busy())["invocations"]
    assert invocation["executionSuccessful"] is True


def test_results_beyond_what_viewers_take_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST", 5)
    report = reports.busy()
    run = run_of(report)
    assert len(run["results"]) == 5
    last = run["invocations"][0]["toolExecutionNotifications"][-1]
    assert last["message"]["text"].startswith(f"{len(report.findings) - 5} further results")
