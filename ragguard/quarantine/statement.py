"""Build the statement a reviewer signs: bytes, metadata, evidence, a reason, a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ragguard.corpus.changes import Draft
from ragguard.errors import UsageError
from ragguard.ingest import lasting_releases
from ragguard.ledger.evidence import as_finding, evidence
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Write
from ragguard.trust import decision as decisions
from ragguard.trust.decision import Decision
from ragguard.workspace import Workspace

if TYPE_CHECKING:
    from ragguard.quarantine.review import CaseView

Action = Literal["release", "reject"]
MOST_COVERED = 1_000  # entries of a decision: what is beyond them is not covered


def check_reason(reason: str) -> None:
    """Refuse a decision without a reason, or with a very long one.

    Raises:
        UsageError: It is one.
    """
    if not reason.strip() or len(reason) > decisions.MAX_REASON:
        raise UsageError(
            f"a decision needs a reason of 1 to {decisions.MAX_REASON} characters",
            hint='Give one with --reason "…".',
        )


def about(kind: str, detail: Mapping[str, Any]) -> str:
    """Digest what a case without a document asks, which a decision on it is about."""
    return str(detail["manifest" if kind == "removal" else "digest"])


def decisions_on(
    workspace: Workspace,
    plan: Draft,
    shown: Sequence[CaseView],
    action: Action,
    reason: str,
    at: datetime | None = None,
) -> list[Decision]:
    """Build what a reviewer signs about each case, at a time; the workspace's by default."""
    stored = plan.stored([view.version for view in shown if view.version is not None])
    return [
        _decision(view, action, reason, at or workspace.now, stored[view.version.id])
        if view.version
        else _decision(view, action, reason, at or workspace.now)
        for view in shown
    ]


def _decision(
    shown: CaseView, action: Action, reason: str, at: datetime, stored: Sequence[Write] = ()
) -> Decision:
    case, version = shown.case, shown.version
    if version is None:
        return Decision(
            case.id,
            action,
            case.source or case.kind,
            about(case.kind, case.detail),
            "0" * 64,
            (),
            reason,
            at,
        )
    return Decision(
        case.id,
        action,
        case.label,
        version.digest,
        version.metadata_digest,
        tuple(_covers(version, action, stored)),
        reason,
        at,
    )


def _covers(version: VersionRow, action: Action, stored: Sequence[Write]) -> list[str]:
    """What a decision covers: for a release the evidence of each finding, see docs/formats.md."""
    if action == "reject":
        return sorted({f["check"] for f in version.findings})
    text = lasting_releases.text_of(stored)
    hidden = [piece for _, piece in version.hidden]
    covered: set[str] = set()
    for body in version.findings:
        covered |= evidence(as_finding(body), text, hidden, version.metadata)
    return sorted(covered)[:MOST_COVERED]
