"""Check that the disk has room before the engine touches a page.

The engine maps files that are mostly holes (160 MB for a collection of a few documents, of which 10
are on disk). Touching a hole of a mapped file on a full disk is no error that can be caught: the
process ends with SIGBUS. Opening may touch all of them (a file system in memory takes room for what
is only read), so where there is not room for all of them a child opens the index first, and may
die. What is written touches as much as it is long, a few times over, and is asked for before.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ragguard.errors import IncompleteError

SPARE = 16 << 20  # bytes: what the engine makes anew while it works, and SQLite beside it
NEW = 16 << 20  # bytes of a collection that is made; 9.4 MiB with qdrant-edge-py 0.9.0
TIMES = 4  # what is written stands in the write-ahead log, in storage and in indexes
PLENTY = 8 << 30  # bytes free from which nobody counts
_TRIES = 120  # seconds a child may take to open a shard


def holes(folder: Path) -> int:
    """Count the bytes of a folder's files that are on no disk yet."""
    missing = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                seen = os.lstat(os.path.join(place, name))
            except FileNotFoundError:  # the engine removed it meanwhile
                continue
            missing += max(0, seen.st_size - seen.st_blocks * 512)
    return missing


def ask(folder: Path, size: int) -> None:
    """Refuse to write where the engine could run out of room.

    Args:
        folder: Shard folder, or the one it will be in.
        size: Bytes that it will take.

    Raises:
        IncompleteError: There is too little.
    """
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise _full(folder, free, size + SPARE)


def ask_to_open(folder: Path) -> None:
    """Refuse to open a shard where that would end the process.

    Raises:
        IncompleteError: There is too little room, and a child that opened it died.
    """
    free = shutil.disk_usage(folder).free
    if free >= PLENTY or free >= (needed := holes(folder) + SPARE):
        return
    if opened_by_child(folder) == -signal.SIGBUS:
        raise _full(folder, free, needed)


def opened_by_child(folder: Path) -> int:
    """Open a shard in another process; its return code, negative for a signal."""
    command = [sys.executable, "-m", "ragguard.store.room", str(folder)]
    process = subprocess.run(  # noqa: S603
        command, capture_output=True, timeout=_TRIES, check=False
    )
    return process.returncode


def _full(folder: Path, free: int, needed: int) -> IncompleteError:
    return IncompleteError(
        f"index: {free >> 20} MiB free on the disk of {folder}, {needed >> 20} MiB needed",
        hint="Free some space and run it again; nothing is lost.",
    )


def main(folder: str) -> None:
    """Open a shard, read one point, and close it."""
    import qdrant_edge as edge

    shard = edge.EdgeShard.load(folder)
    shard.scroll(edge.ScrollRequest(limit=1, with_payload=True, with_vector=True))
    shard.close()


if __name__ == "__main__":
    main(sys.argv[1])
