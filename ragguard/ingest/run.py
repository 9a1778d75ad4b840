"""Ingest signed manifests: admit, quarantine or reject each document they list.

One manifest is one commit. The order, each step stopping what it must and no more: envelope and
signatures, freshness, sequence, bytes against digests, contract and quota, denial, parsing,
splitting, embedding, neighbours, checks, verdicts, two-phase commit. A bad manifest stops only
itself, a bad document only itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from ragguard.corpus import changes, drawn_by
from ragguard.corpus.documents import IncomingDocument, gather, refuse_look_alikes
from ragguard.corpus.embed import EmbeddedDocument
from ragguard.corpus.places import Place
from ragguard.corpus.spans import tell, traced
from ragguard.corpus.state import SourceState, state_of
from ragguard.errors import IncompleteError, RagguardError, UsageError
from ragguard.ingest.admission import as_before, check_quota, read_manifest, sort_out, to_retry
from ragguard.ingest.report import ManifestResult, Report
from ragguard.ingest.verdicts import Pulled, judge_documents
from ragguard.ledger import versions
from ragguard.ledger.commits import ManifestRow
from ragguard.ledger.observed import observed
from ragguard.model import Manifest, Progress, Verdict
from ragguard.trust import manifest as manifests
from ragguard.trust import root as roots
from ragguard.trust import scope
from ragguard.trust.canonical import digest, format_time
from ragguard.trust.dsse import VerificationResult
from ragguard.trust.person import persons
from ragguard.workspace import Workspace


@traced("ingest", Report.told)
def ingest(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    root: Path | Place | None = None,
    dry_run: bool = False,
    observe: bool | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Report:
    """Bring manifests in.

    Args:
        workspace: Open and locked.
        paths: Manifest files; none to finish an interrupted run only.
        root: Folder, or other place, the names are relative to; else the folder of each manifest.
        observe: Hold nothing, write down and report what would have been held; `[judge] observe`
            when `None`.

    Returns:
        The report. Errors of a manifest are in it, not raised.
    """
    report = Report(
        observe=workspace.settings.judge.observe if observe is None else observe,
        pages_drawn=workspace.settings.parse.render != "rules",
    )
    if not dry_run:
        with report.timed("recover"):
            report.recovered = workspace.recover()
    for path in paths:
        try:
            _one(workspace, path, root or path.parent, dry_run, report, progress)
        except RagguardError as error:
            report.manifests.append(
                ManifestResult(
                    str(path), error=error.message, hint=error.hint, exit_code=error.exit_code
                )
            )
            if isinstance(error, IncompleteError):
                break
    if not dry_run:
        drawn_by.note(workspace)
    with workspace.ledger.reading() as conn:
        seen = observed(conn)
    report.observed_rate = seen.rate if seen.decided else None
    report.least_promised = seen.binding
    return report


@traced("manifest")
def _one(
    workspace: Workspace,
    path: Path,
    root: Path | Place,
    dry_run: bool,
    report: Report,
    progress: Progress,
) -> None:
    report.judged_until = 0
    with report.timed("verify"):
        manifest, signed, envelope, new = read_manifest(workspace, path)
    source = workspace.root.sources[manifest.source]
    tell({"ragguard.source": manifest.source})
    standing = state_of(workspace, manifest.source)
    with workspace.ledger.reading() as conn:
        latest = versions.latest(conn, manifest.source)
    retried = not new and to_retry(manifest, latest)
    if retried:  # what comes in now comes in by a manifest that must still be good
        manifests.check_freshness(manifest, workspace.now)
    if not new and not retried:
        report.manifests.append(
            ManifestResult(str(path), manifest.digest, manifest.source, manifest.version)
        )
        report.documents.extend(as_before(manifest, standing, latest))
        return
    with report.timed("read"):
        progress("read", 0, len(manifest.subjects))
        policy = scope.enforced(workspace.root, source.policy)
        items, files = gather(manifest, policy, root, workspace.settings.limits.document)
        progress("read", len(manifest.subjects), len(manifest.subjects))
    _check_root(manifest, items, root)
    removed = _removed(manifest, items, standing)
    items = refuse_look_alikes(items, {*standing.serving, *standing.waiting} - set(removed))
    policy_digest = digest(roots.judged_under(source.policy))
    settled, fresh = sort_out(workspace, items, standing, policy_digest)
    check_quota(workspace, manifest, source.policy, len(items), len(fresh))
    verdicts, embedded, pulled = judge_documents(
        workspace,
        fresh,
        source.policy,
        standing,
        dry_run,
        report,
        progress,
        observe=report.observe,
        principals=persons(key.principal for key in signed.signed),
    )
    leaving = {f"{manifest.source}/{name}" for name in removed}
    pulled = [(row, v) for row, v in pulled if row.label not in leaving]
    note = ""
    judge = workspace.settings.judge
    since = format_time(workspace.now - timedelta(days=judge.removal_days))
    with workspace.ledger.reading() as conn:
        gone = versions.removed_since(conn, manifest.source, since) - standing.serving.keys()
    before = len(standing.serving) + len(gone)
    going = sum(d in standing.serving for d in removed)  # what only waits is nobody's loss
    asks = going > 0 and len(gone) + going > judge.removal_share * before
    if asks:
        days = f" after {len(gone)} in {judge.removal_days} days" if gone else " at once"
        note = (
            f"would remove {going} of {len(standing.serving)} documents{days}: "
            "nothing was removed, a reviewer decides (ragguard quarantine list)"
        )
    commit: int | None = None
    if not dry_run:
        with report.timed("commit"):
            progress("commit", 0, 1)
            commit = _commit(
                workspace,
                manifest,
                signed,
                envelope,
                [(item, verdicts[item.document.id]) for item in fresh],
                embedded,
                files,
                standing,
                policy_digest,
                removed,
                asks,
                items,
                pulled,
                report.judged_until,
            )
            progress("commit", 1, 1)
        with report.timed("index"):
            workspace.maintain()
    report.pulled.extend(verdict for _, verdict in pulled)
    report.removed += 0 if asks else len(removed)
    report.documents.extend(verdicts.get(i.document.id) or settled[i.document.id] for i in items)
    report.manifests.append(
        ManifestResult(
            str(path),
            manifest.digest,
            manifest.source,
            manifest.version,
            commit,
            unknown=signed.unknown,
            note=note,
        )
    )


def _check_root(manifest: Manifest, items: Sequence[IncomingDocument], root: Path | Place) -> None:
    """Refuse to take a folder that has none of the signed files for one that lost them all.

    Raises:
        UsageError: None is there.
    """
    place = root if isinstance(root, Path) else "the place of --root"
    missing = [i for i in items if any(f.check == "missing" for f in i.findings)]
    if items and len(missing) == len(items) == len(manifest.subjects):
        raise UsageError(
            f"{place}: none of the {len(items)} signed files is there, such as "
            f"{manifest.subjects[0].name!r}",
            hint="Name the folder that was signed with --root; nothing was changed.",
        )


def _removed(
    manifest: Manifest, items: Sequence[IncomingDocument], standing: SourceState
) -> list[str]:
    """List documents this manifest takes out."""
    listed = {i.document.id for i in items}
    # A file that could not be read says nothing about its records.
    broken = {
        i.document.subject for i in items if i.findings and i.document.id == i.document.subject
    }
    there = {**standing.waiting, **standing.serving}
    if manifest.mode == "full":
        candidates = set(there)
    else:
        subjects = {s.name for s in manifest.subjects}
        gone = set(manifest.removes)
        candidates = {
            name
            for name, row in there.items()
            if name in gone or row.subject in gone or row.subject in subjects
        }
    return sorted(
        name for name in candidates if name not in listed and there[name].subject not in broken
    )


def _commit(
    workspace: Workspace,
    manifest: Manifest,
    signed: VerificationResult,
    envelope: bytes,
    judged: Sequence[tuple[IncomingDocument, Verdict]],
    embedded: Mapping[str, EmbeddedDocument],
    files: Mapping[str, bytes],
    standing: SourceState,
    policy_digest: str,
    removed: Sequence[str],
    asks: bool,
    items: Sequence[IncomingDocument],
    pulled: Sequence[Pulled],
    judged_until: int,
) -> int:
    """Write the commit; returns its number."""
    generation = workspace.generation() or workspace.ensure_generation(workspace.encoder.recipe)
    entering = {i.document.subject_digest for i, v in judged if v.outcome != "reject"}
    blobs = [files[d] for d in sorted(entering)]
    kept = workspace.vault.put_many([*blobs, envelope])
    plan = changes.draft(workspace, generation, {manifest.source: standing})
    plan.admit(judged, embedded, manifest.source, policy_digest, manifest.digest)
    plan.quarantine(pulled)
    for case in plan.standing(manifest.source).removals:
        plan.closes.append((case.id, "superseded"))
    if asks:
        plan.ask_removal(manifest.source, removed, manifest.digest)
    else:
        plan.remove(manifest.source, removed)
    plan.counts["unchanged"] += len(items) - len(judged)
    accepted = ManifestRow(
        manifest.digest,
        manifest.source,
        manifest.version,
        kept[-1],
        [[k.keyid, k.principal] for k in signed.signed],
        format_time(manifest.expires),
        plan.commit,
    )
    actor = ", ".join(sorted({k.principal for k in signed.signed}))
    workspace.committer.commit(
        plan.finish("ingest", actor, manifest.source, accepted, judged_until=judged_until)
    )
    return plan.commit
