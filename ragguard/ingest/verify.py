"""Verify: a manifest and every byte it lists, without an index and without a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragguard.corpus.documents import gather
from ragguard.ingest.admission import read_manifest
from ragguard.model import Finding, Manifest, Progress
from ragguard.trust import scope
from ragguard.trust.dsse import VerificationResult
from ragguard.workspace import Workspace


@dataclass(frozen=True)
class Verified:
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
    root: Path | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Verified:
    """Verify a manifest file and the files it lists.

    Args:
        workspace: Open; not written to.
        path: Manifest file.
        root: Folder the names are relative to; else the manifest's.
        progress: Called with stage, done and total.

    Raises:
        IntegrityError: The manifest itself is refused, each reason its own class.
    """
    manifest, signed, _, new = read_manifest(workspace, path)
    progress("read", 0, len(manifest.subjects))
    items, _ = gather(
        manifest,
        scope.enforced(workspace.root, workspace.root.sources[manifest.source].policy),
        root or path.parent,
        workspace.settings.limits.document,
    )
    progress("read", len(manifest.subjects), len(manifest.subjects))
    wrong = tuple((i.document.id, finding) for i in items for finding in i.findings)
    return Verified(manifest, signed, not new, len(items), wrong)
