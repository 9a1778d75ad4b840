"""Hold what a contract wants a reviewer to see, whatever the checks say.

A rule (`all`, `label=VALUE`, `path=PATTERN`) holds every new or changed document it is about. A
source on probation has every new or changed document held until reviewers have let in as many as
its contract says: an order of arrival would let whoever delivers choose what nobody looks at.
What serves already and comes again unchanged, and what a reviewer released just so, is not held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.state import SourceState
from ragguard.ledger import decided as decided_rows
from ragguard.ledger.decided import ReleaseRow
from ragguard.ledger.observed import ALWAYS_REVIEW, PROBATION
from ragguard.model import Finding, Policy, Verdict
from ragguard.trust import contract as contracts
from ragguard.workspace import Workspace

LEAST_SCORE = 0.5  # of a document that waits for what its contract asks alone


def hold_for_review(
    workspace: Workspace,
    items: Sequence[IncomingDocument],
    verdicts: Mapping[str, Verdict],
    standing: SourceState,
    contract: Policy,
    releases: Mapping[str, Sequence[ReleaseRow]],
) -> dict[str, Verdict]:
    """List verdicts with what the contract wants reviewed held.

    Args:
        items: New and changed documents of one source that were judged.
        verdicts: By document id.
        standing: What of the source is there now.
        releases: Reviewers' releases by document id.
    """
    held = dict(verdicts)
    if not items or not (contract.review or contract.probation):
        return held
    let_in = 0
    if contract.probation:
        with workspace.ledger.reading() as conn:
            let_in = decided_rows.let_in(conn, items[0].document.source)
    for item in items:
        name = item.document.id
        finding = _finding(item, contract, let_in)
        if finding is None or held[name].outcome == "reject":
            continue
        own = (item.document.digest, item.metadata_digest)
        serving = standing.serving.get(name)
        if serving is not None and (serving.digest, serving.metadata_digest) == own:
            continue
        if any(
            (r.digest, r.metadata_digest) == own and not r.ended for r in releases.get(name, ())
        ):
            continue
        # What the checks say goes first where it would hold by itself.
        before = held[name].outcome == "quarantine"
        held[name] = hold_with(held[name], finding, first=not before)
    return held


def _finding(item: IncomingDocument, contract: Policy, let_in: int) -> Finding | None:
    document = item.document
    rule = contracts.review_rule(contract.review, document.id, document.metadata)
    if rule:
        sentence = f"the contract wants a reviewer's word on it: {rule}"
        return Finding(ALWAYS_REVIEW, 1.0, None, sentence)
    if let_in < contract.probation:
        sentence = (
            f"the source is on probation until reviewers let in {contract.probation} documents"
        )
        return Finding(PROBATION, 1.0, None, sentence)
    return None


def hold_with(verdict: Verdict, finding: Finding, *, first: bool = False) -> Verdict:
    """Return a verdict that holds a document because its contract asks for it.

    Args:
        finding: What the contract asks for.
        first: Whether it goes before what the checks found.
    """
    findings = (finding, *verdict.findings) if first else (*verdict.findings, finding)
    score = max(verdict.score, LEAST_SCORE)
    return replace(verdict, outcome="quarantine", score=score, findings=findings)
