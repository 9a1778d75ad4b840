"""Authenticate a plan by a keyed digest, kept beside the commit until that is done.

Who can write ledger and vault has no key of this workspace, and so cannot make one. It binds a plan
to one commit of one log that stood at one tree head: it is good for nothing else, and not again.
The key is derived from the seal key, and never used for anything else. See
docs/adr/0024-plans-and-served-text.md.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import asdict, dataclass

from ragguard.trust.canonical import canonical

FORMAT = "ragguard-intent-v1"
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Intent:
    """A commit that is about to be carried out.

    Attributes:
        plan: Vault digest of its plan.
        size: Entries in the log when it was planned.
        root: Root of the log's tree then, hex.
    """

    origin: str
    commit: int
    plan: str
    size: int
    root: str


def key_of(commit: int) -> str:
    """Tell where the ledger keeps what authenticates a commit."""
    return f"intent:{commit}"


def dump(intent: Intent, seal_key: bytes) -> str:
    """Tell what the ledger keeps: tree head and tag; the rest is known from elsewhere."""
    return json.dumps({"size": intent.size, "root": intent.root, "tag": _tag(intent, seal_key)})


def authenticate(text: str, origin: str, commit: int, plan: str, seal_key: bytes) -> Intent | None:
    """Return the intent that a text authenticates, `None` where it does not.

    Args:
        text: As `dump` wrote it, or anything.
        commit: Number of the commit it is said to be about.
        plan: Vault digest of the plan it is said to be about.
        seal_key: 32 bytes.
    """
    try:
        body = json.loads(text)
        size, root, tag = body["size"], body["root"], body["tag"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(size) is not int or not 0 <= size < 1 << 53 or len(body) != 3:
        return None
    if not all(isinstance(d, str) and _DIGEST.fullmatch(d) for d in (root, tag)):
        return None
    intent = Intent(origin, commit, plan, size, root)
    return intent if hmac.compare_digest(tag, _tag(intent, seal_key)) else None


def _tag(intent: Intent, seal_key: bytes) -> str:
    key = hashlib.blake2b(FORMAT.encode(), key=seal_key, digest_size=64).digest()
    body = canonical({"format": FORMAT, **asdict(intent)})
    return hmac.new(key, body, hashlib.sha256).hexdigest()
