"""Turns of processes that change a small file of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ragguard.errors import LockedError


@contextmanager
def turn(path: Path, seconds: float, busy: str) -> Iterator[None]:
    """Hold the lock of a file while it is read and written.

    Args:
        path: The file; its lock lies beside it.
        seconds: Wait for the turn of another process at most so long.
        busy: What to say when that is not enough.

    Raises:
        LockedError: Another process holds it, and takes longer.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"), mode=0o600)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise LockedError(busy, hint="Try again in a moment.") from None
    try:
        yield
    finally:
        lock.release()
