"""Files that must be whole or not at all: private keys, and files that others may be reading."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ragguard.errors import KeyFileError


def write_private(path: Path, data: bytes) -> None:
    """Write a private file, 0600, never over another.

    Raises:
        KeyFileError: There is a file of that name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"{path}: exists, and keys are never overwritten",
            hint="Choose another name, or move the old key away yourself.",
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_private(path: Path) -> bytes:
    """Read a private file that nobody else may read.

    Raises:
        KeyFileError: Missing, or readable by group or others.
    """
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"{path}: {error.strerror}", hint="Make a key pair with `ragguard key generate NAME`."
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise KeyFileError(
            f"{path}: others may read it (mode {stat.S_IMODE(mode):04o}, expected 0600)",
            hint=f"chmod 600 {path}, and consider the key known to others.",
        )
    return data


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
