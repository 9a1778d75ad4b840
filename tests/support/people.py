"""People and a trust root for tests of the trust core; no files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from nacl.signing import SigningKey

from ragguard.model import Grant, PublicKey, Root, SourcePolicy
from ragguard.trust import dsse, keys
from ragguard.trust import root as roots
from ragguard.trust.keys import KeyPair
from tests.support.simulator import NOW

LIMIT = 1 << 20
YEAR = timedelta(days=365)


def person(number: int, name: str) -> KeyPair:
    """A key pair that is the same in every run."""
    return keys.pair(SigningKey(bytes([number]) * 32), name)


ROOT_KEY, ALICE, BOB, CAROL, ROBOT, MALLORY = (
    person(number, name)
    for number, name in enumerate(("root", "alice", "bob", "carol", "alice", "mallory"), start=1)
)


def known(*pairs: KeyPair) -> dict[str, PublicKey]:
    """Public keys by id."""
    return {k.public.keyid: k.public for k in pairs}


def grants(*pairs: KeyPair) -> tuple[Grant, ...]:
    """Leave for keys, without an end."""
    return tuple(Grant(k.public.keyid) for k in pairs)


def make_root(**changes: Any) -> Root:
    """A root: alice, her robot and bob sign for the wiki, bob reviews, carol does nothing."""
    values: dict[str, Any] = {
        "version": 1,
        "issued": NOW,
        "expires": NOW + YEAR,
        "keys": known(ROOT_KEY, ALICE, BOB, CAROL, ROBOT),
        "root_keyids": (ROOT_KEY.public.keyid,),
        "root_threshold": 1,
        "reviewers": grants(BOB),
        "sources": {"wiki": SourcePolicy("wiki", grants(ALICE, ROBOT, BOB))},
        "revoked": {},
        **changes,
    }
    return Root(**values)


def sign_root(root: Root, *who: KeyPair) -> bytes:
    """Envelope of a root."""
    pairs = [(k.public.keyid, k.signing_key) for k in who]
    return dsse.sign(roots.dump_root(root), roots.ROOT_TYPE, pairs)
