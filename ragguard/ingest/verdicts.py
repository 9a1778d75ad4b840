"""Make verdicts on new and changed documents of one source, from their bytes.

Denied bytes and broken contracts first, then parsing, splitting, embedding and the checks.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.embed import EmbeddedDocument, Given, embed, take_apart
from ragguard.corpus.state import SourceState
from ragguard.detect.view import PreparedDocument
from ragguard.ingest import lasting_releases
from ragguard.ingest.contract_review import hold_for_review
from ragguard.ingest.fact_changes import hold_fact_changes
from ragguard.ingest.judge import judge_batch
from ragguard.ingest.report import Report
from ragguard.ledger import decided as decided_rows
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding, Policy, Progress, Verdict
from ragguard.workspace import Workspace

Pulled = tuple[VersionRow, Verdict]  # a serving version and what is said of it now


def judge_documents(
    workspace: Workspace,
    fresh: Sequence[IncomingDocument],
    contract: Policy,
    standing: SourceState,
    dry_run: bool,
    report: Report,
    progress: Progress,
    *,
    observe: bool = False,
    principals: Set[str] = frozenset(),
    given: Given | None = None,
) -> tuple[dict[str, Verdict], dict[str, EmbeddedDocument], list[Pulled]]:
    """List verdicts on new and changed documents, vectors of those that go in, and what is pulled.

    Args:
        fresh: New and changed documents of one source.
        standing: What of its source is there now.
        dry_run: Keep nothing.
        report: Gets seconds, reference and skipped checks.
        observe: Hold and pull nothing; write down what would have been held.
        principals: Who signed the manifest, of those who may.
        given: See `embed`.

    Returns:
        Verdicts and embedded documents by document id, and what is pulled back.
    """
    if not fresh:
        return {}, {}, []
    verdicts = {i.document.id: _reject(i, i.findings) for i in fresh if i.findings}
    with workspace.ledger.reading() as conn:
        denied = {row.digest for row in decided_rows.denied(conn)}
        cleared = decided_rows.releases(conn, fresh[0].document.source)
    for item in fresh:
        if item.document.id not in verdicts and item.document.digest in denied:
            verdicts[item.document.id] = _reject(
                item, (Finding("denied", 1.0, None, "a reviewer rejected exactly these bytes"),)
            )
    open_items = [i for i in fresh if i.document.id not in verdicts]
    if not open_items:
        return verdicts, {}, []
    with report.timed("load model"):
        progress("load model", 0, 1)
        workspace.check_recipe(workspace.encoder.recipe)
        if not dry_run:
            workspace.ensure_generation(workspace.encoder.recipe)
        progress("load model", 1, 1)
    with report.timed("parse"):
        parts, unreadable = take_apart(workspace, open_items)
    for number, finding in unreadable.items():
        item = open_items[number]
        verdicts[item.document.id] = _reject(item, (finding,))
    before = {name: row.metadata for name, row in standing.serving.items()}
    with report.timed("embed"):
        embedded = embed(
            workspace,
            open_items,
            parts,
            before,
            keep=not dry_run,
            progress=lambda done, total: progress("embed", done, total),
            given=given,
        )
    pulled: list[Pulled] = []
    order = sorted(embedded)
    if order:
        with report.timed("judge"):
            batch = [embedded[n].prepared for n in order]
            judgement = judge_batch(
                workspace,
                batch,
                {open_items[0].document.source: contract},
                progress,
                catch_up=not observe,
            )
        if not observe:
            pulled.extend(judgement.pulled)
            report.judged_until = judgement.judged_until
        report.profile, report.promised = judgement.profile, judgement.promised
        report.stale = judgement.stale
        report.skipped.update((s.check, s) for s in judgement.skipped)
        held_again = [cleared.get(open_items[n].document.id, []) for n in order]
        known = [open_items[n].metadata_digest for n in order]

        def once_more(masked: Sequence[PreparedDocument]) -> list[Verdict]:
            policies = {open_items[0].document.source: contract}
            return judge_batch(workspace, masked, policies, progress).verdicts

        final_verdicts = lasting_releases.apply(
            workspace, batch, judgement.verdicts, known, held_again, once_more
        )
        items = [open_items[n] for n in order]
        judged = {i.document.id: v for i, v in zip(items, final_verdicts, strict=True)}
        judged = hold_fact_changes(workspace, items, judged, standing, contract, principals)
        judged = hold_for_review(workspace, items, judged, standing, contract, cleared)
        verdicts.update({k: observed(v) if observe else v for k, v in judged.items()})
    return verdicts, {open_items[n].document.id: e for n, e in embedded.items()}, pulled


def observed(verdict: Verdict) -> Verdict:
    """Return a verdict as it is written down while the gate only observes: a suspect comes in.

    Args:
        verdict: As judged; one that rejects stays as it is.
    """
    if verdict.outcome != "quarantine":
        return verdict
    findings = tuple(replace(f, facts={**f.facts, "observed": True}) for f in verdict.findings)
    return replace(verdict, outcome="admit", findings=findings)


def _reject(item: IncomingDocument, findings: tuple[Finding, ...]) -> Verdict:
    document = item.document
    return Verdict(document.source, document.id, document.digest, "reject", 1.0, None, findings)
