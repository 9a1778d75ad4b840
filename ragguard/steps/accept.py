"""Accept: whether a manifest may be taken at all, before any of its files is read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from ragguard.errors import QuotaError, UsageError
from ragguard.kernels.canonical import format_time
from ragguard.ledger import commits, corpus
from ragguard.model import Manifest, Policy
from ragguard.trust import manifest as manifests
from ragguard.trust import policy
from ragguard.trust.manifest import Accepted
from ragguard.trust.signing import VerificationResult
from ragguard.workspace import Workspace

RATE_WINDOW = timedelta(days=1)


def read_manifest(
    workspace: Workspace, path: Path
) -> tuple[Manifest, VerificationResult, bytes, bool]:
    """Read and verify a manifest file up to its place in the sequence.

    Args:
        workspace: Open.
        path: Manifest file.

    Returns:
        Manifest, who signed, the envelope's bytes, and whether it is new (not the accepted one).

    Raises:
        IntegrityError: Any of the refusals of `policy.authenticate` and `trust.manifest`.
    """
    limit = workspace.settings.limits.envelope
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"manifest {path}: {error.strerror}") from None
    manifest, result = policy.authenticate(data, workspace.root, workspace.now, max_bytes=limit)
    with workspace.ledger.reading() as conn:
        last = commits.last_manifest(conn, manifest.source)
    new = manifests.check_sequence(manifest, Accepted(*last) if last else None)
    if new:
        manifests.check_freshness(manifest, workspace.now)
    return manifest, result, data, new


def check_quota(
    workspace: Workspace, manifest: Manifest, contract: Policy, listed: int, fresh: int
) -> None:
    """Refuse a manifest that delivers more than its source's contract allows.

    Args:
        workspace: Open.
        manifest: The manifest.
        contract: The source's policy.
        listed: Documents it lists.
        fresh: Those of them that are new or changed.

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
        arrived = corpus.arrivals_since(conn, manifest.source, since)
    if arrived + fresh > contract.max_new_per_day:
        raise QuotaError(
            f"{who}: {fresh} new or changed documents after {arrived} in the last 24 hours, its "
            f"contract allows {contract.max_new_per_day} a day",
            hint="Wait, or change the contract with `ragguard trust policy`.",
        )
