"""Room on the disk, asked for before the engine touches a page.

The engine maps files that are mostly holes (160 MB for a collection of a few documents, of which 10
are on disk). Touching a hole of a mapped file on a full disk is no error that can be caught: the
process ends with SIGBUS. So whatever writes asks first for as much room as the holes could take;
what only reads opens the index in a child first where there is less, and the child may die.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ragguard.errors import IncompleteError

SPARE = 64 << 20  # bytes: what the engine makes anew while it works, and SQLite beside it
NEW = 192 << 20  # bytes of a collection that is made
PLENTY = 8 << 30  # bytes free from which nobody counts
_TRIES = 120  # seconds a child may take to open a shard


def holes(folder: Path) -> int:
    """Bytes of a folder's files that are on no disk yet."""
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                seen = os.lstat(os.path.join(place, name))
            except FileNotFoundError:  # the engine removed it meanwhile
                continue
            found += max(0, seen.st_size - seen.st_blocks * 512)
    return found


def short_of(folder: Path, more: int = 0) -> int:
    """Bytes that are missing on a folder's disk for all that may be written there; 0 for none.

    Args:
        folder: Shard folder, or the one it will be in.
        more: Bytes beside its holes.
    """
    free = shutil.disk_usage(folder).free
    if free >= PLENTY:
        return 0
    return max(0, holes(folder) + SPARE + more - free)


def ask(folder: Path, more: int = 0) -> None:
    """Refuse to write where the engine could run out of room.

    Args:
        folder: Shard folder, or the one it will be in.
        more: Bytes beside its holes.

    Raises:
        IncompleteError: There is too little.
    """
    free = shutil.disk_usage(folder).free
    if missing := short_of(folder, more):
        raise _full(folder, free, missing)


def ask_to_open(folder: Path) -> None:
    """Refuse to open a shard where that would end the process.

    Raises:
        IncompleteError: There is too little room, and a child that opened it died.
    """
    free = shutil.disk_usage(folder).free
    missing = short_of(folder)
    if missing and opened_by_child(folder) == -signal.SIGBUS:
        raise _full(folder, free, missing)


def opened_by_child(folder: Path) -> int:
    """Open a shard in another process; its return code, negative for a signal."""
    command = [sys.executable, "-m", "ragguard.store.room", str(folder)]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, timeout=_TRIES, check=False
    )
    return done.returncode


def _full(folder: Path, free: int, missing: int) -> IncompleteError:
    needed = (free + missing) >> 20
    return IncompleteError(
        f"index: {free >> 20} MiB free on the disk of {folder}, {needed} MiB needed",
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
