"""Key files: what is written is read, and anything else is a key file error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nacl import pwhash
from nacl.signing import SigningKey

from ragguard.errors import KeyFileError
from ragguard.trust import keys
from ragguard.trust.canonical import digest
from ragguard.trust.keys import KeyPair

PAIR = keys.pair(SigningKey(bytes(range(32))), "alice")
PRIVATE = keys.dump_private(PAIR, None)
PUBLIC = keys.dump_public(PAIR.public)

# RFC 8032, section 7.1: seed, public key, message, signature.
RFC_8032 = [
    pytest.param(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
        "1cf9b46bd25bf5f0595bbe24655141438e7a100b",
        id="test-1",
    ),
    pytest.param(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
        "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        id="test-2",
    ),
    pytest.param(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
        "984dc6594a7c15e9716ed28dc027beceea1ec40a",
        id="test-3",
    ),
]


def changed(data: bytes, **values: Any) -> bytes:
    return json.dumps({**json.loads(data), **values}).encode()


def without(data: bytes, key: str) -> bytes:
    body = json.loads(data)
    del body[key]
    return json.dumps(body).encode()


@pytest.fixture(scope="module")
def locked() -> bytes:
    """A private key file under a passphrase (one second of Argon2id)."""
    return keys.dump_private(PAIR, b"correct horse")


# --- Ed25519 ---


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_a_key_file_with_a_published_seed_signs_as_published(
    seed: str, public: str, message: str, signature: str
) -> None:
    pair = keys.pair(SigningKey(bytes.fromhex(seed)), "rfc")
    pair = keys.load_private(keys.dump_private(pair, None), None)
    assert pair.public.public.hex() == public
    assert pair.signing_key.sign(bytes.fromhex(message)).signature.hex() == signature


def test_the_key_id_is_the_digest_of_the_tuf_key_object() -> None:
    body = {
        "keytype": "ed25519",
        "keyval": {"public": PAIR.public.public.hex()},
        "scheme": "ed25519",
    }
    assert PAIR.public.keyid == digest(body) == keys.keyid(PAIR.public.public)


def test_generated_keys_differ() -> None:
    one, two = keys.generate("alice"), keys.generate("alice")
    assert one.public.keyid != two.public.keyid
    assert one.public.principal == "alice"


# --- principals ---


@pytest.mark.parametrize("name", ["a", "alice", "Zoë", "李", "ci-bot@example.org", "_x", "x" * 64])
def test_a_principal_may_be_called_so(name: str) -> None:
    assert keys.check_principal(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a\n", "a\nb", "-a", ".a", "@a", "a/b", "a\x1b[1m", "a:b", "x" * 65, "a\u202e"],
)
def test_a_principal_may_not_be_called_so(name: str) -> None:
    with pytest.raises(KeyFileError, match="expected 1 to 64"):
        keys.generate(name)


# --- public key files ---


def test_a_public_key_file_is_read_back() -> None:
    assert keys.load_public(PUBLIC) == PAIR.public
    assert PUBLIC.endswith(b"}\n")
    assert bytes(PAIR.signing_key).hex().encode() not in PUBLIC


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\xff", "not UTF-8", id="not-utf-8"),
        pytest.param(b"[]", "found 'list'", id="list"),
        pytest.param(b"{}", "found 'None'", id="no-format"),
        pytest.param(b'{"a": 1, "a": 2}', "stands twice", id="duplicate"),
        pytest.param(b"[[[[[]]]]]", "nested deeper", id="deep"),
        pytest.param(PRIVATE, "found 'ragguard-private-key-v1'", id="private-file"),
        pytest.param(changed(PUBLIC, format=["x" * 100]), "expected format", id="format-list"),
        pytest.param(without(PUBLIC, "keyval"), "no Ed25519 key", id="no-key"),
        pytest.param(changed(PUBLIC, keyval=[]), "no Ed25519 key", id="key-list"),
        pytest.param(changed(PUBLIC, keyval={"public": 7}), "no Ed25519 key", id="key-number"),
        pytest.param(changed(PUBLIC, keyval={"public": "xyz"}), "no Ed25519 key", id="not-hex"),
        pytest.param(
            changed(PUBLIC, keyval={"public": PAIR.public.public.hex()[2:]}),
            "not a valid Ed25519 point",
            id="31-bytes",
        ),
        pytest.param(without(PUBLIC, "principal"), "no Ed25519 key", id="no-principal"),
        pytest.param(changed(PUBLIC, principal=7), "no Ed25519 key", id="principal-number"),
        pytest.param(changed(PUBLIC, principal="a b"), "expected 1 to 64", id="bad-principal"),
        pytest.param(changed(PUBLIC, keyid="0" * 64), "not the key's", id="key-id-of-another"),
        pytest.param(without(PUBLIC, "keyid"), "not the key's", id="no-key-id"),
    ],
)
def test_what_is_no_public_key_file_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(KeyFileError, match=says) as caught:
        keys.load_public(data)
    assert caught.value.message.startswith(("public key", "principal"))


def test_a_key_file_above_its_limit_is_refused() -> None:
    padded = changed(PUBLIC, padding="x" * keys.MAX_KEY_BYTES)
    with pytest.raises(KeyFileError, match=r"at most 16384"):
        keys.load_public(padded)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("01" + "00" * 31, id="identity"),
        pytest.param("00" * 32, id="order-4"),
        pytest.param(
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", id="order-2"
        ),
        pytest.param(
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", id="order-8"
        ),
        pytest.param(
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", id="not-reduced"
        ),
        pytest.param("02" + "00" * 31, id="not-on-the-curve"),
    ],
)
def test_a_point_that_would_verify_anything_is_no_key(point: str) -> None:
    with pytest.raises(KeyFileError, match="not a valid Ed25519 point"):
        keys.check_public(bytes.fromhex(point), "alice")


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_public_key_has_32_bytes(length: int) -> None:
    with pytest.raises(KeyFileError, match="not a valid Ed25519 point"):
        keys.check_public(bytes(length), "alice")


# --- private key files ---


def same(pair: KeyPair) -> bool:
    return pair.public == PAIR.public and bytes(pair.signing_key) == bytes(PAIR.signing_key)


def test_a_private_key_file_in_the_clear_is_read_back() -> None:
    assert same(keys.load_private(PRIVATE, None))
    assert same(keys.load_private(PRIVATE, b"unused passphrase"))
    assert not keys.is_encrypted(PRIVATE)


def test_a_private_key_file_under_a_passphrase_is_read_back_with_it_only(locked: bytes) -> None:
    assert keys.is_encrypted(locked)
    assert bytes(PAIR.signing_key).hex().encode() not in locked
    assert same(keys.load_private(locked, b"correct horse"))
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        keys.load_private(locked, b"wrong horse")


def test_an_encrypted_file_without_a_passphrase_says_how_to_give_one(locked: bytes) -> None:
    with pytest.raises(KeyFileError, match="none was given") as caught:
        keys.load_private(locked, None)
    assert "RAGGUARD_PASSPHRASE_FILE" in caught.value.hint


def test_the_file_names_libsodium_s_moderate_limits_and_a_fresh_salt(locked: bytes) -> None:
    kdf = json.loads(locked)["kdf"]
    assert kdf["name"] == "argon2id13"
    assert kdf["opslimit"] == pwhash.argon2id.OPSLIMIT_MODERATE
    assert kdf["memlimit"] == pwhash.argon2id.MEMLIMIT_MODERATE
    again = json.loads(keys.dump_private(PAIR, b"correct horse"))
    assert again["kdf"]["salt"] != kdf["salt"]
    assert again["secretbox"] != json.loads(locked)["secretbox"]


def cheap(**kdf: Any) -> bytes:
    """An encrypted file whose derivation is cheap."""
    salt = bytes(16)
    derived = pwhash.argon2id.kdf(32, b"pw", salt, 1, 8192)
    from nacl.secret import SecretBox

    box = bytes(SecretBox(derived).encrypt(bytes(PAIR.signing_key), bytes(24)))
    body = {"name": "argon2id13", "opslimit": 1, "memlimit": 8192, "salt": salt.hex(), **kdf}
    return changed(without(PRIVATE, "seed"), kdf=body, secretbox=box.hex())


def test_the_limits_in_the_file_are_the_ones_used() -> None:
    assert same(keys.load_private(cheap(), b"pw"))


@pytest.mark.parametrize(
    ("kdf", "says"),
    [
        pytest.param({"name": "scrypt"}, "out of bounds", id="other-function"),
        pytest.param({"opslimit": 0}, "out of bounds", id="no-operations"),
        pytest.param({"opslimit": 17}, "out of bounds", id="too-many-operations"),
        pytest.param({"memlimit": 8191}, "out of bounds", id="too-little-memory"),
        pytest.param({"memlimit": (1 << 30) + 1}, "out of bounds", id="too-much-memory"),
        pytest.param({"opslimit": "x"}, "damaged", id="operations-not-a-number"),
        pytest.param({"opslimit": None}, "damaged", id="operations-null"),
        pytest.param({"salt": "00"}, "damaged|wrong", id="short-salt"),
        pytest.param({"salt": "zz"}, "damaged", id="salt-not-hex"),
        pytest.param({"salt": "11" * 16}, "wrong passphrase", id="other-salt"),
        pytest.param({"opslimit": 2}, "wrong passphrase", id="other-operations"),
    ],
)
def test_a_changed_key_derivation_is_refused(kdf: dict[str, Any], says: str) -> None:
    with pytest.raises(KeyFileError, match=says):
        keys.load_private(cheap(**kdf), b"pw")


def test_a_limit_beyond_any_number_is_refused() -> None:
    data = cheap().replace(b'"opslimit": 1', b'"opslimit": 1e999')
    with pytest.raises(KeyFileError, match="private key file"):
        keys.load_private(data, b"pw")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(PUBLIC, "found 'ragguard-public-key-v1'", id="public-file"),
        pytest.param(without(PRIVATE, "seed"), "damaged", id="no-seed"),
        pytest.param(changed(PRIVATE, seed="00"), "damaged", id="short-seed"),
        pytest.param(changed(PRIVATE, seed="zz" * 32), "damaged", id="seed-not-hex"),
        pytest.param(changed(PRIVATE, seed=7), "damaged", id="seed-number"),
        pytest.param(changed(PRIVATE, seed="00" * 32), "does not belong", id="other-seed"),
        pytest.param(changed(PRIVATE, keyid="0" * 64), "does not belong", id="other-key-id"),
        pytest.param(without(PRIVATE, "keyid"), "does not belong", id="no-key-id"),
        pytest.param(without(PRIVATE, "principal"), "damaged", id="no-principal"),
        pytest.param(changed(PRIVATE, principal=7), "damaged", id="principal-number"),
        pytest.param(changed(PRIVATE, principal=""), "expected 1 to 64", id="no-name"),
        pytest.param(changed(PRIVATE, secretbox="00"), "damaged", id="box-without-kdf"),
        pytest.param(changed(cheap(), kdf=[]), "damaged", id="kdf-list"),
        pytest.param(changed(cheap(), secretbox="zz"), "damaged", id="box-not-hex"),
        pytest.param(changed(cheap(), secretbox="00" * 10), "wrong passphrase", id="short-box"),
        pytest.param(changed(cheap(), secretbox=7), "damaged", id="box-number"),
    ],
)
def test_what_is_no_private_key_file_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(KeyFileError, match=says):
        keys.load_private(data, b"pw")


def test_only_a_private_key_file_can_be_asked_whether_it_is_encrypted() -> None:
    with pytest.raises(KeyFileError, match="expected format") as caught:
        keys.is_encrypted(PUBLIC)
    assert "ragguard key generate" in caught.value.hint
