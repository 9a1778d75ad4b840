"""Tag what a workspace keeps to save itself work, and believe it only with its tag.

Profiles, word counts and places of vectors can all be made again, and are in no log. Who can write
cache, ledger and vault has no key of this workspace: a keyed tag tells what is its own. What has
none, or another's, is made again. The key is derived from the seal key and used for nothing else.
"""

from __future__ import annotations

import hashlib
import hmac

FORMAT = "ragguard-kept-v1"
SIZE = 32  # bytes of a tag


def tag(seal_key: bytes, name: str, *parts: bytes) -> bytes:
    """Return the tag of something kept.

    Args:
        seal_key: 32 bytes.
        name: What it is, with what it is kept under: a tag is good for nothing else.
        parts: Its bytes.

    Returns:
        HMAC-SHA256 over the length and bytes of each part.
    """
    key = hashlib.blake2b(FORMAT.encode(), key=seal_key, digest_size=64).digest()
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in (name.encode(), *parts):
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return mac.digest()


def fits(stored: bytes, seal_key: bytes, name: str, *parts: bytes) -> bool:
    """Tell whether a tag is the one that `tag` makes."""
    return hmac.compare_digest(stored, tag(seal_key, name, *parts))


def wrap(data: bytes, seal_key: bytes, name: str) -> bytes:
    """Return a file's bytes, its tag before them."""
    return tag(seal_key, name, data) + data


def unwrap(data: bytes, seal_key: bytes, name: str) -> bytes | None:
    """Tell what `wrap` wrapped; `None` where its tag is not ours."""
    body = data[SIZE:]
    return body if fits(data[:SIZE], seal_key, name, body) else None
