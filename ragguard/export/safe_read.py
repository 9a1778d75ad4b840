"""Read a folder that anybody may have changed: only what the inventory names, and no more of it.

Nothing is followed that is a link, nothing is read beyond the size that the inventory gives, and
what is in the folder beside it is named, not opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from ragguard.errors import IntegrityError
from ragguard.export import inventory as inventories
from ragguard.trust.canonical import digest_bytes

BLOCK = 1 << 20
MAX_NOTE = 10_000
MAX_STRANGERS = 100  # files that do not belong there, named at most


class UnfitError(IntegrityError):
    """A file of an export that is not what the inventory says."""


def read(folder: Path, path: str, size: int) -> bytes:
    """Return the bytes of a regular file of exactly this size, no link on the way.

    Args:
        size: In bytes.

    Raises:
        UnfitError: Missing, a link, of another size, or not readable.
    """
    return b"".join(_blocks(folder, path, size))


def read_upto(folder: Path, path: str, most: int) -> bytes:
    """Return the bytes of a regular file of at most so many.

    Raises:
        UnfitError: See `read`.
    """
    try:
        size = os.lstat(folder / path).st_size
    except OSError as error:
        raise UnfitError(
            f"{folder / path}: {error.strerror}",
            hint="Name the folder that `ragguard export` made.",
        ) from None
    if size > most:
        raise UnfitError(f"{path}: {size} bytes, at most {most} are read")
    return read(folder, path, size)


def read_named(folder: Path, path: str, digest: str, size: int) -> bytes:
    """Return the bytes of a file with this digest and size.

    Raises:
        UnfitError: See `read`, or other bytes.
    """
    data = read(folder, path, size)
    if digest_bytes(data) != digest:
        raise UnfitError(f"{path}: other bytes than its digest says")
    return data


def problem(folder: Path, path: str, digest: str, size: int) -> str:
    """Tell what is wrong with a file that need not be kept in memory; empty when nothing is."""
    digester = sha256()
    try:
        for block in _blocks(folder, path, size):
            digester.update(block)
    except UnfitError as error:
        return error.message
    return "" if digester.hexdigest() == digest else f"{path}: other bytes than its digest says"


def _blocks(folder: Path, path: str, size: int) -> Iterator[bytes]:
    try:
        # O_NONBLOCK: a pipe put in a file's place must not make us wait for its other end.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(folder / path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnfitError(f"{path}: no regular file")
            if status.st_size != size:
                raise UnfitError(f"{path}: {status.st_size} bytes, expected {size}")
            left = size
            while left and (block := file.read(min(left, BLOCK))):
                left -= len(block)
                yield block
    except OSError as error:
        raise UnfitError(f"{path}: {error.strerror}") from None


def strangers(folder: Path, known: Mapping[str, object]) -> Iterator[str]:
    """Tell what is in the folder and does not belong there, a sentence each; links first of all."""
    own = {parent.as_posix() for path in known for parent in Path(path).parents}
    stack = [""]
    told = 0
    while stack:
        here = stack.pop()
        with os.scandir(folder / here) as entries:
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                if entry.is_symlink():
                    sentence = f"{path!r}: a symbolic link"
                elif entry.is_dir(follow_symlinks=False) and path in own:
                    stack.append(path)
                    continue
                elif path in known:
                    continue
                else:
                    sentence = f"{path!r}: does not belong there"
                told += 1
                if told > MAX_STRANGERS:
                    yield "more files that do not belong there"
                    return
                yield sentence


def check_sums(folder: Path, digests: Mapping[str, str]) -> str:
    """Tell what is wrong with the list that `sha256sum -c` reads; empty when nothing is."""
    wanted = inventories.sums(digests)
    return problem(folder, inventories.SUMS, digest_bytes(wanted), len(wanted))
