"""Quarantine suspects of an audit, for a person to decide, in one commit.

Only what a rule says of a document's text or place counts: what is wrong with points, keys or
contracts is for a rebuild, or for `trust revoke`. What a reviewer released is not taken again for
what the release covered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragguard.audit.findings import AuditFinding
from ragguard.corpus import changes
from ragguard.ledger import decided as decided_rows
from ragguard.ledger.commits import Generation
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding, Verdict
from ragguard.workspace import Workspace

RULES = frozenset({"campaign", "hub", "suspect-document", "hidden-or-instructing"})
ACTOR = "audit"


def take_out(
    workspace: Workspace,
    generation: Generation,
    serving: Mapping[str, VersionRow],
    findings: Sequence[AuditFinding],
) -> tuple[int | None, int]:
    """Quarantine the documents that findings name.

    Returns:
        Number of the commit, `None` when nothing was to be taken out; and how many documents were.

    Raises:
        StoreError: See `Committer.commit`; the next start finishes the commit.
    """
    by_document = _said(findings)
    rows = {label: serving[label] for label in by_document if label in serving}
    released = _released(workspace, {row.source for row in rows.values()})
    for label, row in list(rows.items()):
        covered = released.get(row.source, {}).get((row.document, row.digest, row.metadata_digest))
        if covered is not None and {f.check for f in by_document[label]} <= covered:
            del rows[label]
    if not rows:
        return None, 0
    workspace.recover()
    plan = changes.draft(workspace, generation)
    plan.quarantine(
        [(row, _verdict(row, by_document[label])) for label, row in sorted(rows.items())]
    )
    workspace.committer.commit(plan.finish("audit", ACTOR, ""))
    return plan.commit, len(rows)


def _verdict(row: VersionRow, findings: Sequence[Finding]) -> Verdict:
    return Verdict(
        row.source,
        row.document,
        row.digest,
        "quarantine",
        max(f.score for f in findings),
        min((f.p_value for f in findings if f.p_value is not None), default=None),
        tuple(findings),
    )


def _said(findings: Sequence[AuditFinding]) -> dict[str, list[Finding]]:
    """What is said of each document, as findings of a verdict; a campaign is said of all of it."""
    by_document: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.rule not in RULES:
            continue
        names = (
            finding.facts.get("members", []) if finding.rule == "campaign" else [finding.document]
        )
        check = str(finding.facts.get("check", finding.rule))
        for name in names:
            facts = {k: v for k, v in finding.facts.items() if k not in ("members", "text")}
            by_document.setdefault(str(name), []).append(
                Finding(check, finding.score, finding.p_value, finding.detail, facts)
            )
    return by_document


def _released(
    workspace: Workspace, sources: set[str]
) -> dict[str, dict[tuple[str, str, str], set[str]]]:
    with workspace.ledger.reading() as conn:
        return {source: decided_rows.released(conn, source) for source in sources}
