"""Read key files on disk; what is wrong with one is said with its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ragguard.errors import KeyFileError
from ragguard.model import PublicKey
from ragguard.trust import keys
from ragguard.trust.files import read_private
from ragguard.trust.keys import KeyPair


def read_key(path: Path, passphrase: Callable[[], bytes | None]) -> KeyPair:
    """Read a private key file.

    Args:
        path: The file; nobody else may read it.
        passphrase: Asked for the passphrase where the key is under one.

    Raises:
        KeyFileError: Missing, malformed, readable by others, or a wrong or missing passphrase.
    """
    _not_the_public_one(path)
    data = read_private(path)
    with _naming(path):
        encrypted = keys.is_encrypted(data)
    secret = passphrase() if encrypted else None
    with _naming(path):
        return keys.load_private(data, secret)


def read_public(path: Path) -> PublicKey:
    """Read a public key file.

    Raises:
        KeyFileError: Malformed.
        OSError: It cannot be read.
    """
    with _naming(path):
        return keys.load_public(path.read_bytes())


def _not_the_public_one(path: Path) -> None:
    """Say so where the other half of a pair was named, before its mode is found fault with.

    Raises:
        KeyFileError: It was.
    """
    try:
        with open(path, "rb") as file:
            public = keys.load_public(file.read(keys.MAX_KEY_BYTES + 1))
    except (KeyFileError, OSError):
        return
    private = path.with_suffix(".key")
    hint = f"Its private half is {private}." if private.is_file() else "Name the private half."
    raise KeyFileError(
        f"{path}: this is the public key of {public.principal!r}, and the private one is needed",
        hint=hint,
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in what is wrong with it."""
    try:
        yield
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error.message}", hint=error.hint) from None
