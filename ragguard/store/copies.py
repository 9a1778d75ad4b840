"""Copy engine folders under the engine's own lock, without the holes in their files.

The engine makes files of 32 MiB that are mostly holes; a plain copy of a small shard takes 260 MiB,
a copy that keeps the holes less than one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragguard.errors import LockedError, StoreError
from ragguard.trust.files import sync_folder

BLOCK = 1 << 16  # bytes that are left out together when all are zero
LOCK = "wal"  # the engine locks this folder of a shard (flock)
SPARE = 1 << 28  # bytes of the disk that a copy leaves free


@contextmanager
def held(shard: Path) -> Iterator[None]:
    """Keep every process from opening a shard; nothing is written.

    Raises:
        LockedError: A process has it open.
        StoreError: It is no shard.
    """
    try:
        lock = os.open(shard / LOCK, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StoreError(
            f"{shard}: no shard of Qdrant Edge ({LOCK}: {error.strerror})",
            hint="Name the folder of a shard, or of an index that ragguard made.",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise LockedError(
            f"{shard}: another process has it open (embedded means one process, readers too)",
            hint="Stop that process, or let it publish a copy (ragguard publish).",
        ) from None
    try:
        yield
    finally:
        os.close(lock)


def used(folder: Path) -> int:
    """Count the bytes a folder takes on disk, holes not counted."""
    return sum(p.lstat().st_blocks * 512 for p in folder.rglob("*"))


def copy_folder(source: Path, target: Path, *, durable: bool = False) -> None:
    """Copy a folder of plain files and folders.

    Args:
        source: What to copy; nobody may write to it meanwhile.
        target: Where to; made, and must not be there.
        durable: Return once all of it is on disk.

    Raises:
        StoreError: Not enough room, or the folder holds something else than plain files.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    needed, free = used(source), shutil.disk_usage(target.parent).free
    if needed + SPARE > free:
        raise StoreError(
            f"{target.parent}: {free >> 20} MiB free, a copy of {source} needs {needed >> 20} MiB",
            hint="Free some space, or name another place (TMPDIR for copies that are only read).",
        )
    target.mkdir()
    for path in sorted(source.rglob("*")):
        destination = target / path.relative_to(source)
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise StoreError(f"{path}: not a plain file; no engine makes such")
        if path.is_dir():
            destination.mkdir()
        else:
            copy_file(path, destination, durable)
    if durable:
        for folder in (target, *(p for p in target.rglob("*") if p.is_dir()), target.parent):
            sync_folder(folder)


def copy_file(source: Path, target: Path, durable: bool = False) -> None:
    """Copy a file, its holes and blocks of zeros as holes; the target must not be there."""
    with open(source, "rb") as reader, open(target, "xb") as writer:
        size = os.fstat(reader.fileno()).st_size
        start = 0
        while start < size:
            try:
                start = os.lseek(reader.fileno(), start, os.SEEK_DATA)
                end = os.lseek(reader.fileno(), start, os.SEEK_HOLE)
            except OSError:  # nothing but a hole is left
                break
            while start < end:
                block = os.pread(reader.fileno(), min(BLOCK, end - start), start)
                if not block:
                    break
                if block.count(0) != len(block):
                    os.pwrite(writer.fileno(), block, start)
                start += len(block)
            else:
                continue
            break
        os.ftruncate(writer.fileno(), size)
        if durable:
            os.fsync(writer.fileno())


def shard_of(folder: Path) -> Path:
    """Find the shard folder that a collection's settings name; it lies beside them, nowhere else.

    Raises:
        StoreError: No settings, or they name something else.
    """
    shard = read_json(folder / "collection.json").get("shard")
    if not isinstance(shard, str) or shard in ("", ".", "..") or Path(shard).name != shard:
        raise StoreError(f"{folder}/collection.json: names no shard of its own folder")
    return folder / shard


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of an index.

    Raises:
        StoreError: Not there, or no JSON object.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: not readable ({type(error).__name__})") from None
    if not isinstance(value, dict):
        raise StoreError(f"{path}: not the settings of an index")
    return value
