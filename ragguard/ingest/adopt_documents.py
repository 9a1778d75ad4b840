"""Put foreign passages together as documents, named and bounded; count what could not be.

A document's passages are joined in the order they say, else in the order of their ids; where they
say at which character they begin, what two of them share stands once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragguard.corpus.documents import IncomingDocument
from ragguard.errors import PredicateError
from ragguard.model import Document, Finding, Metadata, Policy
from ragguard.trust import contract
from ragguard.trust import manifest as manifests
from ragguard.trust.canonical import canonical, digest_bytes
from ragguard.trust.names import collision_keys

MAX_ID_BYTES = 512
_CONTROL = ("Cc", "Cf", "Cs", "Zl", "Zp")
_PARTED = "\n\n"
_NEAR = 100_000  # characters around its place in which a passage is looked for
_MADE = re.compile(r"id-[0-9a-f]{32}")


@dataclass(frozen=True)
class ForeignPiece:
    """A passage of a foreign document.

    Attributes:
        text: Not empty.
        metadata: Bounded.
        start: Its place in the document; `None` when unknown.
    """

    point: str
    text: str
    metadata: Metadata
    start: int | None


def document_id(name: str) -> str:
    """Name a document so that ledger, terminal and person can hold it; else by its digest."""
    sound = (
        0 < len(name.encode()) <= MAX_ID_BYTES
        and unicodedata.is_normalized("NFC", name)
        and name == name.strip()
        and not _MADE.fullmatch(name)
        and not any(unicodedata.category(c) in _CONTROL for c in name)
    )
    return name if sound else f"id-{digest_bytes(name.encode())[:32]}"


def put_together(pieces: Iterable[ForeignPiece], *, offsets: bool) -> tuple[str, dict[str, Any]]:
    """Return the text and metadata of a document.

    Args:
        pieces: Its passages, at least one.
        offsets: Whether their places count characters (else they only order).

    Returns:
        The text, and the metadata that all passages share, within the bounds of a manifest's.
    """
    ordered = sorted(pieces, key=_place)
    known = offsets and all(p.start is not None for p in ordered)
    text, end = "", 0
    seen: set[str] = set()
    for piece in ordered:
        if piece.text in seen:
            continue
        seen.add(piece.text)
        start = piece.start if known and piece.start is not None else None
        text += _joint(text, end, piece.text, start)
        end = max(end, (start or 0) + len(piece.text))
    shared = {
        key: value
        for key, value in ordered[0].metadata.items()
        if all(key in p.metadata and p.metadata[key] == value for p in ordered[1:])
    }
    return text, _within(shared)


def _place(piece: ForeignPiece) -> tuple[Any, ...]:
    number = int(piece.point) if piece.point.isascii() and piece.point.isdigit() else -1
    return (piece.start is None, piece.start or 0, number, piece.point)


def _joint(before: str, end: int, text: str, start: int | None) -> str:
    """Tell what a passage adds to the text before it, which ends at a character of the document."""
    if not before:
        return text
    if start is None or start > end + 1:
        return _PARTED + text
    shared = end - start
    if shared < 0:
        return "\n" + text
    if shared >= len(text):  # a passage that lies within others
        near = max(0, len(before) - shared - _NEAR)
        if before.find(text, near, near + len(text) + 2 * _NEAR) >= 0:
            return ""
    if before.endswith(text[:shared]):
        return text[shared:]
    return _PARTED + text  # they do not fit: nothing is lost, and nothing is guessed


def _within(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """As much of the metadata as a manifest could hold, the small values first."""
    kept: dict[str, Any] = {}
    left = manifests.MAX_METADATA_BYTES
    for size, key in sorted((len(canonical({k: v})), k) for k, v in metadata.items()):
        left -= size
        if left < 0:
            break
        kept[key] = metadata[key]
    return kept


def documents_of(
    passages: Mapping[str, Sequence[ForeignPiece]],
    source: str,
    policy: Policy,
    *,
    offsets: bool,
    max_bytes: int,
) -> list[IncomingDocument]:
    """List documents as unsigned records, with what is wrong with them already.

    Args:
        passages: Passages by what they say their document is.
        source: Unsigned source.
        policy: Contract that holds for it.
        offsets: See `put_together`.
        max_bytes: Upper size of a document's text.
    """
    named = {foreign_name: document_id(foreign_name) for foreign_name in passages}
    documents = []
    for foreign_name, pieces in sorted(passages.items(), key=lambda item: named[item[0]]):
        name = named[foreign_name]
        text, metadata = put_together(pieces, offsets=offsets)
        data = text.encode()
        findings = [*contract.violations(policy, "txt", metadata)]
        limit = min(max_bytes, policy.max_document_bytes)
        if len(data) > limit:
            detail = f"its passages make {len(data)} bytes, at most {limit} are taken"
            findings.append(Finding("oversized", 1.0, None, detail))
        if "\x00" in text:
            findings.append(Finding("unreadable", 1.0, None, "its text holds NUL characters"))
        try:
            metadata = dict(manifests.check_metadata(metadata, name))
        except PredicateError as error:
            metadata = {}
            findings.append(Finding("metadata", 1.0, None, error.message))
        kept = digest_bytes(data)
        # The vault keeps plain text: the subject's ending says so, whatever the document is called.
        document = Document(source, name, kept, metadata, f"{name}.txt", kept)
        documents.append(IncomingDocument(document, "txt", text=text, findings=tuple(findings)))
    return documents


def look_alikes(items: Sequence[IncomingDocument]) -> dict[str, str]:
    """List documents whose names a person cannot tell apart, with another of that likeness."""
    first: dict[tuple[int, str], str] = {}
    alike: dict[str, str] = {}
    for item in items:
        name = item.document.id
        for key in enumerate(collision_keys(name)):
            other = first.setdefault(key, name)
            if other != name:
                alike[name] = other
                alike.setdefault(other, name)
    return alike
