from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from ragguard.audit.findings import AuditFinding, AuditReport
from ragguard.audit.report import json as report_json
from ragguard.errors import IntegrityError
from tests.support.audit import reports

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[3] / "docs/schemas/audit.json").read_text("utf-8")
)
KINDS: dict[str, Callable[[], AuditReport]] = {
    "quiet": reports.quiet,
    "busy": reports.busy,
    "failed": reports.failed,
    "hostile": reports.hostile,
    "first": lambda: replace(reports.busy(), previous="", fresh=frozenset(), gone=()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_fits_the_schema(kind: str) -> None:
    written = json.loads(report_json.dump(KINDS[kind]()))
    Draft202012Validator(SCHEMA).validate(written)
    assert list(written) == SCHEMA["required"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_what_is_read(kind: str) -> None:
    data = report_json.dump(KINDS[kind]())
    assert report_json.dump(report_json.load(data)) == data


def test_a_report_survives_being_written_and_read() -> None:
    report = reports.busy()
    read = report_json.load(report_json.dump(report))
    assert [f.identity for f in read.findings] == [f.identity for f in report.findings]
    assert read.fresh == report.fresh
    assert read.findings == report.findings
    assert read.sources == report.sources
    assert read.parts == report.parts
    assert [f.identity for f in read.gone] == [f.identity for f in report.gone]
    assert read.exit_code() == report.exit_code() == 3


def test_the_same_report_gives_the_same_bytes() -> None:
    assert report_json.dump(reports.busy()) == report_json.dump(reports.busy())


def test_hostile_identities_survive() -> None:
    report = reports.hostile()
    kept = [f for f in report.findings if "\ud800" not in f.identity]
    read = {f.identity for f in report_json.load(report_json.dump(report)).findings}
    assert len(kept) == len(report.findings) - 1
    assert {f.identity for f in kept} <= read


def test_a_fingerprint_ignores_what_drifts() -> None:
    found = AuditFinding("hub", "912 chunks", "wiki/a.md", collection="c", score=0.8, p_value=0.01)
    later = replace(found, detail="340 chunks", score=0.6, p_value=0.03, count=2, facts={"a": 1})
    assert report_json.fingerprint(found) == report_json.fingerprint(later)
    for other in (
        replace(found, document="wiki/b.md"),
        replace(found, rule="campaign"),
        replace(found, collection="d"),
    ):
        assert report_json.fingerprint(other) != report_json.fingerprint(found)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        1 << 80,
        np.float32(0.5),
        np.arange(3),
        (1, "\ud800"),
        {3, 1},
        b"\xff",
        {"a": {"b": [object]}},
        "x" * 50_000,
    ],
    ids=str,
)
def test_any_value_of_facts_becomes_strict_json(value: Any) -> None:
    safe = report_json.json_safe({"it": value})
    text = json.dumps(safe, allow_nan=False)
    text.encode("ascii")
    assert len(text) <= report_json.LONGEST + 100
    assert json.loads(text) == safe


def test_facts_of_numpy_are_numbers() -> None:
    assert report_json.json_safe({"a": np.float64(0.5), "b": np.arange(2)}) == {
        "a": 0.5,
        "b": [0, 1],
    }


def test_facts_nested_without_end_are_cut_off() -> None:
    facts: dict[str, Any] = {}
    for _ in range(400):
        facts = {"deeper": facts}
    report = replace(reports.quiet(), findings=[AuditFinding("hub", "x", "a/b", facts=facts)])
    assert report_json.load(report_json.dump(report)).findings[0].document == "a/b"


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(written: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place: Any = written
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("format", "ragguard-audit-v2"),
        _set("at", "yesterday"),
        _set("previous", "2026-13-01T00:00:00Z"),
        _set("extra", 1),
        _set("memory_bytes", -1),
        _set("memory_bytes", "1"),
        _set("findings.0.rule", "no-such-rule"),
        _set("findings.0.id", "RG101"),
        _set("findings.0.score", 1.5),
        _set("findings.0.count", True),
        _set("findings.0.facts", []),
        _set("gone.0.rule", "no-such-rule"),
        _set("parts.0.state", "fine"),
        _set("health.signed", 2),
        _set("counts.points", None),
        lambda written: written.pop("parts"),
        lambda written: written["sources"][0].pop("drift"),
    ],
)
def test_a_damaged_report_is_an_error_with_a_hint(change: Callable[[Any], object]) -> None:
    written = json.loads(report_json.dump(reports.busy()))
    report_json.report_of(written)
    change(written)
    with pytest.raises(IntegrityError, match="the last audit: ") as caught:
        report_json.report_of(written, "the last audit")
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b"\xff", b'{"a":1,"a":2}', b"[" * 99])
def test_what_is_no_report_is_an_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        report_json.load(data)


def test_a_truncated_report_is_an_error_wherever_it_ends() -> None:
    data = report_json.dump(reports.quiet())
    for end in range(0, len(data) - 2, 9_973):
        with pytest.raises(IntegrityError):
            report_json.load(data[:end])
