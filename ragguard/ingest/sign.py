"""Sign files and record files of a source as a manifest. Needs no workspace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ragguard.corpus.documents import format_of
from ragguard.corpus.places import Place, reading
from ragguard.errors import IntegrityError, PredicateError, RecordError, UsageError
from ragguard.model import Manifest, Metadata, PublicKey, Subject
from ragguard.parse.plugged import OURS
from ragguard.parse.records import RECORD_FORMATS, Record, read_records
from ragguard.trust import dsse, folder, keys
from ragguard.trust import manifest as manifests
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.folder import SkippedFile
from ragguard.trust.manifest import LastAccepted

FORMATS = OURS
MAX_FILE = 2_000_000_000


@dataclass(frozen=True)
class SignResult:
    """A signed manifest.

    Attributes:
        envelope: Bytes of the manifest file.
        documents: How many documents it lists; a record counts as one.
        skipped: Files that were not taken, and why.
        wrong: Records that are none, and will be rejected; each is named.
        unused: Names in the metadata file that no signed file has.
    """

    envelope: bytes
    manifest: Manifest
    documents: int
    skipped: tuple[SkippedFile, ...]
    unused: tuple[str, ...]
    wrong: tuple[str, ...] = ()


def sign(
    paths: Sequence[Path],
    *,
    root: Path | Place,
    source: str,
    key: keys.KeyPair,
    now: datetime,
    expires: timedelta,
    previous: LastAccepted | None = None,
    mode: str = "full",
    removes: Sequence[str] = (),
    metadata: Mapping[str, Metadata] | None = None,
    strict: bool = False,
    formats: frozenset[str] = FORMATS,
) -> SignResult:
    """Sign files.

    Args:
        paths: Files and folders, at or below `root`; all there is of a place that is no folder.
        root: Folder, or other place, that names are relative to.
        expires: How long the manifest may be ingested.
        previous: The manifest before, `None` for the first.
        mode: `full` or `delta`.
        removes: Names a delta removes.
        metadata: Metadata by name.
        strict: Refuse when any file would be skipped.
        formats: File endings that are taken, those of plug-ins included.

    Raises:
        UsageError: Nothing to sign, a skipped file under `strict`, or no such path.
        CollisionError, RecordError, DuplicateIdError, PredicateError: What would be refused later.
    """
    metadata = metadata or {}
    names: dict[str, None] = {}
    skipped: list[SkippedFile] = []
    for entry in _listed(root, paths, formats):
        if isinstance(entry, SkippedFile):
            skipped.append(entry)
        else:
            names[entry] = None
    if strict and skipped:
        raise UsageError(
            f"{len(skipped)} files cannot be signed, the first is {skipped[0].name!r}: "
            f"{skipped[0].reason}",
            hint="Leave --strict away to skip them.",
        )
    if not names and not removes:
        raise UsageError(
            f"nothing to sign: no file of a supported format ({', '.join(sorted(formats))})",
            hint="Name a folder or files.",
        )
    manifests.check_collisions(names)
    subjects, documents = [], 0
    wrong: list[str] = []
    read = reading(root)
    for name in names:
        data = read(name, MAX_FILE)
        if len(data) > MAX_FILE:
            raise UsageError(f"{name!r}: more than {MAX_FILE:,} bytes")
        fmt = format_of(name)
        records = read_records(data, fmt, name) if fmt in RECORD_FORMATS else []
        documents += len(records) if fmt in RECORD_FORMATS else 1
        wrong += filter(None, (_wrong(record, name) for record in records))
        checked = manifests.check_metadata(dict(metadata.get(name, {})), name)
        subjects.append(Subject(name, digest_bytes(data), len(data), checked))
    payload = manifests.dump(
        source=source,
        version=previous.version + 1 if previous else 1,
        issued=now,
        expires=now + expires,
        previous=previous.digest if previous else None,
        mode=mode,
        subjects=subjects,
        removes=removes,
    )
    manifest = manifests.parse(payload, max_bytes=len(payload))
    pair = (key.public.keyid, key.signing_key)
    return SignResult(
        envelope=dsse.sign(payload, dsse.IN_TOTO, [pair]),
        manifest=manifest,
        documents=documents,
        skipped=tuple(skipped),
        wrong=tuple(wrong),
        unused=tuple(sorted(metadata.keys() - names.keys())),
    )


def _listed(
    root: Path | Place, paths: Sequence[Path], formats: frozenset[str]
) -> Iterator[str | SkippedFile]:
    if not isinstance(root, Path):
        yield from root.walk(formats)
        return
    for path in paths:
        yield from folder.walk(root, path, formats)


def says_the_same(envelope: bytes, newly_signed: SignResult, key: PublicKey) -> bool:
    """Tell whether a manifest of this signer lists what a new one would, and may still be ingested.

    Args:
        envelope: The manifest file there is.
        newly_signed: What was signed just now.
    """
    new = newly_signed.manifest
    try:
        parsed = dsse.parse_envelope(envelope, max_bytes=MAX_FILE)
        signed = dsse.verify(parsed, {key.keyid: key}, payload_type=dsse.IN_TOTO, threshold=1)
        signed.require("manifest")
        old = manifests.parse(signed.payload, max_bytes=len(signed.payload))
    except IntegrityError:
        return False
    content = (new.source, new.mode, new.subjects, new.removes)
    return (old.source, old.mode, old.subjects, old.removes) == content and old.expires > new.issued


def _wrong(record: Record, name: str) -> str:
    """Tell why a record will be rejected; empty where it is one."""
    try:
        manifests.check_metadata(record.metadata, f"{name}#{record.id}")
    except PredicateError as error:
        return error.message
    return record.wrong


def read_metadata(path: Path) -> dict[str, Metadata]:
    """Read a metadata file: a JSON object by name, or JSON lines with a `name` each.

    Raises:
        RecordError: Neither.
    """
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
            return {
                row["name"]: row.get("metadata", {k: v for k, v in row.items() if k != "name"})
                for row in rows
            }
        body: Any = json.loads(text)
        if not isinstance(body, dict) or not all(isinstance(v, dict) for v in body.values()):
            raise ValueError("not an object of objects")
        return body
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"metadata file {path}: {error}",
            hint='Expected {"name.md": {"department": …}, …}, or JSON lines with a name each.',
        ) from None
    except OSError as error:
        raise UsageError(f"metadata file {path}: {error.strerror}") from None
