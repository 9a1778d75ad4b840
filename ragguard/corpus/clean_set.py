"""Collect what a rebuild starts from: documents of good provenance, read from the vault.

Nothing is taken from the index, which is what is to be replaced. A document is clean when it is not
denied, is what its manifest signs, stands on enough signatures that count today, meets today's
contract, and its bytes are in the vault as they were signed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragguard.corpus.documents import IncomingDocument, format_of
from ragguard.corpus.job import finding_dict
from ragguard.corpus.provenance import ManifestStanding, Signatures, forgery, violations
from ragguard.errors import RagguardError, VaultError
from ragguard.ledger import decided as decided_rows
from ragguard.ledger import versions as version_rows
from ragguard.ledger.versions import VersionRow, ZoneStay
from ragguard.model import Document, Finding, Subject
from ragguard.parse.records import RECORD_FORMATS, read_records
from ragguard.trust import scope
from ragguard.trust.canonical import digest_bytes
from ragguard.workspace import Workspace


@dataclass(frozen=True)
class ExcludedDocument:
    """A document that a rebuild leaves out of the serving index.

    Attributes:
        version: What served, or served at the commit that was asked for.
        findings: Why, the gravest first.
        waits: Whether it goes into quarantine for a reviewer; else it is out altogether.
        score: Suspicion in [0, 1], higher is worse.
        p_value: Combined p-value where the checks found it out.
    """

    version: VersionRow
    findings: tuple[Finding, ...]
    waits: bool
    score: float = 1.0
    p_value: float | None = None

    @property
    def label(self) -> str:
        """`source/id`."""
        return f"{self.version.source}/{self.version.document}"

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "source": self.version.source,
            "id": self.version.document,
            "digest": self.version.digest,
            "quarantine": self.waits,
            "score": self.score,
            "p_value": self.p_value,
            "findings": [finding_dict(f) for f in self.findings],
        }


def sift(
    workspace: Workspace, rows: Sequence[ZoneStay]
) -> tuple[list[VersionRow], list[ExcludedDocument]]:
    """Clean documents, and those that are left out, with the reason.

    Args:
        rows: Versions, each with the stay that is asked about.
    """
    signatures = Signatures(workspace)
    with workspace.ledger.reading() as conn:
        denied = {row.digest for row in decided_rows.denied(conn)}
    groups: dict[str, list[ZoneStay]] = defaultdict(list)
    for row in rows:
        groups[row.manifest].append(row)
    clean: list[VersionRow] = []
    left: list[ExcludedDocument] = []
    for name, group in groups.items():
        standing = signatures.examine(name)
        subjects = {s.name: s for s in standing.manifest.subjects} if standing.manifest else {}
        for row in group:
            version = version_rows.version_of(row)
            if version.digest in denied:
                left.append(_left(version, "denied", "a reviewer rejected exactly these bytes"))
            elif damaged := standing.damaged or forgery(row, standing, subjects):
                left.append(_left(version, "integrity", damaged))
            elif broken := _broken(workspace, signatures, row, standing, subjects):
                left.append(_left(version, *broken, waits=True))
            else:
                clean.append(version)
    return sorted(clean, key=_order), sorted(left, key=lambda left_out: _order(left_out.version))


def _order(row: VersionRow) -> tuple[str, str]:
    return row.source, row.document


def _left(version: VersionRow, check: str, detail: str, *, waits: bool = False) -> ExcludedDocument:
    return ExcludedDocument(version, (Finding(check, 1.0, None, detail),), waits)


def never_decided(version: VersionRow) -> ExcludedDocument:
    """Return a document that may not serve again, see `ledger.versions_at.undecided`."""
    return _left(version, "undecided", "it waited for a reviewer last, and nobody decided")


def _broken(
    workspace: Workspace,
    signatures: Signatures,
    row: ZoneStay,
    standing: ManifestStanding,
    subjects: Mapping[str, Subject],
) -> tuple[str, str] | None:
    """Tell what today's trust has against a document: a rule and a sentence."""
    source = workspace.root.sources.get(row.source)
    if source is None and standing.adopted is not None:
        return None  # nobody signs for it: it has no contract but what adoption asked
    if source is None:
        return "source-gone", f"the trust root knows no source {row.source!r} any more"
    if standing.revoked and not signatures.vouched(row, standing):
        return "revoked", standing.revoked
    breaches = [standing.contract] if standing.contract else []
    allowed = scope.enforced(workspace.root, source.policy)
    breaches += violations(allowed, row, subjects.get(row.subject))
    return ("contract", "; ".join(breaches)) if breaches else None


def read_back(
    workspace: Workspace, versions: Sequence[VersionRow]
) -> tuple[dict[int, IncomingDocument], list[ExcludedDocument]]:
    """List documents with their bytes from the vault, which hashes what it gives.

    Returns:
        Documents by version, and those whose bytes are gone or others.
    """
    files: dict[tuple[str, str], list[VersionRow]] = defaultdict(list)
    for row in versions:
        files[row.subject, row.subject_digest].append(row)
    documents: dict[int, IncomingDocument] = {}
    left: list[ExcludedDocument] = []
    for (subject, name), rows in files.items():
        try:
            items = _documents(workspace.vault.get(name), subject, rows)
        except RagguardError as error:
            left += [_left(row, "integrity", error.message) for row in rows]
            continue
        for row in rows:
            item = items.get(row.id)
            if item is None:
                detail = f"{subject!r} in the vault does not hold it as it was signed"
                left.append(_left(row, "integrity", detail))
            else:
                documents[row.id] = item
    return documents, left


def _documents(
    data: bytes, subject: str, rows: Sequence[VersionRow]
) -> dict[int, IncomingDocument]:
    """List documents of one file, by version."""
    fmt = format_of(subject)
    if fmt in RECORD_FORMATS:
        texts = {f"{subject}#{r.id}": r.text for r in read_records(data, fmt, subject)}
        return {
            row.id: IncomingDocument(_document(row), "txt", text=texts[row.document])
            for row in rows
            if row.document in texts and digest_bytes(texts[row.document].encode()) == row.digest
        }
    if any(row.digest != row.subject_digest for row in rows):
        raise VaultError(f"{subject!r}: the ledger's digests of the document and its file differ")
    return {
        # An adopted document is kept as plain text under another name than its own.
        row.id: IncomingDocument(_document(row), fmt, data)
        if row.document == subject
        else IncomingDocument(_document(row), "txt", text=data.decode("utf-8", "replace"))
        for row in rows
    }


def _document(row: VersionRow) -> Document:
    return Document(
        row.source, row.document, row.digest, row.metadata, row.subject, row.subject_digest
    )
