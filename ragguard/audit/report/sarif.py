"""Write the report as SARIF 2.1.0, for code scanning and other viewers of findings.

A result keeps its fingerprint as long as the finding keeps its identity: scores, times and wording
drift and are not in it. Document text becomes plain text: in SARIF messages, brackets make links
and braces make placeholders, so both are escaped.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", sections 3.11.5
(placeholders), 3.11.6 (links), 3.27.17 (partial fingerprints). Viewers that want a file for every
result get one: a document's path, or `qdrant/COLLECTION/POINT`, which is no file.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import quote

from ragguard.audit.findings import AuditFinding, AuditReport, Part, State
from ragguard.audit.report.json import fingerprint, json_safe
from ragguard.audit.report.wording import counted, headline, reason, subject
from ragguard.audit.rules import RULES, Level, Rule
from ragguard.text.documentation import DOCUMENTATION, rule_address
from ragguard.text.safe_display import cut, line
from ragguard.trust.canonical import digest

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
MOST = 25_000  # results of a run that GitHub takes
LONGEST = 1_000  # characters of a message; GitHub shows 1,024
RECORDS = (".jsonl", ".csv")
FINGERPRINT = "ragguard/v1"
# Read by GitHub, which sorts by it: 9.0 is critical, 7.0 high, 4.0 medium, below low.
_SEVERITY: dict[Level, str] = {"error": "9.0", "warning": "6.0", "note": "2.0"}
_FAMILIES = {
    "1": "integrity",
    "2": "provenance",
    "3": "neighbourhoods",
    "4": "drift",
    "5": "answers",
}
_NOTICES: dict[State, tuple[Level, str]] = {
    "failed": ("error", "A part of the audit failed; what it looks for was not looked for."),
    "skipped": ("note", "A part of the audit did not apply."),
    "partial": ("note", "A part of the audit looked at less than all, as was asked."),
}


def dump(report: AuditReport) -> bytes:
    """Return the file's bytes: JSON in ASCII."""
    return json.dumps(sarif_of(report), indent=1, allow_nan=False).encode("ascii") + b"\n"


def sarif_of(report: AuditReport) -> dict[str, Any]:
    """Return the report as a SARIF log of one run.

    Results stand in the report's order, the gravest first; beyond `MOST` they are counted in a
    notification.
    """
    seen: Counter[str] = Counter()
    results = []
    for finding in report.findings[:MOST]:
        seen[finding.identity] += 1
        results.append(_result(finding, report, seen[finding.identity]))
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(report)},
                "automationDetails": {
                    "id": f"ragguard-audit/{quote(line(report.name), safe='')}/{report.at}",
                    "description": {"text": message(headline(report))},
                },
                "invocations": [_invocation(report)],
                "results": results,
                "columnKind": "unicodeCodePoints",
                "properties": {
                    "counts": dict(report.counts),
                    "health": json_safe(report.health),
                    "previous": report.previous or None,
                    "gone": len(report.gone),
                },
            }
        ],
    }


def message(text: str) -> str:
    """Hostile text as the text of a SARIF message: one plain line, no link, no placeholder."""
    kept = cut(line(text), LONGEST).replace("\\", "\\\\")
    for char in "[]":
        kept = kept.replace(char, "\\" + char)
    return kept.replace("{", "{{").replace("}", "}}")


def _driver(report: AuditReport) -> dict[str, Any]:
    return {
        "name": "ragguard",
        "version": report.version,
        "semanticVersion": report.version,
        "informationUri": DOCUMENTATION,
        "shortDescription": {"text": "The nightly audit of a RAG index."},
        "rules": [_rule(rule) for rule in RULES.values()],
        "notifications": [
            {
                "id": f"part-{state}",
                "shortDescription": {"text": text},
                "defaultConfiguration": {"level": level},
            }
            for state, (level, text) in _NOTICES.items()
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    exact = rule.id[2] in "12"
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.advice, "markdown": rule.advice},
        "helpUri": rule_address(rule.id),
        "defaultConfiguration": {"level": rule.level},
        "properties": {
            "tags": ["security", "rag", _FAMILIES[rule.id[2]]],
            "precision": "very-high" if exact else "medium",
            "security-severity": _SEVERITY[rule.level],
        },
    }


def _result(finding: AuditFinding, report: AuditReport, nth: int) -> dict[str, Any]:
    rule = RULES[finding.rule]
    # Two findings of one rule on one document are two results, today and tomorrow.
    mark = fingerprint(finding)
    if nth > 1:
        mark = digest([mark, nth])
    about = subject(finding)
    result: dict[str, Any] = {
        "ruleId": rule.id,
        "ruleIndex": list(RULES).index(rule.name),
        "kind": "fail",
        "level": rule.level,
        "message": {"text": message(f"{about}: {reason(finding)}" if about else finding.detail)},
        "locations": [_location(finding, report)],
        "partialFingerprints": {FINGERPRINT: mark, "primaryLocationLineHash": f"{mark[:16]}:1"},
        "occurrenceCount": max(1, finding.count),
        "rank": round(100 * min(max(finding.score, 0.0), 1.0), 2),
        "properties": {
            "rule": rule.name,
            "advice": rule.advice,
            "score": json_safe(finding.score),
            "p_value": json_safe(finding.p_value),
            "facts": json_safe(finding.facts),
        },
    }
    if report.previous:
        new = finding.identity in report.fresh
        result["baselineState"] = "new" if new else "unchanged"
    return result


def _location(finding: AuditFinding, report: AuditReport) -> dict[str, Any]:
    collection = finding.collection or report.collection
    names = []
    if finding.document:
        names.append(_name(finding.document, "document"))
    if finding.point:
        names.append(_name(f"{collection}/{finding.point}", "point"))
    if finding.about and finding.about == subject(finding):
        names.append(_name(finding.about, "subject"))
    if not names:
        names.append(_name(collection or report.name, "collection"))
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(finding, collection or report.name)},
            "region": {"startLine": 1},
        },
        "logicalLocations": names,
    }


def _name(full: str, kind: str) -> dict[str, str]:
    shown = line(full)
    return {"name": cut(shown.rpartition("/")[2] or shown, 255), "fullyQualifiedName": shown} | {
        "kind": kind
    }


def _uri(finding: AuditFinding, collection: str) -> str:
    """Return a relative reference that stays below the folder it is resolved in."""
    if finding.document:
        path = finding.document
        base, _, _ = path.partition("#")
        if base.lower().endswith(RECORDS):
            path = base
    else:
        path = "/".join(["qdrant", collection, *([finding.point] if finding.point else [])])
    parts = [_segment(part) for part in path.split("/")]
    return "/".join(part for part in parts if part) or "qdrant"


def _segment(part: str) -> str:
    # A dot segment, encoded or not, would climb out of the folder.
    if part.strip(".") == "":
        return part.replace(".", "_")
    return quote(part.encode("utf-8", "backslashreplace"), safe="")


def _invocation(report: AuditReport) -> dict[str, Any]:
    told = [_notice(part) for part in report.parts if part.state != "done"]
    left = len(report.findings) - MOST
    if left > 0:
        told.append(
            {
                "level": "warning",
                "message": {"text": f"{counted(left, 'further result')} in the JSON report only."},
            }
        )
    return {
        "executionSuccessful": not report.incomplete,
        "startTimeUtc": report.at,
        "toolExecutionNotifications": told,
    }


def _notice(part: Part) -> dict[str, Any]:
    return {
        "descriptor": {"id": f"part-{part.state}", "index": list(_NOTICES).index(part.state)},
        "level": _NOTICES[part.state][0],
        "message": {
            "text": message(f"{part.name} {part.state}: {part.reason or 'no reason told'}")
        },
        "properties": {"part": part.name, "looked_at": part.looked_at},
    }
