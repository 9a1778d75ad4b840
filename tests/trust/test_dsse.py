"""DSSE envelopes: who signed, counted once, over exactly these bytes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, Signature, Signer, SSlibKey

from ragguard.errors import (
    MalformedError,
    OversizedError,
    PayloadTypeError,
    SignatureError,
    ThresholdError,
    UnsignedError,
)
from ragguard.model import PublicKey
from ragguard.trust import dsse, keys
from ragguard.trust.dsse import Envelope
from ragguard.trust.keys import KeyPair
from tests.support.people import ALICE, BOB, CAROL, LIMIT, MALLORY, ROBOT, known

TYPE = "application/x-test"
PAYLOAD = '{"text":"hélló"}'.encode()
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the Ed25519 group, RFC 8032


def signed(*pairs: KeyPair, payload: bytes = PAYLOAD, kind: str = TYPE) -> bytes:
    return dsse.sign(payload, kind, [(k.public.keyid, k.signing_key) for k in pairs])


def parsed(data: bytes) -> Envelope:
    return dsse.parse_envelope(data, max_bytes=LIMIT)


def check(
    data: bytes | Envelope, by: dict[str, PublicKey], threshold: int = 1, **rest: Any
) -> dsse.VerificationResult:
    envelope = data if isinstance(data, Envelope) else parsed(data)
    options = {"payload_type": TYPE, "threshold": threshold, **rest}
    return dsse.verify(envelope, by, **options)


def edited(data: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(data), **changes}).encode()


# --- the bytes that are signed ---


def test_pae_is_the_published_example() -> None:
    made = dsse.pae("http://example.com/HelloWorld", b"hello world")
    assert made == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@pytest.mark.parametrize(
    ("kind", "payload", "wanted"),
    [
        ("", b"", b"DSSEv1 0  0 "),
        ("é", b"\x00\xff", b"DSSEv1 2 \xc3\xa9 2 \x00\xff"),
        ("a b", b"c 1 d", b"DSSEv1 3 a b 5 c 1 d"),
    ],
)
def test_pae_counts_bytes_and_takes_any(kind: str, payload: bytes, wanted: bytes) -> None:
    assert dsse.pae(kind, payload) == wanted


def test_the_signature_is_ed25519_over_the_pae() -> None:
    ((keyid, signature),) = parsed(signed(ALICE)).signatures
    assert keyid == ALICE.public.keyid
    message = dsse.pae(TYPE, PAYLOAD)
    assert ALICE.signing_key.verify_key.verify(message, signature) == message


# --- verification ---


def test_an_honest_envelope_verifies_and_says_who_signed() -> None:
    result = check(signed(ALICE, BOB), known(ALICE, BOB, CAROL), 2)
    assert result
    assert result.payload == PAYLOAD
    assert {k.principal for k in result.signed} == {"alice", "bob"}
    assert [k.keyid for k in result.signed] == sorted(k.keyid for k in result.signed)
    assert (result.unknown, result.counted, result.missing) == ((), 2, 0)
    result.require("it")


def test_more_signatures_than_needed_are_fine() -> None:
    assert check(signed(ALICE, BOB, CAROL), known(ALICE, BOB, CAROL), 2).counted == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"payload": base64.b64encode(PAYLOAD + b" ").decode()}, id="payload"),
        pytest.param({"payload": ""}, id="empty-payload"),
    ],
)
def test_a_changed_payload_verifies_by_no_key(change: dict[str, str]) -> None:
    result = check(edited(signed(ALICE), **change), known(ALICE))
    assert not result
    assert result.signed == ()
    assert result.unknown == (ALICE.public.keyid,)
    with pytest.raises(SignatureError, match="it: none of its 1 signatures") as caught:
        result.require("it")
    assert "trust root" in caught.value.hint


def test_a_signature_over_another_payload_type_does_not_verify() -> None:
    other = signed(ALICE, kind="application/x-other")
    for by in (known(ALICE), {}):  # the type is compared before any signature
        with pytest.raises(PayloadTypeError, match="'application/x-other', expected"):
            check(other, by)
    assert not check(edited(other, payloadType=TYPE), known(ALICE))


def flipped(bit: int) -> Any:
    return lambda s: (int.from_bytes(s, "little") ^ 1 << bit).to_bytes(64, "little")


def respelt(signature: bytes) -> bytes:
    """S + L verifies where S does unless the verifier bounds S (RFC 8032, section 5.1.7)."""
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + scalar.to_bytes(32, "little")


def resized(length: int) -> Any:
    return lambda s: (s + dsse.pae(TYPE, PAYLOAD) + bytes(128))[:length]


@pytest.mark.parametrize(
    "change",
    [
        *(pytest.param(flipped(bit), id=f"bit {bit}") for bit in (0, 100, 255, 256, 400, 511)),
        pytest.param(respelt, id="the other spelling"),
        *(pytest.param(resized(n), id=f"{n} bytes") for n in (0, 1, 32, 63, 65, 128)),
    ],
)
def test_a_signature_that_is_another_in_any_way_verifies_by_nobody(change: Any) -> None:
    envelope = parsed(signed(ALICE))
    ((keyid, signature),) = envelope.signatures
    assert change(signature) != signature
    assert not check(replace(envelope, signatures=((keyid, change(signature)),)), known(ALICE))


def test_moving_a_byte_from_payload_to_signature_does_not_verify() -> None:
    whole = parsed(signed(ALICE)).signatures[0][1] + dsse.pae(TYPE, PAYLOAD)
    for length in (63, 65):
        moved = Envelope(TYPE, PAYLOAD, (("", whole[:length]),))
        assert not check(moved, known(ALICE))


def test_a_key_that_is_not_given_is_ignored_not_counted_and_reported() -> None:
    result = check(signed(ALICE, MALLORY), known(ALICE, BOB), 2)
    assert not result
    assert [k.principal for k in result.signed] == ["alice"]
    assert result.unknown == (MALLORY.public.keyid,)
    with pytest.raises(ThresholdError, match="1 of 2 needed distinct keys") as caught:
        result.require("it")
    assert "--add-signature" in caught.value.hint


# --- key ids are hints ---


@pytest.mark.parametrize(
    "hint",
    [
        pytest.param("", id="empty"),
        pytest.param("anything", id="unknown"),
        pytest.param(BOB.public.keyid, id="of-another-trusted-key"),
        pytest.param(MALLORY.public.keyid, id="of-an-untrusted-key"),
    ],
)
def test_a_wrong_key_id_changes_nothing(hint: str) -> None:
    data = dsse.sign(PAYLOAD, TYPE, [(hint, ALICE.signing_key)])
    result = check(data, known(ALICE, BOB))
    assert result
    assert [k.principal for k in result.signed] == ["alice"]


def test_a_missing_key_id_changes_nothing() -> None:
    body = json.loads(signed(ALICE))
    del body["signatures"][0]["keyid"]
    assert check(json.dumps(body).encode(), known(ALICE))


def test_claiming_a_trusted_key_id_does_not_help_an_untrusted_key() -> None:
    data = dsse.sign(PAYLOAD, TYPE, [(ALICE.public.keyid, MALLORY.signing_key)])
    result = check(data, known(ALICE))
    assert not result
    assert result.unknown == (ALICE.public.keyid,)


# --- one key counts once ---


def test_one_key_under_two_key_ids_counts_once() -> None:
    pairs = [(ALICE.public.keyid, ALICE.signing_key), ("other", ALICE.signing_key)]
    result = check(dsse.sign(PAYLOAD, TYPE, pairs), known(ALICE, BOB), 2)
    assert not result
    assert (result.counted, result.missing) == (1, 1)
    assert result.unknown == ()
    with pytest.raises(ThresholdError, match="one key counts once"):
        result.require("it")


def test_one_public_key_listed_under_two_ids_counts_once() -> None:
    twice = {"one": ALICE.public, "two": replace(ALICE.public, keyid="two")}
    pairs = [("one", ALICE.signing_key), ("two", ALICE.signing_key)]
    result = check(dsse.sign(PAYLOAD, TYPE, pairs), twice, 2)
    assert not result
    assert result.counted == 1


def test_two_keys_of_one_principal_count_as_two_keys_and_one_principal() -> None:
    data, by = signed(ALICE, ROBOT), known(ALICE, ROBOT)
    assert check(data, by, 2)
    result = check(data, by, 2, distinct="principals")
    assert not result
    assert result.counted == 1
    with pytest.raises(ThresholdError, match="1 of 2 needed distinct principals"):
        result.require("it")


def test_two_principals_meet_a_threshold_of_two_principals() -> None:
    assert check(signed(ALICE, BOB), known(ALICE, BOB), 2, distinct="principals")


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_threshold_below_one_is_never_met(threshold: int) -> None:
    result = check(signed(ALICE), known(ALICE), threshold)
    assert not result
    with pytest.raises(ThresholdError):
        result.require("it")
    empty = check(signed(MALLORY), {}, threshold)
    assert not empty
    assert empty.missing == 0
    with pytest.raises(SignatureError):
        empty.require("it")


def test_no_keys_verify_nothing() -> None:
    assert not check(signed(ALICE), {})


# --- adding a signature ---


def test_a_second_signature_is_added_to_the_same_payload() -> None:
    data = dsse.add_signature(signed(ALICE), BOB.public.keyid, BOB.signing_key, max_bytes=LIMIT)
    assert check(data, known(ALICE, BOB), 2)
    assert parsed(data).payload == PAYLOAD


def test_signing_again_by_the_same_key_adds_nothing() -> None:
    data = dsse.add_signature(signed(ALICE, BOB), "again", ALICE.signing_key, max_bytes=LIMIT)
    assert [keyid for keyid, _ in parsed(data).signatures] == [BOB.public.keyid, "again"]


def test_no_signature_is_added_to_what_is_no_envelope() -> None:
    with pytest.raises(MalformedError):
        dsse.add_signature(b"{}", "x", ALICE.signing_key, max_bytes=LIMIT)
    with pytest.raises(OversizedError):
        dsse.add_signature(signed(ALICE), "x", ALICE.signing_key, max_bytes=10)


# --- envelopes ---


def test_an_envelope_is_canonical_json_in_a_line() -> None:
    data = signed(ALICE)
    assert data.endswith(b"}\n")
    assert data.count(b"\n") == 1
    assert list(json.loads(data)) == ["payload", "payloadType", "signatures"]
    assert dsse.dump_envelope(parsed(data)) == data


def test_url_safe_base64_is_read_as_the_specification_asks() -> None:
    payload = bytes(range(256)) * 3
    data = signed(ALICE, payload=payload)
    body = json.loads(data)
    body["payload"] = base64.urlsafe_b64encode(payload).decode()
    sig = base64.b64decode(body["signatures"][0]["sig"])
    body["signatures"][0]["sig"] = base64.urlsafe_b64encode(sig).decode()
    assert "-" in body["payload"]
    assert check(json.dumps(body).encode(), known(ALICE)).payload == payload


def test_unknown_fields_of_an_envelope_are_ignored() -> None:
    body = json.loads(signed(ALICE))
    body["more"] = [1]
    body["signatures"][0]["cert"] = "x"
    assert check(json.dumps(body).encode(), known(ALICE))


SIG = base64.b64encode(bytes(64)).decode()
GOOD: dict[str, Any] = {"payload": "YQ==", "payloadType": TYPE, "signatures": [{"sig": SIG}]}


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in GOOD.items() if k != key}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param([], "expected a DSSE object", id="list"),
        pytest.param("x", "expected a DSSE object", id="string"),
        pytest.param(without("payload"), "expected a DSSE object", id="no-payload"),
        pytest.param(without("payloadType"), "expected a DSSE object", id="no-type"),
        pytest.param(without("signatures"), "expected a DSSE object", id="no-signatures"),
        pytest.param({**GOOD, "payloadType": 1}, "payloadType must be a string", id="type-number"),
        pytest.param({**GOOD, "signatures": {}}, "signatures a list", id="signatures-object"),
        pytest.param({**GOOD, "signatures": ["x"]}, "a signature is an object", id="sig-string"),
        pytest.param(
            {**GOOD, "signatures": [{"sig": SIG, "keyid": 1}]}, "is an object with", id="id-number"
        ),
        pytest.param({**GOOD, "signatures": [{}]}, "sig is not a base64", id="no-sig"),
        pytest.param({**GOOD, "signatures": [{"sig": 1}]}, "sig is not a base64", id="sig-number"),
        pytest.param({**GOOD, "signatures": [{"sig": SIG}] * 65}, "at most 64", id="65-signatures"),
        pytest.param({**GOOD, "payload": None}, "payload is not a base64 string", id="null"),
        pytest.param({**GOOD, "payload": "YQ"}, "not canonical base64", id="no-padding"),
        pytest.param({**GOOD, "payload": "YQ==="}, "not canonical base64", id="too-much-padding"),
        pytest.param({**GOOD, "payload": "YR=="}, "not canonical base64", id="stray-bits"),
        pytest.param({**GOOD, "payload": "YQ==\n"}, "not canonical base64", id="newline"),
        pytest.param({**GOOD, "payload": " YQ=="}, "not canonical base64", id="space"),
        pytest.param({**GOOD, "payload": "+_8="}, "not canonical base64", id="mixed-alphabets"),
        pytest.param({**GOOD, "payload": "é"}, "not canonical base64", id="not-ascii"),
        pytest.param({**GOOD, "x": [[[[1]]]]}, "nested deeper", id="deep"),
    ],
)
def test_what_is_no_envelope_is_refused(body: Any, says: str) -> None:
    assert parsed(json.dumps(GOOD).encode()).payload == b"a"
    with pytest.raises(MalformedError, match=says):
        parsed(json.dumps(body).encode())


def test_sixty_four_signatures_are_read() -> None:
    body = {**GOOD, "signatures": [{"sig": SIG}] * 64}
    assert len(parsed(json.dumps(body).encode()).signatures) == 64


def test_an_envelope_without_a_signature_is_unsigned() -> None:
    with pytest.raises(UnsignedError, match="no signature"):
        parsed(json.dumps({**GOOD, "signatures": []}).encode())


def test_an_oversized_envelope_is_not_parsed() -> None:
    with pytest.raises(OversizedError, match="envelope: 2000 bytes"):
        dsse.parse_envelope(b"[" * 2000, max_bytes=1999)


@pytest.mark.parametrize("data", [b"", b"not json", b"\xff\xfe", b'{"payload":"a","payload":"b"}'])
def test_broken_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError, match="envelope"):
        parsed(data)


# --- securesystemslib, another implementation ---


def their_key(pair: KeyPair) -> SSlibKey:
    public = {"public": pair.public.public.hex()}
    return SSlibKey(pair.public.keyid, "ed25519", "ed25519", public)


class NaclSigner(Signer):
    """Their interface over a key of ours; their own signer needs another library."""

    def __init__(self, pair: KeyPair) -> None:
        self.pair = pair

    @property
    def public_key(self) -> Key:
        return their_key(self.pair)

    @classmethod
    def from_priv_key_uri(cls, *_: Any) -> Signer:
        raise NotImplementedError

    def sign(self, payload: bytes) -> Signature:
        return Signature(
            self.pair.public.keyid, self.pair.signing_key.sign(payload).signature.hex()
        )


def test_our_key_ids_are_theirs() -> None:
    from securesystemslib.signer._utils import compute_default_keyid

    public = {"public": ALICE.public.public.hex()}
    assert compute_default_keyid("ed25519", "ed25519", public) == ALICE.public.keyid


def test_securesystemslib_accepts_our_envelopes() -> None:
    theirs = TheirEnvelope.from_dict(json.loads(signed(ALICE, BOB)))
    assert theirs.payload == PAYLOAD
    assert theirs.pae() == dsse.pae(TYPE, PAYLOAD)
    accepted = theirs.verify([their_key(ALICE), their_key(BOB)], 2)
    assert set(accepted) == {ALICE.public.keyid, BOB.public.keyid}


def test_securesystemslib_refuses_our_envelope_when_it_was_changed() -> None:
    theirs = TheirEnvelope.from_dict(json.loads(signed(ALICE)))
    theirs.payload += b" "
    with pytest.raises(VerificationError):
        theirs.verify([their_key(ALICE)], 1)


def test_we_accept_envelopes_of_securesystemslib() -> None:
    theirs = TheirEnvelope(PAYLOAD, TYPE, {})
    for pair in (ALICE, BOB):
        theirs.sign(NaclSigner(pair))
    result = check(json.dumps(theirs.to_dict()).encode(), known(ALICE, BOB), 2)
    assert result
    assert result.payload == PAYLOAD


def test_we_accept_envelopes_signed_by_its_own_signer() -> None:
    pytest.importorskip("cryptography", reason="securesystemslib signs only with `cryptography`")
    from securesystemslib.signer import CryptoSigner

    signer = CryptoSigner.generate_ed25519()
    public = bytes.fromhex(signer.public_key.keyval["public"])
    theirs = TheirEnvelope(PAYLOAD, TYPE, {})
    theirs.sign(signer)
    key = keys.check_public(public, "them")
    assert key.keyid == signer.public_key.keyid
    assert check(json.dumps(theirs.to_dict()).encode(), {key.keyid: key})
