"""Read a published index through a private copy: any number of readers, beside a writer.

Opening an index writes to it and locks it, so what is published is copied and the copy opened.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qdrant_client import QdrantClient

from ragguard.errors import StoreError, UsageError
from ragguard.store.copies import copy_folder, read_json, shard_of
from ragguard.store.edge import EdgeBackend

ALIASES = "aliases.json"
SETTINGS = "collection.json"
ATTEMPTS = 3  # a state may be deleted while it is copied; the alias names a newer one by then


def aliases(folder: Path) -> dict[str, str]:
    """Return the collection of each alias of a published folder; empty if none is published."""
    path = folder / ALIASES
    return {str(k): str(v) for k, v in read_json(path).items()} if path.is_file() else {}


def open_published(folder: Path) -> QdrantClient:
    """Open a client of what is published; close it to delete its copy.

    It stays at the state it was opened at: open it again to see a newer one.

    Args:
        folder: A folder that `ragguard publish` made.

    Raises:
        UsageError: Nothing is published there.
        StoreError: It could not be copied.
    """
    for attempt in range(ATTEMPTS):
        named = aliases(folder)
        if not named:
            raise UsageError(
                f"{folder}: nothing is published there", hint="`ragguard publish` publishes."
            )
        scratch = tempfile.TemporaryDirectory(prefix="ragguard-published-")
        try:
            _copy(folder, named, Path(scratch.name))
        except (OSError, StoreError):
            scratch.cleanup()
            if attempt + 1 == ATTEMPTS:
                raise
            continue
        client = QdrantClient(":memory:")
        client._client.close()
        client._client = _Copy(scratch)
        return client
    raise StoreError(f"{folder}: what is published there is deleted faster than it is copied")


class _Copy(EdgeBackend):
    """An index in a temporary folder, deleted when it is closed."""

    def __init__(self, scratch: tempfile.TemporaryDirectory[str]) -> None:
        super().__init__(Path(scratch.name))
        self._scratch = scratch

    def close(self, **kwargs: Any) -> None:
        """Close every shard and delete the copy."""
        super().close(**kwargs)
        self._scratch.cleanup()


def _copy(folder: Path, named: Mapping[str, str], target: Path) -> None:
    for name in sorted(set(named.values())):
        if Path(name).name != name or name in ("", ".", ".."):
            raise StoreError(f"{folder / ALIASES}: names no collection of its own folder")
        shard = shard_of(folder / name)
        copy_folder(shard, target / name / shard.name)
        # Settings go first when a state is deleted: a copy with them is whole.
        shutil.copy(folder / name / SETTINGS, target / name / SETTINGS)
    shutil.copy(folder / ALIASES, target / ALIASES)
