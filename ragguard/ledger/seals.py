"""Seal points with a key: who holds none cannot change a point unnoticed."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b, sha256
from typing import Any
from uuid import UUID

from ragguard.trust.canonical import canonical


def point_id(
    source: str, document: str, document_digest: str, start: int, end: int, recipe: str
) -> str:
    """Id of a chunk's point: a UUID from the first 16 bytes of SHA-256 over what the chunk is.

    The source is in it, so that equal bytes from two sources never share a point.

    Args:
        document_digest: Document digest.

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
        vector: Vector bytes, float32 little-endian.
        payload: The whole payload; its `ragguard.seal`, if there, is left out.

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
