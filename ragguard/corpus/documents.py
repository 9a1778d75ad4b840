"""Read the documents of a verified manifest, each with its bytes or a reason.

What is read is what is hashed, once. A file that is missing, altered, too large or no record file
gives a finding for that file and stops nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragguard.corpus.places import Place, reading
from ragguard.errors import (
    DocumentMissingError,
    DocumentOversizedError,
    DocumentTamperedError,
    DuplicateIdError,
    IntegrityError,
    PredicateError,
    RecordError,
    SymlinkError,
)
from ragguard.model import Document, Finding, Manifest, Metadata, Policy, Subject
from ragguard.parse.document import OTHER_ENDINGS, front_of
from ragguard.parse.records import RECORD_FORMATS, Record, read_records
from ragguard.trust import contract, names
from ragguard.trust import manifest as manifests
from ragguard.trust.canonical import digest, digest_bytes

# Findings that mean: these are not the signed bytes, or no documents at all. Exit code 3.
INTEGRITY = {
    DocumentMissingError: "missing",
    DocumentTamperedError: "digest",
    DocumentOversizedError: "oversized",
    SymlinkError: "symlink",
    DuplicateIdError: "duplicate-id",
    RecordError: "record",
    PredicateError: "metadata",
}


@dataclass(frozen=True)
class IncomingDocument:
    """A document of a manifest, before anything is known about it.

    Attributes:
        document: As signed.
        fmt: File ending without the dot; `txt` for records.
        data: The file's bytes; empty for records.
        text: A record's text; empty for files.
        findings: Why it is rejected already; empty when it is not.
    """

    document: Document
    fmt: str
    data: bytes = b""
    text: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def metadata_digest(self) -> str:
        """Digest of its metadata."""
        return digest(dict(self.document.metadata))


def format_of(name: str) -> str:
    """Return a file's format by the ending of its name: without the dot, lower-cased."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return OTHER_ENDINGS.get(ending, ending)


def gather(
    manifest: Manifest, policy: Policy, root: Path | Place, max_bytes: int
) -> tuple[list[IncomingDocument], dict[str, bytes]]:
    """Read every document of a manifest.

    Args:
        manifest: Verified.
        root: Folder, or other place, that the names are relative to.
        max_bytes: Upper size of a file, beside the contract's.

    Returns:
        Documents in manifest order, and the bytes of the files read, by digest.
    """
    limit = min(max_bytes, policy.max_document_bytes)
    incoming: list[IncomingDocument] = []
    files: dict[str, bytes] = {}
    read = reading(root)
    for subject in manifest.subjects:
        try:
            data = read(subject.name, limit)
            manifests.check_bytes(subject, data, limit, _asked(max_bytes, policy))
            documents = list(documents_of(manifest.source, subject, data, policy))
        except IntegrityError as error:
            incoming.append(_refused(manifest.source, subject, error))
            continue
        files[subject.digest] = data
        incoming.extend(documents)
    return _without_repeats(incoming), files


def _asked(max_bytes: int, policy: Policy) -> str:
    """Tell where the limit that holds stands."""
    if max_bytes < policy.max_document_bytes:
        return "[limits] document in ragguard.toml"
    return "max_document_bytes in the source's contract (`ragguard trust policy`)"


def _refused(source: str, subject: Subject, error: IntegrityError) -> IncomingDocument:
    rule = INTEGRITY.get(type(error), "integrity")
    document = Document(
        source, subject.name, subject.digest, subject.metadata, subject.name, subject.digest
    )
    return IncomingDocument(
        document,
        format_of(subject.name),
        findings=(Finding(rule, 1.0, None, error.message, {"integrity": True}),),
    )


def documents_of(
    source: str, subject: Subject, data: bytes, policy: Policy
) -> Iterator[IncomingDocument]:
    """Yield documents of one signed file, with the metadata in force.

    Args:
        subject: As its manifest lists it.
        data: Its bytes, which the caller has compared with the subject's digest.
        policy: The source's contract; what breaks it is in a document's findings.

    Raises:
        RecordError: A record file whose lines are not the documented records.
    """
    fmt = format_of(subject.name)
    if fmt not in RECORD_FORMATS:
        metadata = with_front(front_of(data, fmt).metadata, subject.metadata, subject.name)
        broken = tuple(contract.violations(policy, fmt, metadata, subject.metadata))
        document = Document(
            source, subject.name, subject.digest, metadata, subject.name, subject.digest
        )
        yield IncomingDocument(document, fmt, data, findings=broken)
        return
    for record in read_records(data, fmt, subject.name):
        yield _record(source, subject, record, fmt, policy)


def with_front(front: Metadata, signed: Metadata, name: str) -> Metadata:
    """Return the metadata in force: the manifest's over those of the front matter.

    Returns:
        Both; the manifest's alone where both together are more than a document may carry.
    """
    if not front:
        return signed
    try:
        return manifests.check_metadata({**front, **signed}, name)
    except PredicateError:
        return signed


def _record(
    source: str, subject: Subject, record: Record, fmt: str, policy: Policy
) -> IncomingDocument:
    name = f"{subject.name}#{record.id}"
    findings: tuple[Finding, ...]
    metadata: Metadata
    try:
        if record.wrong:
            raise RecordError(record.wrong)
        metadata = manifests.check_metadata({**record.metadata, **subject.metadata}, name)
        findings = tuple(contract.violations(policy, fmt, metadata))
    except (PredicateError, RecordError) as error:
        metadata = subject.metadata
        rule = INTEGRITY[type(error)]
        findings = (Finding(rule, 1.0, None, error.message, {"integrity": True}),)
    document = Document(
        source,
        name,
        digest_bytes(record.text.encode()),
        metadata,
        subject.name,
        subject.digest,
    )
    return IncomingDocument(document, "txt", text=record.text, findings=findings)


def refuse_look_alikes(
    items: Sequence[IncomingDocument], there: Collection[str]
) -> list[IncomingDocument]:
    """Refuse newcomers whose id a person cannot tell from one of the same source that stays.

    Files are compared as a file system and a reader do, records by letters of another script (see
    `names.record_key`). What is there already is never refused, nor are two that were.

    Args:
        items: All documents of a manifest.
        there: Ids of the source's documents, less those that the manifest takes out.

    Returns:
        The same documents; those that look like another have a finding.
    """
    newcomers = {i.document.id for i in items if i.document.id not in there}
    if not newcomers:
        return list(items)
    first: dict[tuple[str, str], str] = {}
    for name in there:
        for key in _alike(name):
            first.setdefault(key, name)
    result = []
    for item in items:
        name = item.document.id
        other = next((first[k] for k in _alike(name) if first.get(k, name) != name), None)
        if name in newcomers and other is not None:
            detail = f"the id {name!r} looks like {other!r} of the same source"
            item = _with(item, Finding("look-alike-id", 1.0, None, detail, {"integrity": True}))
        for key in _alike(name):
            first.setdefault(key, name)
        result.append(item)
    return result


def _alike(name: str) -> list[tuple[str, str]]:
    """Tell what ids that look alike share: either key of a file's name, and of a record's id."""
    file, separator, record = name.partition("#")
    if separator:
        return [("record", f"{file}#{names.record_key(record)}")]
    return list(zip(("folded", "skeleton"), names.collision_keys(name), strict=True))


def _without_repeats(incoming: list[IncomingDocument]) -> list[IncomingDocument]:
    """Refuse a document id that stands twice: a file named like a record of another file."""
    seen: set[str] = set()
    result: list[IncomingDocument] = []
    for item in incoming:
        if item.document.id in seen:
            detail = f"the id {item.document.id!r} stands twice in this manifest"
            finding = Finding("duplicate-id", 1.0, None, detail, {"integrity": True})
            result = [_with(i, finding) if i.document.id == item.document.id else i for i in result]
            continue
        seen.add(item.document.id)
        result.append(item)
    return result


def _with(item: IncomingDocument, finding: Finding) -> IncomingDocument:
    values: dict[str, Any] = {**item.__dict__, "findings": (*item.findings, finding)}
    return IncomingDocument(**values)
