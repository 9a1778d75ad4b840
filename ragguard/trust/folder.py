"""Open files beneath a signed root folder, without ever leaving it.

A subject is opened part by part with O_NOFOLLOW, so that a symbolic link, also one that appears
between listing and reading, is refused and not followed. A file is read once, up to a limit; what
was read is what gets hashed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ragguard.errors import DocumentMissingError, SubjectNameError, SymlinkError, UsageError
from ragguard.trust.names import check_name

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read(root: Path, name: str, max_bytes: int) -> bytes:
    """Read a subject.

    Args:
        root: The signed root folder (it may itself be reached by a link; what lies below may not).
        max_bytes: At most one byte more than this is read, so that the caller can tell.

    Returns:
        The bytes, at most `max_bytes + 1`.

    Raises:
        SubjectNameError: Not an allowed name.
        DocumentMissingError: No such regular file.
        SymlinkError: The file or a folder on the way is a symbolic link.
    """
    *folders, last = check_name(name).split("/")
    with ExitStack() as stack:
        try:
            here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"root folder {root}: {error.strerror}") from None
        stack.callback(os.close, here)
        try:
            for folder in folders:
                here = os.open(folder, _DIRECTORY, dir_fd=here)
                stack.callback(os.close, here)
            file = os.open(last, _FILE, dir_fd=here)
        except OSError as error:
            raise _translate(error, root, name) from None
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise DocumentMissingError(f"{name!r}: not a regular file under {root}")
        with os.fdopen(file, "rb") as opened:
            return opened.read(max_bytes + 1)


def _translate(error: OSError, root: Path, name: str) -> Exception:
    path = root
    for part in name.split("/"):
        path = path / part
        if os.path.islink(path):
            return SymlinkError(
                f"{name!r}: {path.relative_to(root)} is a symbolic link",
                hint="Sign and ship the file itself; links are never followed.",
            )
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
        return DocumentMissingError(
            f"{name!r}: no such file under {root}",
            hint="Give the folder the names are relative to with --root.",
        )
    return DocumentMissingError(f"{name!r}: cannot be read ({error.strerror})")


@dataclass(frozen=True)
class SkippedFile:
    """A file that is not taken.

    Attributes:
        name: As found.
        reason: Why, in words that files of one kind share.
        detail: A sentence on this file and what to do, where the reason alone does not say it.
    """

    name: str
    reason: str
    detail: str = ""


def walk(root: Path, start: Path, formats: frozenset[str]) -> Iterator[str | SkippedFile]:
    """List the files below a path, in name order.

    Args:
        root: Names are relative to it.
        start: A file, or a folder that is searched through, at or below `root`.
        formats: File endings that are taken, without the dot.

    Yields:
        A subject name, or a `SkippedFile`: hidden files and folders, links, other formats, names
        not allowed.

    Raises:
        UsageError: `start` does not exist or is not below `root`.
    """
    top, base = start.absolute(), root.absolute()
    if not os.path.lexists(start):
        raise UsageError(f"{start}: no such file or folder")
    if top != base and base not in top.parents:
        raise UsageError(
            f"{start}: not below the root folder {root}", hint="Choose --root above it."
        )
    if not start.is_dir() or start.is_symlink():
        yield _classify(base, top, formats)
        return
    for folder, folders, files in os.walk(top, followlinks=False):
        folders.sort()
        for name in list(folders):
            path = Path(folder, name)
            if name.startswith(".") or path.is_symlink():
                folders.remove(name)
                reason = "symbolic link" if path.is_symlink() else "hidden folder"
                yield SkippedFile(str(path.relative_to(base)), reason)
        for name in sorted(files):
            yield _classify(base, Path(folder, name), formats)


def _classify(base: Path, path: Path, formats: frozenset[str]) -> str | SkippedFile:
    name = path.relative_to(base).as_posix()
    if path.is_symlink():
        return SkippedFile(name, "symbolic link")
    if not path.is_file():
        return SkippedFile(name, "not a regular file")
    return classify(name, formats)


def classify(name: str, formats: frozenset[str]) -> str | SkippedFile:
    """Return a file's name as a subject name, or why it is not taken.

    Args:
        name: As found, relative to the root.
        formats: See `walk`.
    """
    path = PurePosixPath(name)
    if path.name.startswith("."):
        return SkippedFile(name, "hidden file")
    if any(part.startswith(".") and part.strip(".") for part in path.parts):
        return SkippedFile(name, "in a hidden folder")
    if path.suffix.lstrip(".").lower() not in formats:
        return SkippedFile(name, f"format {path.suffix or 'without an ending'} is not supported")
    try:
        return check_name(name)
    except SubjectNameError as error:
        problem = error.message.removeprefix(f"subject name {name!r}: ")
        return SkippedFile(name, f"name is {problem}" if problem.startswith("not ") else problem)
