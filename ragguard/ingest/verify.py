"""Verify a manifest and every byte it lists, without an index and without a model.

With a workspace the manifest must follow the last one accepted. Under a trust root alone, as on a
machine that builds, nothing is known of earlier ones: an old manifest that has not expired passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ragguard.config import LimitSettings
from ragguard.corpus.documents import gather
from ragguard.corpus.places import Place
from ragguard.errors import TrustRootError
from ragguard.ingest.admission import read_envelope, read_manifest
from ragguard.model import Finding, Manifest, Progress, Root
from ragguard.trust import manifest as manifests
from ragguard.trust import root as roots
from ragguard.trust import scope
from ragguard.trust.dsse import VerificationResult
from ragguard.workspace import Workspace


@dataclass(frozen=True)
class VerifyResult:
    """A manifest that may be ingested, and what is wrong with its files.

    Attributes:
        accepted: It is the last accepted one already.
        documents: How many documents it lists; a record counts as one.
        wrong: Document id and finding, for each document that is not as signed or breaks the
            source's contract.
    """

    manifest: Manifest
    signed: VerificationResult
    accepted: bool
    documents: int
    wrong: tuple[tuple[str, Finding], ...]

    @property
    def exit_code(self) -> int:
        """3 when bytes are not the signed ones, 1 when only a contract is broken, else 0."""
        if any(f.facts.get("integrity") for _, f in self.wrong):
            return 3
        return 1 if self.wrong else 0


def verify(
    workspace: Workspace,
    path: Path,
    *,
    root: Path | Place | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> VerifyResult:
    """Verify a manifest file and the files it lists.

    Args:
        workspace: Open; not written to.
        root: Folder, or other place, the names are relative to; else the manifest's.

    Raises:
        IntegrityError: The manifest itself is refused, each reason its own class.
    """
    manifest, signed, _, new = read_manifest(workspace, path)
    limits = workspace.settings.limits
    progress("read", 0, len(manifest.subjects))
    verified = _compared(manifest, signed, not new, workspace.root, root or path.parent, limits)
    progress("read", len(manifest.subjects), len(manifest.subjects))
    return verified


def verify_under(
    trust_root: Root,
    path: Path,
    *,
    now: datetime,
    root: Path | Place | None = None,
    limits: LimitSettings = LimitSettings(),  # noqa: B008 - frozen
) -> VerifyResult:
    """Verify a manifest file and the files it lists under a trust root, without a workspace.

    Args:
        trust_root: See `read_trust_root`.
        root: Folder, or other place, the names are relative to; else the manifest's.
        limits: Sizes that are refused.

    Raises:
        IntegrityError: The manifest itself is refused, each reason its own class.
    """
    data = read_envelope(path, limits.envelope)
    manifest, signed = roots.authenticate(data, trust_root, now, max_bytes=limits.envelope)
    manifests.check_freshness(manifest, now)
    return _compared(manifest, signed, False, trust_root, root or path.parent, limits)


def read_trust_root(path: Path) -> Root:
    """Read a trust root's file; it must be signed by its own root keys and nothing else is known.

    Whoever can replace the file decides who is trusted: take it from a place that those who change
    documents cannot write to.

    Raises:
        TrustRootError: It cannot be read.
        SignatureError, ThresholdError: It is not signed by its own keys.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrustRootError(f"trust root {path}: {error.strerror}") from None
    return roots.verify_root(data, None)


def _compared(
    manifest: Manifest,
    signed: VerificationResult,
    accepted: bool,
    trust_root: Root,
    place: Path | Place,
    limits: LimitSettings,
) -> VerifyResult:
    policy = scope.enforced(trust_root, trust_root.sources[manifest.source].policy)
    items, _ = gather(manifest, policy, place, limits.document)
    wrong = tuple((i.document.id, finding) for i in items for finding in i.findings)
    return VerifyResult(manifest, signed, accepted, len(items), wrong)
