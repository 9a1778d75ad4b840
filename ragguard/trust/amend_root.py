"""Amend the trust root: from the root in force to the next one, not yet signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from ragguard.errors import TrustRootError, UsageError
from ragguard.model import Grant, PublicKey, Revocation, Root, SourcePolicy
from ragguard.trust import root as roots
from ragguard.trust.manifest import is_source_name
from ragguard.trust.person import person, persons

Role = Literal["signer", "reviewer", "root"]
LIFE = timedelta(days=365)


def _next(root: Root, now: datetime, **changes: Any) -> Root:
    amended = replace(
        root, version=root.version + 1, issued=now, expires=max(root.expires, now + LIFE), **changes
    )
    roots.check_root(amended)
    return amended


def find_key(root: Root, reference: str) -> PublicKey:
    """Find a key by id, the beginning of its id, or its principal if he has one in force.

    Raises:
        UsageError: None or several.
    """
    exact = [k for k in root.keys.values() if k.keyid == reference]
    begins = [
        k for k in root.keys.values() if len(reference) >= 8 and k.keyid.startswith(reference)
    ]
    named = [
        k for k in root.keys.values() if k.principal == reference and k.keyid not in root.revoked
    ]
    for matches in (exact, begins, named):
        if len(matches) == 1:
            return matches[0]
        if matches:
            ids = ", ".join(k.keyid[:16] for k in matches)
            raise UsageError(f"{reference!r}: several keys ({ids})", hint="Name one by its key id.")
    raise UsageError(
        f"{reference!r}: the trust root has no such key", hint="`ragguard trust list` shows them."
    )


def _with_key(root: Root, key: PublicKey) -> dict[str, PublicKey]:
    if key.keyid in root.revoked:
        raise TrustRootError(
            f"key {key.keyid[:16]}… of {key.principal!r} was revoked and stays so",
            hint="Make a new key pair.",
        )
    known = root.keys.get(key.keyid)
    if known is not None and known.principal != key.principal:
        raise TrustRootError(
            f"key {key.keyid[:16]}… belongs to {known.principal!r} already, not to "
            f"{key.principal!r}"
        )
    for other in root.keys.values():
        if other.principal != key.principal and person(other.principal) == person(key.principal):
            raise TrustRootError(
                f"principal {key.principal!r}: looks like {other.principal!r}, who has a key "
                f"({other.keyid[:16]}…)",
                hint="One person has one name: make the key under that name, or under one that "
                "nobody takes for it.",
            )
    return {**root.keys, key.keyid: key}


def _granted(grants: tuple[Grant, ...], keyid: str, until: datetime | None) -> tuple[Grant, ...]:
    kept = tuple(g for g in grants if g.keyid != keyid)
    return (*kept, Grant(keyid, until))


def add(
    root: Root,
    key: PublicKey,
    now: datetime,
    *,
    role: Role,
    source: str | None = None,
    until: datetime | None = None,
    threshold: int | None = None,
    distinct: Literal["keys", "principals"] | None = None,
) -> Root:
    """Let a key speak: for a source (made if it is new), as a reviewer, or as a root key.

    Args:
        role: What it may do.
        source: For which source; signers only.
        until: When the leave ends.
        threshold: New threshold of the source, or of the root role.
        distinct: What the source's threshold counts.

    Raises:
        UsageError: A signer without a source, or a source for another role.
        TrustRootError: The key is revoked or somebody else's, or the result contradicts itself.
    """
    if (role == "signer") != (source is not None):
        raise UsageError(
            "a signer speaks for a source, other roles for none",
            hint="Use --source S for a signer, or --role reviewer.",
        )
    keys = _with_key(root, key)
    if role == "reviewer":
        return _next(root, now, keys=keys, reviewers=_granted(root.reviewers, key.keyid, until))
    if role == "root":
        ids = tuple(sorted({*root.root_keyids, key.keyid}))
        needed = root.root_threshold if threshold is None else threshold
        return _next(root, now, keys=keys, root_keyids=ids, root_threshold=needed)
    if source is None or not is_source_name(source):
        raise UsageError(f"source {source!r}: expected 1 to 64 of a-z, 0-9, '_', '.', '-'")
    before = root.sources.get(source, SourcePolicy(source, ()))
    source_policy = replace(
        before,
        signers=_granted(before.signers, key.keyid, until),
        threshold=before.threshold if threshold is None else threshold,
        distinct=distinct or before.distinct,
    )
    return _next(root, now, keys=keys, sources={**root.sources, source: source_policy})


def revoke(root: Root, key: PublicKey, now: datetime, reason: str) -> Root:
    """Let a key count no more, anywhere, from now on.

    Raises:
        UsageError: It is revoked already, or a root key.
    """
    if key.keyid in root.revoked:
        raise UsageError(f"key {key.keyid[:16]}… is revoked already")
    if key.keyid in root.root_keyids:
        raise UsageError(
            f"key {key.keyid[:16]}… is a root key", hint="Replace it with `ragguard trust rotate`."
        )
    gone = Revocation(key.keyid, now, reason)
    sources = {n: _without(root, s, key.keyid) for n, s in root.sources.items()}
    return _next(
        root,
        now,
        sources=sources,
        reviewers=tuple(g for g in root.reviewers if g.keyid != key.keyid),
        revoked={**root.revoked, key.keyid: gone},
    )


def revoke_source(root: Root, source: str, now: datetime) -> Root:
    """Let nobody speak for a source any more; its contract goes with it, its keys stay.

    Raises:
        UsageError: No such source.
    """
    if source not in root.sources:
        raise UsageError(
            f"the trust root knows no source {source!r}", hint="`ragguard trust list` shows them."
        )
    return _next(root, now, sources={n: s for n, s in root.sources.items() if n != source})


def _without(root: Root, source: SourcePolicy, keyid: str) -> SourcePolicy:
    """Return a source without a key; one it needs stays listed (revoked keys never count)."""
    left = replace(source, signers=tuple(g for g in source.signers if g.keyid != keyid))
    if len(roots.holders(root, left)) < source.threshold:
        return source
    return left


def rotate(root: Root, old: PublicKey, new: PublicKey, now: datetime) -> Root:
    """Put a new key in an old one's place, with all it may do; the old one is revoked.

    Raises:
        UsageError: Both are the same key.
        TrustRootError: See `add`.
    """
    if old.keyid == new.keyid:
        raise UsageError("old and new key are the same")
    keys = _with_key(root, new)

    def swap(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
        return tuple(Grant(new.keyid, g.expires) if g.keyid == old.keyid else g for g in grants)

    sources = {n: replace(s, signers=swap(s.signers)) for n, s in root.sources.items()}
    ids = tuple(new.keyid if i == old.keyid else i for i in root.root_keyids)
    gone = root.revoked.get(old.keyid, Revocation(old.keyid, now, f"rotated to {new.keyid[:16]}"))
    return _next(
        root,
        now,
        keys=keys,
        sources=sources,
        reviewers=swap(root.reviewers),
        root_keyids=ids,
        revoked={**root.revoked, old.keyid: gone},
    )


def renew(root: Root, now: datetime) -> Root:
    """Renew the root: the same, with a new year to live."""
    return replace(root, version=root.version + 1, issued=now, expires=now + LIFE)


def set_policy(root: Root, source: str, changes: Mapping[str, Any], now: datetime) -> Root:
    """Change a source's contract.

    Raises:
        UsageError: No such source, a field or value that is not allowed, or more reviewers asked
            for than there are.
    """
    before = root.sources.get(source)
    if before is None:
        raise UsageError(
            f"no source {source!r}",
            hint=f"Add it with `ragguard trust add KEY.pub --source {source}`.",
        )
    body = {**roots.dump_policy(before.policy), **changes}
    try:
        source_policy = replace(before, policy=roots.parse_policy(body))
    except ValueError as error:
        raise UsageError(str(error)) from None
    there = persons(key.principal for key in roots.active(root.reviewers, root, now).values())
    asked = source_policy.policy.reviewers
    if asked > before.policy.reviewers and asked > len(there):
        raise UsageError(
            f"policy reviewers: {asked} asked for, and {len(there)} are in force: nothing could be "
            "decided",
            hint="Make more with `ragguard trust add KEY.pub --role reviewer`.",
        )
    return _next(root, now, sources={**root.sources, source: source_policy})
