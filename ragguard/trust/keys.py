"""Read and write Ed25519 key files, the private half optionally under a passphrase.

A public key file is a TUF-style key object plus the principal's name. A private key file holds
the 32-byte seed, either in the clear or in a libsodium secretbox (XSalsa20-Poly1305) under
Argon2id (RFC 9106) with libsodium's MODERATE limits, which are written into the file. Here are
only the bytes; reading, writing and file modes are the workspace's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nacl import pwhash, secret, utils
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from ragguard.errors import KeyFileError, MalformedError, OversizedError
from ragguard.model import PublicKey
from ragguard.trust import strict_json
from ragguard.trust.canonical import canonical, digest

MAX_KEY_BYTES = 16_384
PRIVATE_FORMAT = "ragguard-private-key-v1"
PUBLIC_FORMAT = "ragguard-public-key-v1"
_PRINCIPAL = re.compile(r"\w[\w.@-]{0,63}", re.UNICODE)
_MAX_MEMORY = 1 << 30
_MAX_OPS = 16


@dataclass(frozen=True)
class KeyPair:
    """A private key and its public half."""

    signing_key: SigningKey
    public: PublicKey


def key_object(public: bytes) -> dict[str, Any]:
    """Return the TUF key object whose canonical digest is the key id."""
    return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public.hex()}}


def keyid(public: bytes) -> str:
    """Key id of a public key: SHA-256 of its canonical TUF key object."""
    return digest(key_object(public))


def check_principal(name: str) -> str:
    """Return a principal's name if allowed: 1 to 64 letters, digits, `_`, `.`, `@`, `-`.

    Raises:
        KeyFileError: Not allowed.
    """
    if not _PRINCIPAL.fullmatch(name):
        raise KeyFileError(
            f"principal {name!r}: expected 1 to 64 letters, digits, '_', '.', '@' or '-'"
        )
    return name


def generate(principal: str) -> KeyPair:
    """Make a key pair for a principal.

    Raises:
        KeyFileError: The name is not allowed.
    """
    signing_key = SigningKey.generate()
    return pair(signing_key, check_principal(principal))


def pair(signing_key: SigningKey, principal: str) -> KeyPair:
    """Return a private key with its public half."""
    public = bytes(signing_key.verify_key)
    return KeyPair(signing_key, PublicKey(keyid(public), public, principal))


def dump_public(key: PublicKey) -> bytes:
    """Return the bytes of a public key file."""
    body = {
        "format": PUBLIC_FORMAT,
        "keyid": key.keyid,
        "principal": key.principal,
        **key_object(key.public),
    }
    return canonical(body) + b"\n"


def load_public(data: bytes) -> PublicKey:
    """Read a public key file.

    Raises:
        KeyFileError: Malformed, or a key id that is not this key's.
    """
    body = _object(data, PUBLIC_FORMAT, "public key file")
    try:
        public = bytes.fromhex(body["keyval"]["public"])
        key = check_public(public, body["principal"])
    except (KeyError, TypeError, ValueError):
        raise KeyFileError("public key file: no Ed25519 key in it") from None
    if body.get("keyid") != key.keyid:
        raise KeyFileError("public key file: its key id is not the key's")
    return key


def check_public(public: bytes, principal: str) -> PublicKey:
    """Check that 32 bytes are a usable Ed25519 public key.

    Raises:
        KeyFileError: Wrong length, or a point of small order that would verify anything.
    """
    from nacl.bindings import crypto_core_ed25519_is_valid_point

    if len(public) != 32 or not crypto_core_ed25519_is_valid_point(public):
        raise KeyFileError("public key: not a valid Ed25519 point of prime order")
    VerifyKey(public)
    return PublicKey(keyid(public), public, check_principal(principal))


def dump_private(key: KeyPair, passphrase: bytes | None) -> bytes:
    """Return the bytes of a private key file.

    Args:
        passphrase: Encrypts the seed; `None` leaves it in the clear.
    """
    body: dict[str, Any] = {
        "format": PRIVATE_FORMAT,
        "keyid": key.public.keyid,
        "principal": key.public.principal,
        "public": key.public.public.hex(),
    }
    seed = bytes(key.signing_key)
    if passphrase is None:
        body["seed"] = seed.hex()
        return canonical(body) + b"\n"
    salt = utils.random(pwhash.argon2id.SALTBYTES)
    ops, memory = pwhash.argon2id.OPSLIMIT_MODERATE, pwhash.argon2id.MEMLIMIT_MODERATE
    derived = pwhash.argon2id.kdf(secret.SecretBox.KEY_SIZE, passphrase, salt, ops, memory)
    body["kdf"] = {"name": "argon2id13", "opslimit": ops, "memlimit": memory, "salt": salt.hex()}
    body["secretbox"] = bytes(secret.SecretBox(derived).encrypt(seed)).hex()
    return canonical(body) + b"\n"


def is_encrypted(data: bytes) -> bool:
    """Tell whether a private key file asks for a passphrase.

    Raises:
        KeyFileError: Not a private key file.
    """
    return "secretbox" in _object(data, PRIVATE_FORMAT, "private key file")


def load_private(data: bytes, passphrase: bytes | None) -> KeyPair:
    """Read a private key file.

    Args:
        passphrase: Needed when `is_encrypted(data)`.

    Raises:
        KeyFileError: Malformed, wrong passphrase, or none given where one is needed.
    """
    body = _object(data, PRIVATE_FORMAT, "private key file")
    try:
        encrypted = "secretbox" in body
        seed = _decrypt(body, passphrase) if encrypted else bytes.fromhex(body["seed"])
        signing_key = SigningKey(seed)
        key = pair(signing_key, check_principal(body["principal"]))
    except (KeyError, TypeError, ValueError):
        raise KeyFileError("private key file: damaged") from None
    if body.get("keyid") != key.public.keyid:
        raise KeyFileError("private key file: the seed does not belong to its key id")
    return key


def _decrypt(body: dict[str, Any], passphrase: bytes | None) -> bytes:
    if passphrase is None:
        raise KeyFileError(
            "private key file: under a passphrase, and none was given",
            hint="Use --passphrase to be asked, or name a file in RAGGUARD_PASSPHRASE_FILE.",
        )
    kdf = body["kdf"]
    ops, memory = int(kdf["opslimit"]), int(kdf["memlimit"])
    if kdf["name"] != "argon2id13" or not 0 < ops <= _MAX_OPS or not 8192 <= memory <= _MAX_MEMORY:
        raise KeyFileError("private key file: key derivation limits out of bounds")
    derived = pwhash.argon2id.kdf(
        secret.SecretBox.KEY_SIZE, passphrase, bytes.fromhex(kdf["salt"]), ops, memory
    )
    try:
        return bytes(secret.SecretBox(derived).decrypt(bytes.fromhex(body["secretbox"])))
    except CryptoError:
        raise KeyFileError("private key file: wrong passphrase") from None


def _object(data: bytes, expected: str, name: str) -> dict[str, Any]:
    try:
        body = strict_json.parse(data, what=name, max_bytes=MAX_KEY_BYTES, max_depth=4)
    except (MalformedError, OversizedError) as error:
        raise KeyFileError(error.message) from None
    if not isinstance(body, dict) or body.get("format") != expected:
        file_format = body.get("format") if isinstance(body, dict) else type(body).__name__
        raise KeyFileError(
            f"{name}: expected format {expected!r}, found {str(file_format)[:40]!r}",
            hint="Key pairs are made with `ragguard key generate NAME`: NAME.key is private, "
            "NAME.pub public.",
        )
    return body
