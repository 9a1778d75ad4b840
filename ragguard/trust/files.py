"""Write files that must be whole or not at all: private keys, and what others may be reading.

Files are made 0600 and folders 0700 from the first write, but for what is written for others
(`shared`). What is written aside has a name nobody can foresee and is never somebody else's file or
link.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from ragguard.errors import KeyFileError


def write_private(path: Path, data: bytes) -> None:
    """Write a private file, 0600, never over another.

    Raises:
        KeyFileError: There is a file of that name.
    """
    make_folder(path.parent)
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


def replace_file(path: Path, data: bytes, *, shared: bool = False) -> None:
    """Write a file so that a reader sees the old one or the new one.

    Args:
        path: The file; missing folders above it are made.
        shared: It is for others: as readable as the umask of the caller lets it be, else 0600.
    """
    make_folder(path.parent)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    handle = os.open(aside, flags, 0o666 if shared else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if shared and _CALLERS:
                os.fchmod(file.fileno(), 0o666 & ~_CALLERS[0])
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path | str) -> None:
    """Return once the names in a folder are on disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, each 0700; one that is there stays."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)


_CALLERS: list[int] = []  # the umask before `keep_private`


def keep_private() -> None:
    """Let nothing that this process writes be readable by others, whichever library writes it.

    For a process that is ours alone, such as the command line: the umask is the whole process's.
    """
    before = os.umask(0o077)
    if not _CALLERS:
        _CALLERS.append(before)


def share(folder: Path) -> None:
    """Make a folder that is for others as readable as the umask of the caller lets it be."""
    if not _CALLERS:
        return
    for top, _, files in os.walk(folder):
        os.chmod(top, 0o777 & ~_CALLERS[0])
        for name in files:
            os.chmod(os.path.join(top, name), 0o666 & ~_CALLERS[0], follow_symlinks=False)


def open_to_others(folder: Path) -> list[str]:
    """List files and folders below a folder, itself included, that group or others may reach.

    What lies in a folder that is closed to them is not reached, whatever its own mode.
    """
    reachable = []
    for top, folders, files in os.walk(folder):
        if not stat.S_IMODE(os.lstat(top).st_mode) & 0o077:
            folders.clear()
            continue
        reachable.append(top)
        paths = (os.path.join(top, name) for name in files)
        reachable += [p for p in paths if _is_open(p)]
    return sorted(reachable)


def _is_open(path: str) -> bool:
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) and bool(stat.S_IMODE(mode) & 0o077)
