"""Render cases and groups as JSON objects for `quarantine list`, `show` and the page."""

from __future__ import annotations

from typing import Any

from ragguard.ledger import opinions
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.observed import ALWAYS_REVIEW, PROBATION
from ragguard.ledger.queue import Entry, Group
from ragguard.ledger.versions import VersionRow
from ragguard.quarantine.confidence import Level, confidence, level
from ragguard.quarantine.review import CaseView

# Findings that are no judgement.
BY_HAND = frozenset({"held", "revoked", "unsigned", ALWAYS_REVIEW, PROBATION})


def sureness(version: VersionRow | None, asked: float) -> tuple[float | None, Level | None]:
    """Tell how sure the gate is that a case is poison, as a number and a word.

    `None` where the gate said nothing: a removal, or what a person held.
    """
    if version is None or (version.p_value is None and _by_hand(version)):
        return None, None
    value = confidence(version.p_value, asked)
    return value, level(value)


def _by_hand(version: VersionRow) -> bool:
    return all(f["check"] in BY_HAND for f in version.findings)


def case_body(case: CaseRow, version: VersionRow | None, asked: float) -> dict[str, Any]:
    """Render a case as a JSON object, without what only `shown_body` looks up."""
    value, word = sureness(version, asked)
    return {
        "case": case.id,
        "kind": case.kind,
        "state": case.state,
        "source": case.source,
        "document": case.document or None,
        "opened": case.opened_at,
        "score": version.score if version else None,
        "p_value": version.p_value if version else None,
        "confidence": value,
        "confidence_level": word,
        "digest": version.digest if version else None,
        "metadata": dict(version.metadata) if version else None,
        "findings": [
            {k: f[k] for k in ("check", "score", "p_value", "detail", "facts")}
            for f in (version.findings if version else ())
        ],
        "detail": dict(case.detail),
    }


def head_body(shown: CaseView, asked: float) -> dict[str, Any]:
    """Render a case with who signed it and whether it is an update."""
    return {
        **case_body(shown.case, shown.version, asked),
        "signed_by": [principal for _, principal in shown.signers],
        "older_version_serves": shown.replaces,
        "reviewers_needed": shown.needed,
        "opinions": opinions.told(shown.opinions, closed=shown.case.state != "open"),
    }


def shown_body(shown: CaseView, asked: float) -> dict[str, Any]:
    """Render a case with texts, marks, and what stands beside it."""
    return {
        **head_body(shown, asked),
        "texts": list(shown.texts),
        "serves_as": list(shown.serves_as),
        "marks": [
            {"passage": m.passage, "start": m.start, "end": m.end, "check": m.check}
            for m in shown.marks
        ],
        "beside": [
            {
                "document": b.document,
                "role": b.role,
                "zone": b.zone or None,
                "similarity": b.similarity,
                "passage": b.passage,
                "text": b.text,
                "differs": [list(span) for span in b.ours],
                "other_differs": [list(span) for span in b.theirs],
            }
            for b in shown.beside
        ],
    }


def group_body(group: Group) -> dict[str, Any]:
    """Render a group as a JSON object."""
    scores = [e.version.score for e in group.entries if e.version]
    return {
        "group": group.id,
        "kind": group.kind,
        "size": len(group.entries),
        "score": [min(scores), max(scores)] if scores else None,
        "sources": group.sources,
        "checks": group.checks,
        "about": described(group.entries[0]),
        "cases": [e.case.id for e in group.entries],
    }


def described(entry: Entry) -> str:
    """Describe in a line why a case waits."""
    if entry.case.kind == "question":
        return f"{entry.case.detail['kind']}: {entry.case.detail['question']}"
    if entry.version is None:
        return f"would remove {len(entry.case.detail['documents'])} documents at once"
    first = entry.findings[0] if entry.findings else None
    return f"{first.check}: {first.detail}" if first else ""
