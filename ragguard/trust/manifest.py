"""Read and write corpus manifests (in-toto Statement v1), and apply the rules of acceptance.

Takes bytes and a state, never a disk or a clock. The legal order is:

1. `policy.authenticate(envelope, root, now)`: signatures before content; returns the parsed
   manifest.
2. `check_freshness(manifest, now)`: not issued in the future, not expired.
3. `check_sequence(manifest, last)`: no rollback, no second content under one version, no gap.
4. the files: every subject's length and digest (`check_bytes`), by whoever reads them.

Format: docs/formats.md, "Manifest". `parse` refuses what a later reader could read in two ways:
    subjects and
predicate that disagree (mix-and-match), names that leave the folder, names that look alike, ids
that repeat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ragguard.errors import (
    CollisionError,
    DocumentOversizedError,
    DocumentTamperedError,
    DuplicateIdError,
    EquivocationError,
    ExpiredError,
    GapError,
    MixAndMatchError,
    NotYetValidError,
    PredicateError,
    RollbackError,
    VersionJumpError,
)
from ragguard.model import Manifest, Metadata, Subject
from ragguard.trust import strict_json
from ragguard.trust.canonical import canonical, digest_bytes, format_time, parse_time
from ragguard.trust.names import check_name, collision_keys

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:ragguard:corpus-manifest:v1"
CLOCK_SKEW = timedelta(minutes=5)
MAX_METADATA_BYTES = 16_384
MAX_STEP = 1000  # versions that one manifest may go on by
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_PREDICATE_KEYS = {
    "source",
    "version",
    "issued",
    "expires",
    "previous",
    "mode",
    "documents",
    "removes",
}


@dataclass(frozen=True)
class LastAccepted:
    """The last accepted manifest of a source."""

    version: int
    digest: str


def is_source_name(name: object) -> bool:
    """Tell whether a source may be called so: 1 to 64 of a-z, 0-9, `_`, `.`, `-`."""
    return isinstance(name, str) and bool(_SOURCE.fullmatch(name))


def dump(
    *,
    source: str,
    version: int,
    issued: datetime,
    expires: datetime,
    previous: str | None,
    mode: str,
    subjects: Iterable[Subject],
    removes: Iterable[str] = (),
) -> bytes:
    """Payload bytes of a manifest: canonical JSON of the statement.

    Args:
        version: From 1, one more each time.
        issued: Now.
        expires: Until when it may be ingested.
        previous: Digest of the manifest before, `None` for the first.
        mode: `full` or `delta`.
        removes: Names a delta removes.
    """
    ordered = sorted(subjects, key=lambda s: s.name)
    documents = {s.name: {"length": s.length, "metadata": dict(s.metadata)} for s in ordered}
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": s.name, "digest": {"sha256": s.digest}} for s in ordered],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "source": source,
            "version": version,
            "issued": format_time(issued),
            "expires": format_time(expires),
            "previous": {"sha256": previous} if previous else None,
            "mode": mode,
            "documents": documents,
            "removes": sorted(removes),
        },
    }
    return canonical(statement)


def parse(payload: bytes, *, max_bytes: int) -> Manifest:
    """Read a verified payload.

    Raises:
        MalformedError, OversizedError: Not strict JSON, or too large.
        PredicateError: Another statement or predicate type, or fields that are not as documented.
        MixAndMatchError: Subjects and predicate list different documents.
        SubjectNameError, CollisionError, DuplicateIdError: Names that are not allowed.
    """
    statement = strict_json.parse(payload, what="manifest", max_bytes=max_bytes)
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise PredicateError(f"manifest: not an in-toto statement ({STATEMENT_TYPE})")
    if statement.get("predicateType") != PREDICATE_TYPE:
        predicate_type = str(statement.get("predicateType"))[:80]
        raise PredicateError(
            f"manifest: predicate type {predicate_type!r}, expected {PREDICATE_TYPE!r}"
        )
    predicate = statement.get("predicate")
    if not isinstance(predicate, dict) or predicate.keys() != _PREDICATE_KEYS:
        raise PredicateError(
            f"manifest: the predicate must have exactly {', '.join(sorted(_PREDICATE_KEYS))}"
        )
    digests = _subject_digests(statement.get("subject"))
    manifest = Manifest(
        source=_want(predicate, "source", is_source_name, "a source name"),
        version=_want(predicate, "version", _is_version, "an integer from 1"),
        issued=_time(predicate, "issued"),
        expires=_time(predicate, "expires"),
        previous=_previous(predicate["previous"]),
        mode=_want(predicate, "mode", lambda v: v in ("full", "delta"), "'full' or 'delta'"),
        subjects=_subjects(digests, predicate["documents"]),
        removes=_removes(predicate["removes"]),
        digest=digest_bytes(payload),
    )
    if manifest.mode == "full" and manifest.removes:
        raise PredicateError(
            "manifest: a full manifest removes by leaving out; `removes` must be empty"
        )
    if both := digests.keys() & set(manifest.removes):
        raise MixAndMatchError(f"manifest: {min(both)!r} is both listed and removed")
    if (manifest.version == 1) != (manifest.previous is None):
        raise PredicateError("manifest: version 1 has no `previous`, every later one names it")
    return manifest


def _want(predicate: Mapping[str, Any], key: str, test: Any, expected: str) -> Any:
    value = predicate[key]
    if not test(value):
        raise PredicateError(f"manifest: {key} is {str(value)[:60]!r}, expected {expected}")
    return value


def _is_version(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**53


def _time(predicate: Mapping[str, Any], key: str) -> datetime:
    try:
        return parse_time(predicate[key])
    except (TypeError, ValueError):
        raise PredicateError(f"manifest: {key} is not a time like 2026-01-31T12:00:00Z") from None


def _sha256(value: object) -> str:
    sha256 = value.get("sha256") if isinstance(value, dict) else None
    if not isinstance(sha256, str) or not _DIGEST.fullmatch(sha256):
        raise PredicateError("manifest: a digest is {'sha256': 64 lower-case hex digits}")
    return sha256


def _previous(value: object) -> str | None:
    return None if value is None else _sha256(value)


def _subject_digests(subjects: object) -> dict[str, str]:
    if not isinstance(subjects, list):
        raise PredicateError("manifest: subject must be a list")
    digests: dict[str, str] = {}
    for entry in subjects:
        if not isinstance(entry, dict):
            raise PredicateError("manifest: a subject is an object with name and digest")
        name = check_name(entry.get("name"))
        if name in digests:
            raise DuplicateIdError(f"manifest: {name!r} is listed twice")
        digests[name] = _sha256(entry.get("digest"))
    check_collisions(digests)
    return digests


def check_collisions(names: Iterable[str]) -> None:
    """Refuse names that a person or a file system cannot tell apart.

    Raises:
        CollisionError: Names both.
    """
    seen: dict[str, str] = {}
    for name in names:
        for kind, key in zip("fs", collision_keys(name), strict=True):
            other = seen.setdefault(kind + key, name)
            if other != name:
                raise CollisionError(
                    f"manifest: the names {other!r} and {name!r} look alike",
                    hint="Rename one; equal up to case, compatibility forms or look-alike "
                    "letters is refused.",
                )


def _subjects(digests: Mapping[str, str], documents: object) -> tuple[Subject, ...]:
    if not isinstance(documents, dict):
        raise PredicateError("manifest: documents must be an object by subject name")
    if documents.keys() != digests.keys():
        odd = min(documents.keys() ^ digests.keys())
        raise MixAndMatchError(
            f"manifest: {odd!r} stands in only one of subject and predicate",
            hint="Subjects and predicate are from different manifests.",
        )
    return tuple(_subject(name, digests[name], documents[name]) for name in digests)


def _subject(name: str, digest: str, entry: object) -> Subject:
    if not isinstance(entry, dict) or entry.keys() != {"length", "metadata"}:
        raise PredicateError(f"manifest: the entry of {name!r} must have length and metadata")
    length, metadata = entry["length"], entry["metadata"]
    if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length < 2**53:
        raise PredicateError(f"manifest: the length of {name!r} is not a size in bytes")
    return Subject(name, digest, length, check_metadata(metadata, name))


def check_metadata(metadata: object, name: str) -> Metadata:
    """Return document metadata if it is a small object of scalars and lists of scalars.

    Raises:
        PredicateError: It is not, naming the document.
    """
    if metadata == {}:
        return {}
    if not isinstance(metadata, dict):
        raise PredicateError(f"metadata of {name!r}: not an object")
    for key, value in metadata.items():
        items = value if isinstance(value, list) else [value]
        if not isinstance(key, str) or not all(
            v is None or isinstance(v, str | int | float | bool) for v in items
        ):
            raise PredicateError(
                f"metadata of {name!r}: {str(key)[:60]!r} must be a scalar or a list of scalars"
            )
        # Beyond it a number has two spellings, or none, in canonical JSON.
        if any(isinstance(v, int | float) and not abs(v) < 2**53 for v in items):
            raise PredicateError(
                f"metadata of {name!r}: the number at {key[:60]!r} is too large, expected less "
                "than 2**53"
            )
    try:
        size = len(canonical(metadata))
    except ValueError as error:
        raise PredicateError(f"metadata of {name!r}: {error}") from None
    if size > MAX_METADATA_BYTES:
        raise PredicateError(f"metadata of {name!r}: {size} bytes, at most {MAX_METADATA_BYTES}")
    return metadata


def _removes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise PredicateError("manifest: removes must be a list of names")
    names = tuple(check_name(name) for name in value)
    if len(set(names)) != len(names):
        raise DuplicateIdError("manifest: a name is removed twice")
    return names


def check_freshness(manifest: Manifest, now: datetime) -> None:
    """Refuse a manifest from the future or past its time.

    Raises:
        NotYetValidError: Issued more than five minutes after `now`.
        ExpiredError: Expired, or expiring before it was issued.
    """
    who = f"manifest {manifest.version} of {manifest.source!r}"
    if manifest.issued > now + CLOCK_SKEW:
        raise NotYetValidError(
            f"{who}: issued {format_time(manifest.issued)}, now is {format_time(now)}",
            hint="Check both clocks.",
        )
    if manifest.expires <= now or manifest.expires <= manifest.issued:
        raise ExpiredError(
            f"{who}: expired {format_time(manifest.expires)}, now is {format_time(now)}",
            hint="The signer signs the source again with `ragguard sign`.",
        )


def check_sequence(manifest: Manifest, last: LastAccepted | None) -> bool:
    """Compare with the last accepted manifest of the same source.

    Args:
        last: The last accepted, `None` if there is none.

    Returns:
        False when it is the last accepted one again (nothing to do), else True.

    Raises:
        RollbackError: An older version.
        EquivocationError: The same version, other content.
        GapError: `previous` is not the last accepted manifest.
        VersionJumpError: Far more versions are left out than can have been signed and lost.
    """
    who = f"manifest {manifest.version} of {manifest.source!r}"
    if last is None:
        if manifest.previous is not None:
            raise GapError(
                f"{who}: follows {manifest.previous[:12]}…, but no manifest of this source was "
                "accepted yet",
                hint="Ingest the earlier manifests first.",
            )
        return True
    if manifest.digest == last.digest:
        return False
    if manifest.version < last.version:
        raise RollbackError(
            f"{who}: older than the accepted version {last.version}",
            hint="An old manifest is never taken back in; sign the present state as a new version.",
        )
    if manifest.version == last.version:
        raise EquivocationError(
            f"{who}: version {last.version} was accepted with other content ({last.digest[:12]}…)",
            hint="Two manifests were signed under one version: ask the signer, then sign a new "
            "version.",
        )
    if manifest.previous != last.digest:
        raise GapError(
            f"{who}: follows {str(manifest.previous)[:12]}…, the last accepted is "
            f"version {last.version}, {last.digest[:12]}…",
            hint="Ingest the manifests between, or sign again with --previous.",
        )
    if manifest.version - last.version > MAX_STEP:
        raise VersionJumpError(
            f"{who}: the accepted version is {last.version}, and at most {MAX_STEP} versions may "
            "be left out",
            hint="A jump to the highest number would lock the source: ask the signer, who signs "
            "again with --previous.",
        )
    return True


def check_bytes(subject: Subject, data: bytes, max_bytes: int, limit: str = "") -> None:
    """Compare a file with what was signed.

    Args:
        data: The bytes read (at most `max_bytes + 1` of them).
        max_bytes: The source's limit for one file.
        limit: What that limit is called, and where it stands.

    Raises:
        DocumentOversizedError: More than the limit.
        DocumentTamperedError: Another length or digest.
    """
    if len(data) > max_bytes:
        signed = f"signed as {subject.length} bytes, " if subject.length > max_bytes else ""
        asked = f", the most that {limit} allows" if limit else ""
        raise DocumentOversizedError(
            f"{subject.name!r}: {signed}more than {max_bytes} bytes{asked}"
        )
    if len(data) != subject.length or digest_bytes(data) != subject.digest:
        raise DocumentTamperedError(
            f"{subject.name!r}: not the signed bytes (signed {subject.length} bytes "
            f"sha256 {subject.digest[:12]}…, found {len(data)} bytes sha256 "
            f"{digest_bytes(data)[:12]}…)",
            hint="Restore the signed file, or have the signer sign the new one.",
        )
