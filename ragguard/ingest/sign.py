"""Sign files and record files of a source as a manifest. Needs no workspace."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ragguard.corpus.documents import format_of
from ragguard.corpus.places import Place, reading
from ragguard.errors import (
    DuplicateIdError,
    IntegrityError,
    PredicateError,
    RecordError,
    UsageError,
)
from ragguard.model import Manifest, Metadata, PublicKey, Subject
from ragguard.parse.plugged import OURS
from ragguard.parse.records import RECORD_FORMATS, Record, read_records
from ragguard.trust import dsse, folder, keys
from ragguard.trust import manifest as manifests
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.folder import SkippedFile
from ragguard.trust.manifest import LastAccepted
from ragguard.trust.names import collision_keys

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
    known: Collection[str] = (),
    formats: frozenset[str] = FORMATS,
) -> SignResult:
    """Sign files.

    Of a folder, a record file that holds no records and a name that looks like another are left
    out. A file that is given by itself, or that is `known`, is refused instead.

    Args:
        paths: Files and folders, at or below `root`; all there is of a place that is no folder.
        root: Folder, or other place, that names are relative to.
        expires: How long the manifest may be ingested.
        previous: The manifest before, `None` for the first.
        mode: `full` or `delta`.
        removes: Names a delta removes.
        metadata: Metadata by name.
        strict: Refuse when any file would be skipped.
        known: Names of the source's files so far; leaving one out would remove its documents.
        formats: File endings that are taken, those of plug-ins included.

    Raises:
        UsageError: Nothing to sign, a skipped file under `strict`, or no such path.
        CollisionError, RecordError, DuplicateIdError, PredicateError: What would be refused later.
    """
    metadata = metadata or {}
    names: dict[str, None] = {}
    given: set[str] = set()
    skipped: list[SkippedFile] = []
    for entry, by_itself in _listed(root, paths, formats):
        if isinstance(entry, SkippedFile):
            skipped.append(entry)
            continue
        names[entry] = None
        if by_itself or strict:
            given.add(entry)
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
    for name, other in _look_alikes(names, {*known, *given}).items():
        del names[name]
        skipped.append(_look_alike(name, other))
    manifests.check_collisions(names)
    subjects, documents = [], 0
    wrong: list[str] = []
    refused: list[IntegrityError] = []
    read = reading(root)
    for name in names:
        data = read(name, MAX_FILE)
        if len(data) > MAX_FILE:
            raise UsageError(f"{name!r}: more than {MAX_FILE:,} bytes")
        fmt = format_of(name)
        try:
            records = read_records(data, fmt, name) if fmt in RECORD_FORMATS else []
        except (RecordError, DuplicateIdError) as error:
            if name in known and name not in given:
                raise _signed_before(error) from None
            if name in given:
                raise
            refused.append(error)
            skipped.append(_no_records(name, error))
            continue
        documents += len(records) if fmt in RECORD_FORMATS else 1
        wrong += filter(None, (_wrong(record, name) for record in records))
        checked = manifests.check_metadata(dict(metadata.get(name, {})), name)
        subjects.append(Subject(name, digest_bytes(data), len(data), checked))
    if refused and not subjects and not removes:
        raise refused[0]
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
        unused=tuple(sorted(metadata.keys() - {s.name for s in subjects})),
    )


def _listed(
    root: Path | Place, paths: Sequence[Path], formats: frozenset[str]
) -> Iterator[tuple[str | SkippedFile, bool]]:
    """List files, and whether each was given by itself rather than found in a folder."""
    if not isinstance(root, Path):
        yield from ((entry, False) for entry in root.walk(formats))
        return
    for path in paths:
        by_itself = not path.is_dir()
        yield from ((entry, by_itself) for entry in folder.walk(root, path, formats))


def _look_alikes(names: Collection[str], required: Collection[str]) -> dict[str, str]:
    """Map each name that gives way to the one it looks like.

    Required names come first, then the order of names: the same files, the same choice.
    """
    taken: dict[tuple[int, str], str] = {}
    others: dict[str, str] = {}
    for name in sorted(names, key=lambda n: (n not in required, n)):
        keys = [*enumerate(collision_keys(name))]
        other = next((taken[key] for key in keys if key in taken), None)
        if other is None or name in required:
            taken.update(dict.fromkeys(keys, name))
        else:
            others[name] = other
    return others


def _signed_before(error: IntegrityError) -> IntegrityError:
    return type(error)(
        error.message,
        hint="It was signed before, and leaving it out would remove its documents: mend it, or "
        "move it out of the folder.",
    )


def _look_alike(name: str, other: str) -> SkippedFile:
    return SkippedFile(
        name,
        "name looks like another",
        f"{name!r}: its name looks like {other!r}, which is signed; rename one of them",
    )


def _no_records(name: str, error: IntegrityError) -> SkippedFile:
    advice = f" ({error.hint})" if error.hint else ""
    return SkippedFile(
        name,
        "not a file of records",
        f"{error.message}{advice}; mend it, or move it out of the folder",
    )


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
