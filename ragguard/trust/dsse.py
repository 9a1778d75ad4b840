"""Sign DSSE envelopes with Ed25519, and verify k of n signatures.

Rules (https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md):

1. The signature is over PAE(payload type, payload bytes); nothing is parsed before it is verified.
2. `keyid` is an unauthenticated hint. It orders the attempts and decides nothing.
3. One key counts once, however many signatures or key ids it comes under; where the policy says
   so, one principal counts once.
4. Signatures by unknown keys are ignored, never counted, and reported.

Envelope JSON is strict (see `trust.strict_json`). The payload may be base64 in the standard or
the URL-safe alphabet; only canonical encodings are taken, so that one payload has one spelling in
each.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nacl.bindings import crypto_sign_BYTES, crypto_sign_open
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey

from ragguard.errors import (
    LogError,
    MalformedError,
    PayloadTypeError,
    SignatureError,
    ThresholdError,
    UnsignedError,
)
from ragguard.model import PublicKey
from ragguard.trust import signed_note, strict_json
from ragguard.trust.canonical import canonical
from ragguard.trust.person import persons

IN_TOTO = "application/vnd.in-toto+json"
MAX_SIGNATURES = 64


@dataclass(frozen=True)
class Envelope:
    """A parsed envelope whose signatures nobody has checked yet.

    Attributes:
        signatures: Pairs of key id (a hint) and 64 signature bytes.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class VerificationResult:
    """Who signed, how many are still missing. Truthy when the threshold is met.

    Attributes:
        payload: The signed bytes.
        signed: Distinct trusted keys whose signature verified, in key id order.
        unknown: Key id hints of signatures that no given key made.
        threshold: How many were asked.
        counted: How many count: distinct keys, or distinct principals.
        distinct: What was counted.
    """

    payload: bytes
    signed: tuple[PublicKey, ...]
    unknown: tuple[str, ...]
    threshold: int
    counted: int
    distinct: str

    def __bool__(self) -> bool:
        return 0 < self.threshold <= self.counted

    @property
    def missing(self) -> int:
        """How many more signatures are needed."""
        return max(0, self.threshold - self.counted)

    def require(self, name: str) -> None:
        """Raise unless verified.

        Args:
            name: Named in the error, such as `manifest of source 'wiki'`.

        Raises:
            SignatureError: No trusted key signed.
            ThresholdError: Some did, but too few.
        """
        if self:
            return
        if not self.signed:
            raise SignatureError(
                f"{name}: none of its {len(self.unknown)} signatures is by a trusted key over "
                "these bytes",
                hint="The payload was changed after signing, or the signer is not in the trust "
                "root "
                "(ragguard trust list).",
            )
        raise ThresholdError(
            f"{name}: {self.counted} of {self.threshold} needed {self.distinct} signed "
            "(one key counts once)",
            hint="Collect the missing signatures with `ragguard sign --add-signature`.",
        )


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding, the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, keys: Sequence[tuple[str, SigningKey]]) -> bytes:
    """Make an envelope.

    Returns:
        Envelope JSON.
    """
    message = pae(payload_type, payload)
    signatures = [(keyid, bytes(key.sign(message).signature)) for keyid, key in keys]
    return dump_envelope(Envelope(payload_type, payload, tuple(signatures)))


def add_signature(envelope: bytes, keyid: str, key: SigningKey, *, max_bytes: int) -> bytes:
    """Sign the same payload with one more key.

    Returns:
        Envelope JSON with the signature added.

    Raises:
        MalformedError: Not an envelope.
    """
    parsed = parse_envelope(envelope, max_bytes=max_bytes)
    signature = bytes(key.sign(pae(parsed.payload_type, parsed.payload)).signature)
    kept = tuple(s for s in parsed.signatures if s[1] != signature)
    return dump_envelope(Envelope(parsed.payload_type, parsed.payload, (*kept, (keyid, signature))))


def dump_envelope(envelope: Envelope) -> bytes:
    """Envelope JSON bytes."""
    body = {
        "payload": base64.b64encode(envelope.payload).decode(),
        "payloadType": envelope.payload_type,
        "signatures": [
            {"keyid": keyid, "sig": base64.b64encode(sig).decode()}
            for keyid, sig in envelope.signatures
        ],
    }
    return canonical(body) + b"\n"


def _base64(value: Any, name: str) -> bytes:
    if not isinstance(value, str):
        raise MalformedError(f"envelope: {name} is not a base64 string")
    alphabets = ((b"+/", base64.b64encode), (b"-_", base64.urlsafe_b64encode))
    for altchars, encode in alphabets:
        try:
            raw = base64.b64decode(value, altchars=altchars, validate=True)
        except (binascii.Error, ValueError):
            continue
        if encode(raw).decode() == value:
            return raw
    raise MalformedError(f"envelope: {name} is not canonical base64")


def parse_envelope(data: bytes, *, max_bytes: int) -> Envelope:
    """Parse an envelope without believing it.

    Raises:
        OversizedError: Too large.
        MalformedError: Not an envelope.
        UnsignedError: No signatures.
    """
    body = strict_json.parse(data, what="envelope", max_bytes=max_bytes, max_depth=4)
    if not isinstance(body, dict) or not {"payload", "payloadType", "signatures"} <= body.keys():
        raise MalformedError(
            "envelope: expected a DSSE object with payload, payloadType and signatures",
            hint="A manifest is made with `ragguard sign`.",
        )
    kind, listed = body["payloadType"], body["signatures"]
    if not isinstance(kind, str) or not isinstance(listed, list):
        raise MalformedError("envelope: payloadType must be a string and signatures a list")
    if not listed:
        raise UnsignedError("envelope: carries no signature", hint="Sign it with `ragguard sign`.")
    if len(listed) > MAX_SIGNATURES:
        raise MalformedError(f"envelope: {len(listed)} signatures, at most {MAX_SIGNATURES}")
    signatures: list[tuple[str, bytes]] = []
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("keyid", ""), str):
            raise MalformedError("envelope: a signature is an object with keyid and sig")
        signatures.append((entry.get("keyid", ""), _base64(entry.get("sig"), "sig")))
    return Envelope(kind, _base64(body["payload"], "payload"), tuple(signatures))


def _made_by(key: PublicKey, message: bytes, signature: bytes) -> bool:
    if len(signature) != crypto_sign_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, key.public)
    except BadSignatureError:
        return False
    return True


def verify(
    envelope: Envelope,
    keys: Mapping[str, PublicKey],
    *,
    payload_type: str,
    threshold: int,
    distinct: Literal["keys", "principals"] = "keys",
) -> VerificationResult:
    """Check an envelope against a set of keys.

    Args:
        envelope: Parsed, unverified.
        keys: Trusted keys by key id.
        payload_type: The type expected.
        threshold: How many distinct signers are needed.
        distinct: Whether keys or principals are counted; names that look alike are one.

    Returns:
        A result that is truthy when the threshold is met. With a threshold below 1 it never is.

    Raises:
        PayloadTypeError: Another payload type; checked before any signature.
    """
    if envelope.payload_type != payload_type:
        raise PayloadTypeError(
            f"envelope: payload type {envelope.payload_type[:80]!r}, expected {payload_type!r}"
        )
    message = pae(envelope.payload_type, envelope.payload)
    signed: dict[bytes, PublicKey] = {}
    unknown: list[str] = []
    for hint, signature in envelope.signatures:
        first = [keys[hint]] if hint in keys else []
        others = (k for keyid, k in sorted(keys.items()) if keyid != hint)
        for key in (*first, *others):
            if _made_by(key, message, signature):
                signed[key.public] = key
                break
        else:
            unknown.append(hint)
    by_id = tuple(sorted(signed.values(), key=lambda k: k.keyid))
    counted = len(persons(k.principal for k in by_id)) if distinct == "principals" else len(by_id)
    return VerificationResult(
        envelope.payload, by_id, tuple(unknown), threshold, counted, f"distinct {distinct}"
    )


def sign_note(text: str, name: str, key: SigningKey) -> str:
    """Sign a C2SP note with one key."""
    signature = bytes(key.sign(text.encode()).signature)
    keyid = signed_note.key_id(name, bytes(key.verify_key))
    return signed_note.assemble(text, [signed_note.NoteSignature(name, keyid, signature)])


def open_note(signed: str, name: str, public: bytes) -> str:
    """Verify a C2SP note by one key.

    Returns:
        Its text.

    Raises:
        LogError: Malformed, or the key did not sign it.
    """
    text, signatures = signed_note.split(signed)
    keyid = signed_note.key_id(name, public)
    for line in signatures:
        if line.name == name and line.key_id == keyid:
            if not _made_by(PublicKey(keyid.hex(), public, name), text.encode(), line.signature):
                raise LogError(f"checkpoint: signature by {name!r} does not verify")
            return text
    raise LogError(f"checkpoint: not signed by {name!r}")


__all__ = [
    "IN_TOTO",
    "Envelope",
    "VerificationResult",
    "add_signature",
    "open_note",
    "pae",
    "parse_envelope",
    "sign",
    "sign_note",
    "verify",
]
