"""Read and verify the trust root: which keys may speak for which source.

And how many must, until when, under which contract.

Rules, after TUF (https://theupdateframework.github.io/specification/latest/, section 5.3):

1. Root N+1 is signed by the threshold of root keys named in N and by the threshold named in N+1.
2. Versions rise by one; an older root than the one seen is refused.
3. Every threshold is at least 1 and at most the number of its keys. A public key stands under one
   key id.
4. A revoked key counts nowhere, at once.

`authenticate` is the only way from envelope bytes to a `Manifest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ragguard.errors import (
    DuplicateKeyError,
    ExpiredError,
    KeyFileError,
    MalformedError,
    RevokedKeyError,
    SourceKeyError,
    TrustRootError,
    TrustRootRollbackError,
    UnknownSourceError,
    ZeroThresholdError,
)
from ragguard.model import Grant, Manifest, Policy, PublicKey, Revocation, Root, SourcePolicy
from ragguard.trust import contract, dsse, scope, strict_json
from ragguard.trust import manifest as manifests
from ragguard.trust.canonical import canonical, format_time, parse_time
from ragguard.trust.dsse import Envelope, VerificationResult
from ragguard.trust.keys import check_public, key_object

ROOT_TYPE = "application/vnd.ragguard.trust-root+json"
MAX_ROOT_BYTES = 4_000_000

_LISTS = ("labels", "departments", "formats", "required_metadata")
LISTS = (*_LISTS, "scope", "review")
_SWITCHES = ("block_secrets", "honeytoken")
_NUMBERS = ("max_document_bytes", "max_documents", "max_new_per_day")
_COUNTS = {"reviewers": (1, 9), "probation": (0, 10_000)}  # whole numbers and their bounds
# Where at the default.
_UNWRITTEN = ("fact_changes", "scope", "reviewers", "review", "probation", "honeytoken")


def dump_root(root: Root) -> bytes:
    """Payload bytes of a trust root: canonical JSON."""
    body = {
        "type": "ragguard-trust-root",
        "version": root.version,
        "issued": format_time(root.issued),
        "expires": format_time(root.expires),
        "keys": {
            k.keyid: {**key_object(k.public), "principal": k.principal} for k in root.keys.values()
        },
        "roles": {
            "root": {"keyids": sorted(root.root_keyids), "threshold": root.root_threshold},
            "reviewer": {"keys": _dump_grants(root.reviewers)},
        },
        "sources": {
            s.name: {
                "signers": _dump_grants(s.signers),
                "threshold": s.threshold,
                "distinct": s.distinct,
                "policy": dump_policy(s.policy),
            }
            for s in root.sources.values()
        },
        "revoked": {
            r.keyid: {"at": format_time(r.at), "reason": r.reason} for r in root.revoked.values()
        },
    }
    return canonical(body)


def _dump_grants(grants: Iterable[Grant]) -> dict[str, Any]:
    return {g.keyid: {"expires": format_time(g.expires) if g.expires else None} for g in grants}


def dump_policy(policy: Policy) -> dict[str, Any]:
    """Write a policy as a JSON object; later fields only where they are not the default.

    So the signed bytes of a root that never heard of them stay what they were.
    """
    body: dict[str, Any] = {key: list(getattr(policy, key)) for key in _LISTS}
    body.update({key: getattr(policy, key) for key in _NUMBERS})
    body.update({"block_secrets": policy.block_secrets, "tier": policy.tier})
    for key in _UNWRITTEN:
        value = getattr(policy, key)
        if value != getattr(Policy, key):
            body[key] = list(value) if key in LISTS else value
    return body


def judged_under(policy: Policy) -> dict[str, Any]:
    """Return what of a policy a verdict rests on: who has to review is no reason to judge anew."""
    return dump_policy(
        replace(policy, **{k: getattr(Policy, k) for k in ("review", "honeytoken", *_COUNTS)})
    )


def parse_root(payload: bytes) -> Root:
    """Read a root payload (signatures are the caller's business: see `verify_root`).

    Raises:
        TrustRootError: Malformed.
        ZeroThresholdError: A threshold below 1 or above its keys.
        DuplicateKeyError: One public key twice.
    """
    try:
        body = strict_json.parse(payload, what="trust root", max_bytes=MAX_ROOT_BYTES, max_depth=8)
        if body["type"] != "ragguard-trust-root":
            raise TrustRootError("trust root: of another type")
        keys = _parse_keys(body["keys"])
        root = Root(
            version=_integer(body["version"], 1),
            issued=parse_time(body["issued"]),
            expires=parse_time(body["expires"]),
            keys=keys,
            root_keyids=tuple(str(i) for i in body["roles"]["root"]["keyids"]),
            root_threshold=_integer(body["roles"]["root"]["threshold"], None),
            reviewers=_parse_grants(body["roles"]["reviewer"]["keys"]),
            sources={n: _parse_source(n, s) for n, s in body["sources"].items()},
            revoked={
                k: Revocation(k, parse_time(r["at"]), str(r["reason"]))
                for k, r in body["revoked"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError, KeyFileError, MalformedError) as error:
        raise TrustRootError(f"trust root: malformed ({error})") from None
    check_root(root)
    return root


def _integer(value: object, minimum: int | None) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not an integer")
    if minimum is not None and value < minimum:
        raise ValueError(f"{value} is below {minimum}")
    return value


def _parse_keys(body: Mapping[str, Any]) -> dict[str, PublicKey]:
    keys: dict[str, PublicKey] = {}
    for keyid, entry in body.items():
        key = check_public(bytes.fromhex(entry["keyval"]["public"]), entry["principal"])
        if key.keyid != keyid:
            raise DuplicateKeyError(
                f"trust root: key id {keyid[:12]}… is not the id of its key ({key.keyid[:12]}…)",
                hint="One public key has one key id; a second name for it would count it twice.",
            )
        keys[keyid] = key
    return keys


def _parse_grants(body: Mapping[str, Any]) -> tuple[Grant, ...]:
    return tuple(
        Grant(k, parse_time(g["expires"]) if g["expires"] is not None else None)
        for k, g in sorted(body.items())
    )


def _parse_source(name: str, body: Mapping[str, Any]) -> SourcePolicy:
    distinct = body["distinct"]
    if distinct not in ("keys", "principals") or not manifests.is_source_name(name):
        raise ValueError(f"source {name!r}")
    return SourcePolicy(
        name=name,
        signers=_parse_grants(body["signers"]),
        threshold=_integer(body["threshold"], None),
        distinct=distinct,
        policy=parse_policy(body["policy"]),
    )


def parse_policy(body: Mapping[str, Any]) -> Policy:
    """Read a policy object; absent fields take their defaults.

    Raises:
        ValueError: An unknown field, or a value of the wrong type.
    """
    allowed = {*LISTS, *_NUMBERS, *_COUNTS, *_SWITCHES, "tier", "fact_changes"}
    if unknown := body.keys() - allowed:
        raise ValueError(
            f"unknown policy field {min(unknown)!r}; known: {', '.join(sorted(allowed))}"
        )
    values: dict[str, Any] = {}
    for key, value in body.items():
        if key in LISTS:
            if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
                raise ValueError(f"policy {key}: expected a list of strings")
            values[key] = tuple(value)
            if key == "scope":
                scope.check_rules(values[key])
            elif key == "review":
                contract.check_rules(values[key])
        elif key in _NUMBERS:
            if value is None and key == "max_document_bytes":
                raise ValueError("policy max_document_bytes: expected a number")
            try:
                values[key] = value if value is None else _integer(value, 0)
            except ValueError as error:
                raise ValueError(f"policy {key}: {error}") from None
            if value is not None and value >= 2**53:
                raise ValueError(f"policy {key}: {value} is too large")
        elif key in _COUNTS:
            low, high = _COUNTS[key]
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"policy {key}: expected a whole number from {low} to {high}")
            values[key] = value
        elif key == "tier" and value not in ("standard", "low"):
            raise ValueError("policy tier: expected 'standard' or 'low'")
        elif key == "fact_changes" and value not in ("allow", "review", "second-signature"):
            raise ValueError(
                "policy fact_changes: expected 'allow', 'review' or 'second-signature'"
            )
        elif key in _SWITCHES and not isinstance(value, bool):
            raise ValueError(f"policy {key}: expected true or false")
        else:
            values[key] = value
    return Policy(**values)


def check_root(root: Root) -> None:
    """Refuse a root that contradicts itself.

    Raises:
        ZeroThresholdError, DuplicateKeyError, TrustRootError: As named.
    """
    seen: dict[bytes, str] = {}
    for key in root.keys.values():
        if key.public in seen:
            raise DuplicateKeyError(
                f"trust root: one public key under the ids {seen[key.public][:12]}… and "
                f"{key.keyid[:12]}…"
            )
        seen[key.public] = key.keyid
    if len(set(root.root_keyids)) != len(root.root_keyids):
        raise DuplicateKeyError("trust root: a root key is listed twice")
    counts = [("role root", root.root_threshold, set(root.root_keyids))]
    for source in root.sources.values():
        _check_known(root, (g.keyid for g in source.signers), f"source {source.name!r}")
        counts.append((f"source {source.name!r}", source.threshold, holders(root, source)))
    _check_known(root, root.root_keyids, "role root")
    _check_known(root, (g.keyid for g in root.reviewers), "role reviewer")
    for keyid in root.root_keyids:
        if keyid in root.revoked:
            raise TrustRootError(f"trust root: its root key {keyid[:12]}… is revoked")
    for role, threshold, signers in counts:
        if not 1 <= threshold <= len(signers):
            raise ZeroThresholdError(
                f"trust root: {role} asks for {threshold} signatures of {len(signers)} signers",
                hint="A threshold is at least 1 and at most the number of distinct signers.",
            )


def holders(root: Root, source: SourcePolicy) -> set[str]:
    """Tell what a source's threshold counts: its signers' key ids, or their principals."""
    if source.distinct == "principals":
        return {root.keys[g.keyid].principal for g in source.signers}
    return {g.keyid for g in source.signers}


def _check_known(root: Root, keyids: Iterable[str], role: str) -> None:
    for keyid in keyids:
        if keyid not in root.keys:
            raise TrustRootError(f"trust root: {role} names the unknown key {keyid[:12]}…")


def verify_root(
    data: bytes, before: Root | None, *, keys: Mapping[str, PublicKey] | None = None
) -> Root:
    """Verify and read the envelope of a trust root.

    Args:
        before: The root it replaces; `None` only for the first one, which is then trusted on
            first use.
        keys: Only for the first root: the pinned root keys it must be signed by, if any.

    Raises:
        SignatureError, ThresholdError: Not signed by the old or by the new root keys.
        TrustRootRollbackError: Not the version after `before`.
        TrustRootError: Malformed.
    """
    envelope = dsse.parse_envelope(data, max_bytes=2 * MAX_ROOT_BYTES)
    if before is not None:
        _root_signatures(
            envelope, before.keys, before.root_keyids, before.root_threshold, "the root before it"
        )
    elif keys is not None:
        _root_signatures(envelope, keys, tuple(keys), 1, "the pinned root key")
    root = parse_root(envelope.payload)
    _root_signatures(envelope, root.keys, root.root_keyids, root.root_threshold, "itself")
    if before is not None and root.version != before.version + 1:
        raise TrustRootRollbackError(
            f"trust root: version {root.version} cannot follow version {before.version}",
            hint="Roots follow each other one by one; an old one is never taken back.",
        )
    return root


def _root_signatures(
    envelope: Envelope,
    keys: Mapping[str, PublicKey],
    keyids: Iterable[str],
    threshold: int,
    whose: str,
) -> None:
    result = dsse.verify(
        envelope,
        {i: keys[i] for i in keyids if i in keys},
        payload_type=ROOT_TYPE,
        threshold=threshold,
    )
    result.require(f"trust root (against the root keys of {whose})")


def authenticate(
    data: bytes, root: Root, now: datetime, *, max_bytes: int
) -> tuple[Manifest, VerificationResult]:
    """From envelope bytes to a manifest whose signers may speak for its source.

    Any key of the root must have signed before one byte of the payload is parsed; then the
    source's own keys and threshold decide.

    Returns:
        The manifest, and who signed it.

    Raises:
        SignatureError, ThresholdError, SourceKeyError, RevokedKeyError, ExpiredError,
            UnknownSourceError: Not signed as the source demands.
        OversizedError, MalformedError, UnsignedError, PayloadTypeError: No envelope of a manifest.
        PredicateError and the name errors: See `manifest.parse`.
    """
    if root.expires <= now:
        raise ExpiredError(
            f"trust root: version {root.version} expired {format_time(root.expires)}",
            hint="Renew it with `ragguard trust rotate --renew` and the root key.",
        )
    envelope = dsse.parse_envelope(data, max_bytes=max_bytes)
    anyone = dsse.verify(envelope, root.keys, payload_type=dsse.IN_TOTO, threshold=1)
    anyone.require("manifest")
    manifest = manifests.parse(envelope.payload, max_bytes=max_bytes)
    result = _check_source(envelope, manifest.source, anyone, root, now)
    return manifest, result


def _check_source(
    envelope: Envelope, name: str, anyone: VerificationResult, root: Root, now: datetime
) -> VerificationResult:
    source = root.sources.get(name)
    if source is None:
        raise UnknownSourceError(
            f"manifest: the trust root knows no source {name[:64]!r}",
            hint=f"Add it with `ragguard trust add KEY.pub --source {name}`.",
        )
    result = dsse.verify(
        envelope,
        active(source.signers, root, now),
        payload_type=dsse.IN_TOTO,
        threshold=source.threshold,
        distinct=source.distinct,
    )
    if not result:
        _say_why(name, source, result, anyone, root, now)
    result.require(f"manifest of source {name!r}")
    return result


def _say_why(
    name: str,
    source: SourcePolicy,
    result: VerificationResult,
    anyone: VerificationResult,
    root: Root,
    now: datetime,
) -> None:
    """Raise what keeps a manifest out that somebody of the root signed, where it is not a count."""
    granted = {g.keyid: g for g in source.signers}
    for key in anyone.signed:
        if key.keyid in root.revoked:
            raise RevokedKeyError(
                f"manifest of {name!r}: signed by the revoked key {key.keyid[:12]}… of "
                f"{key.principal!r} "
                f"(revoked {format_time(root.revoked[key.keyid].at)})",
                hint="Sign again with a key in force.",
            )
    for key in anyone.signed:
        grant = granted.get(key.keyid)
        if grant is not None and grant.expires is not None and grant.expires <= now:
            raise ExpiredError(
                f"manifest of {name!r}: the leave of key {key.keyid[:12]}… ({key.principal!r}) "
                f"ended {format_time(grant.expires)}",
                hint="Grant it anew with `ragguard trust add`.",
            )
    if not result.signed:
        key = anyone.signed[0]
        raise SourceKeyError(
            f"manifest of {name!r}: signed by {key.principal!r} ({key.keyid[:12]}…), who may not "
            "speak for it",
            hint="`ragguard trust list` shows who may; `ragguard trust add KEY.pub --source "
            f"{name}` allows it.",
        )


def active(grants: Iterable[Grant], root: Root, now: datetime) -> dict[str, PublicKey]:
    """List keys whose grant is in force: not revoked, not expired."""
    return {
        g.keyid: root.keys[g.keyid]
        for g in grants
        if g.keyid not in root.revoked and (g.expires is None or g.expires > now)
    }


def principals_of(root: Root, keyids: Iterable[str]) -> set[str]:
    """List principals behind key ids; a key the root no longer knows stands for itself."""
    return {root.keys[i].principal if i in root.keys else i for i in keyids}
