"""Decide whether a manifest may be taken at all, before any of its files is read.

What is settled already: documents whose verdict stands, and those that have to be judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.state import SourceState
from ragguard.errors import MalformedError, QuotaError, UsageError
from ragguard.ledger import commits, versions
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding, Manifest, Outcome, Policy, Verdict
from ragguard.trust import manifest as manifests
from ragguard.trust import root
from ragguard.trust.canonical import format_time
from ragguard.trust.dsse import VerificationResult
from ragguard.trust.manifest import LastAccepted
from ragguard.workspace import Workspace

RATE_WINDOW = timedelta(days=1)


def read_manifest(
    workspace: Workspace, path: Path
) -> tuple[Manifest, VerificationResult, bytes, bool]:
    """Read and verify a manifest file up to its place in the sequence.

    Returns:
        Manifest, who signed, the envelope's bytes, and whether it is new (not the accepted one).

    Raises:
        IntegrityError: Any of the refusals of `root.authenticate` and `trust.manifest`.
    """
    limit = workspace.settings.limits.envelope
    data = read_envelope(path, limit)
    try:
        manifest, result = root.authenticate(data, workspace.root, workspace.now, max_bytes=limit)
    except MalformedError as error:
        hint = (
            "This is no manifest: `ragguard sign` makes one of documents, which is ingested then."
        )
        raise MalformedError(error.message, hint=error.hint or hint) from None
    with workspace.ledger.reading() as conn:
        last = commits.last_manifest(conn, manifest.source)
    new = manifests.check_sequence(manifest, LastAccepted(*last) if last else None)
    if new:
        manifests.check_freshness(manifest, workspace.now)
    return manifest, result, data, new


def read_envelope(path: Path, limit: int) -> bytes:
    """Read a manifest file, and no more of it than a byte over the limit.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(
            f"manifest {path}: {error.strerror}",
            hint="Name a manifest file; `ragguard sign` makes one.",
        ) from None


def check_quota(
    workspace: Workspace, manifest: Manifest, contract: Policy, listed: int, fresh: int
) -> None:
    """Refuse a manifest that delivers more than its source's contract allows.

    Raises:
        QuotaError: Too many at once, or in 24 hours.
    """
    who = f"manifest {manifest.version} of {manifest.source!r}"
    if contract.max_documents is not None and listed > contract.max_documents:
        raise QuotaError(
            f"{who}: {listed} documents, its contract allows {contract.max_documents}",
            hint="Ask the source, or change the contract with `ragguard trust policy`.",
        )
    if contract.max_new_per_day is None:
        return
    since = format_time(workspace.now - RATE_WINDOW)
    with workspace.ledger.reading() as conn:
        arrived = versions.arrivals_since(conn, manifest.source, since)
    if arrived + fresh > contract.max_new_per_day:
        raise QuotaError(
            f"{who}: {fresh} new or changed documents after {arrived} in the last 24 hours, its "
            f"contract allows {contract.max_new_per_day} a day",
            hint="Wait, or change the contract with `ragguard trust policy`.",
        )


def to_retry(manifest: Manifest, latest: Mapping[str, VersionRow]) -> bool:
    """Tell whether documents of an accepted manifest never came in, their bytes being wrong."""
    return any(
        row.manifest == manifest.digest
        and row.outcome == "reject"
        and any(f["facts"].get("integrity") for f in row.findings)
        for row in latest.values()
    )


def as_before(
    manifest: Manifest, standing: SourceState, latest: Mapping[str, VersionRow]
) -> list[Verdict]:
    """List verdicts of the documents of an accepted manifest that comes again: as they stand."""
    names = {s.name for s in manifest.subjects}
    verdicts = []
    for row in latest.values():
        if row.subject in names:
            here = row.document in standing.serving or row.document in standing.waiting
            verdicts.append(stands(row) if not here else stands(row, "unchanged"))
    return verdicts


def stands(row: VersionRow, outcome: Outcome | None = None) -> Verdict:
    """Return a recorded verdict, as it was or under another name.

    Args:
        row: The version it is on.
        outcome: `unchanged` drops its findings; none: as recorded.
    """
    findings = tuple(
        Finding(f["check"], f["score"], f["p_value"], f["detail"], f["facts"]) for f in row.findings
    )
    return Verdict(
        row.source,
        row.document,
        row.digest,
        outcome or ("reject" if row.outcome == "reject" else "quarantine"),
        row.score,
        row.p_value,
        () if outcome == "unchanged" else findings,
    )


def _same(item: IncomingDocument, row: VersionRow, policy_digest: str, recipe: str) -> bool:
    return (
        row.digest,
        row.metadata_digest,
        row.policy_digest,
        row.recipe,
    ) == (item.document.digest, item.metadata_digest, policy_digest, recipe)


def sort_out(
    workspace: Workspace,
    items: Sequence[IncomingDocument],
    standing: SourceState,
    policy_digest: str,
) -> tuple[dict[str, Verdict], list[IncomingDocument]]:
    """List documents whose verdict stands, and documents to be judged."""
    generation = workspace.generation()
    recipe = generation.recipe if generation else ""
    settled: dict[str, Verdict] = {}
    fresh: list[IncomingDocument] = []
    for item in items:
        name = item.document.id
        serving, waiting = standing.serving.get(name), standing.waiting.get(name)
        here = serving if waiting is None else waiting
        if item.findings or here is None or not _same(item, here, policy_digest, recipe):
            fresh.append(item)
        elif waiting is None:
            settled[name] = stands(here, "unchanged")
        else:
            settled[name] = stands(here)
    return settled, fresh
