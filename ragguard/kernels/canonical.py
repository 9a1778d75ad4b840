"""Canonical bytes (RFC 8785), digests, and the seal over a point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from typing import Any
from uuid import UUID

import rfc8785

_PLAIN = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False, check_circular=False
)
_EXACT = 2**53  # integers below it have one spelling


def canonical(value: Any) -> bytes:
    """RFC 8785 JSON bytes of a value.

    Where the standard library's encoder, five times as fast, gives the same bytes, it is used: no
    floats, which it spells otherwise, and no keys that it sorts otherwise.
    """
    if _is_plain(value):
        try:
            return _PLAIN.encode(value).encode()
        except UnicodeEncodeError:  # a lone surrogate: refused below, as by the standard
            pass
    return rfc8785.dumps(value)


def _is_plain(value: Any) -> bool:
    """Whether a value holds only what both encoders spell alike; subclasses never count."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_EXACT < value < _EXACT)
    if kind is dict:
        for key, item in value.items():
            # UTF-16 order, the standard's, is code point order as long as keys are ASCII.
            if type(key) is not str or not key.isascii():
                return False
            if type(item) is not str and not _is_plain(item):
                return False
        return True
    if kind is list or kind is tuple:
        return all(type(item) is str or _is_plain(item) for item in value)
    return False


def digest(value: Any) -> str:
    """SHA-256 hex of a value's canonical JSON."""
    return sha256(canonical(value)).hexdigest()


def digest_bytes(data: bytes) -> str:
    """SHA-256 hex of bytes."""
    return sha256(data).hexdigest()


def point_id(
    source: str, document: str, document_digest: str, start: int, end: int, recipe: str
) -> str:
    """Id of a chunk's point: a UUID from the first 16 bytes of SHA-256 over what the chunk is.

    The source is in it, so that equal bytes from two sources never share a point.

    Args:
        source: Source name.
        document: Document id.
        document_digest: Document digest.
        start: First character of the span.
        end: Character after the span.
        recipe: Recipe digest.

    Returns:
        UUID text.
    """
    raw = sha256(canonical([source, document, document_digest, start, end, recipe])).digest()
    return str(UUID(bytes=raw[:16]))


def seal(key: bytes, point: str, vector: bytes, payload: Mapping[str, Any], collection: str) -> str:
    """Keyed digest over a point: who holds no key cannot change the point unnoticed.

    BLAKE2b-256 (RFC 7693) keyed, over the length-prefixed id, little-endian float32 vector bytes,
    canonical payload without its own `ragguard.seal`, and the collection the point belongs to.

    Args:
        key: 32 bytes, kept outside Qdrant.
        point: Point id.
        vector: Vector bytes, float32 little-endian.
        payload: The whole payload; its `ragguard.seal`, if there, is left out.
        collection: Physical collection name.

    Returns:
        64 hex digits.
    """
    body = dict(payload)
    own = dict(body.get("ragguard") or {})
    own.pop("seal", None)
    body["ragguard"] = own
    pieces = []
    for part in (point.encode(), collection.encode(), vector, canonical(body)):
        pieces += [len(part).to_bytes(8, "little"), part]
    mac = blake2b(b"".join(pieces), key=key, digest_size=32, person=b"ragguard-seal-v1")
    return mac.hexdigest()


def format_time(moment: datetime) -> str:
    """RFC 3339 UTC text, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Read what `format_time` wrote.

    Raises:
        ValueError: Anything else.
    """
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if format_time(moment) != text:
        raise ValueError(f"{text!r}: not a time as it is written here")
    return moment
