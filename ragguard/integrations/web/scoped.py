"""Limit what a visitor of an access scope is shown to documents of that scope.

A document's scope comes from its source's contract of today and its signed metadata (ADR 32). What
a reason says of other documents is left out, for they may be another scope's: of such a finding
check, score and p-value stay. Cases that are about no single document are not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from ragguard.ledger.evidence import QUOTES, others
from ragguard.ledger.queue import Entry, as_entry
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding, Root
from ragguard.trust import scope as scopes
from ragguard.trust.scope import Scope

# Facts that hold nothing but the document's own text and names of rules.
OWN = frozenset({*QUOTES, "rules", "kinds", "words"})
# Fields of a case that are about its document alone.
SHOWN = frozenset(
    {
        *("case", "kind", "state", "source", "document", "opened"),
        *("score", "p_value", "confidence", "confidence_level"),
        *("digest", "metadata", "signed_by", "older_version_serves", "texts", "history"),
    }
)
WITHHELD = "it is about other documents too: shown to whoever sees all of them"


def is_visible(version: VersionRow | None, scope: Scope, root: Root) -> bool:
    """Tell whether a document's version is of a scope; one without rules is of none."""
    known = root.sources.get(version.source) if version else None
    if version is None or known is None:
        return False
    try:
        return scope.sees(scopes.tokens(known.policy.scope, version.metadata))
    except ValueError:  # its metadata names no scope
        return False


def visible(entries: Sequence[Entry], scope: Scope, root: Root) -> list[Entry]:
    """List cases of documents of a scope, without what their findings say of others."""
    return [
        as_entry(entry.case, own_words(entry.version))
        for entry in entries
        if entry.version is not None and is_visible(entry.version, scope, root)
    ]


def own_words(version: VersionRow) -> VersionRow:
    """Return a version whose findings say nothing of other documents."""
    return replace(version, findings=[own_finding(f) for f in version.findings])


def own_finding(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finding's JSON object without what it says of other documents."""
    facts = body.get("facts") or {}
    finding = Finding(body["check"], body["score"], body.get("p_value"), body["detail"], facts)
    if set(facts) <= OWN and facts and not others(finding):
        return dict(body)
    return {**body, "detail": WITHHELD, "facts": {}}


def own_body(body: dict[str, Any], seen: Set[int]) -> dict[str, Any]:
    """Cut a case's JSON object (`Desk.case`) down to its own document.

    So a field that is new is not shown before somebody has said that it is the document's own.

    Args:
        seen: Numbers of the document's versions that are of the scope: it may have been another
            scope's before.
    """
    reduced = {k: v if k in SHOWN or v is None else type(v)() for k, v in body.items()}
    reduced["history"] = [step for step in body["history"] if step["version"] in seen]
    reduced["findings"] = [own_finding(f) for f in body["findings"]]
    checks = {f["check"] for f in reduced["findings"] if f["detail"] != WITHHELD}
    reduced["marks"] = [mark for mark in body["marks"] if mark["check"] in checks]
    return reduced
