"""Publish: a copy of the serving collection for readers in other processes.

The embedded engine lets one process open an index, readers included. A published folder is an
index of its own: a collection a state, named `<generation>-<commit>`, and `aliases.json`, which
names the one to read under the alias that readers use anyway. A state is whole and on disk before
the alias moves to it, and never changed afterwards; the last few are kept for who still reads them.

Opening an index writes to it, so readers open a private copy (`store.published`), any number.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ragguard.errors import UsageError
from ragguard.ledger import commits
from ragguard.trust.files import share
from ragguard.workspace import Workspace

KEEP = 3  # states that are kept, the newest included
_STATE = re.compile(r"(.+-g\d+)-(\d+)")


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        folder: The published folder.
        name: Collection of this state, `<generation>-<commit>`.
        alias: Alias that names it.
        commit: Commit it is the corpus of.
        points: Its points.
        bytes: What it takes on disk.
        fresh: False when this state was published already.
        removed: Collections of older states that were deleted.
    """

    folder: Path
    name: str
    alias: str
    commit: int
    points: int
    bytes: int
    fresh: bool
    removed: tuple[str, ...] = ()


def publish(workspace: Workspace, target: Path, *, keep: int = KEEP) -> Published:
    """Copy the serving collection into a folder and point its alias at the copy.

    Args:
        workspace: Open and locked; an interrupted commit is finished first.
        target: Folder; made when missing.
        keep: States to keep, at least one.

    Raises:
        UsageError: The workspace is on a server, has no index yet, or the folder is its own index
            or something else than a published one.
        StoreError: The copy could not be made; what was published before is as it was.
    """
    from ragguard.store import copies, published
    from ragguard.store.edge_shards import replace_json

    if workspace.settings.store.url:
        raise UsageError(
            "the index is on a Qdrant server: readers use the server, there is nothing to publish",
            hint=f"They read the alias {workspace.settings.store.collection!r} there.",
        )
    if keep < 1:
        raise UsageError("at least one state is kept")
    workspace.recover()
    generation = workspace.generation()
    with workspace.ledger.reading() as conn:
        newest = commits.listed(conn, limit=1)
    if generation is None or not newest:
        raise UsageError(
            "nothing to publish: no manifest was ingested yet",
            hint="`ragguard ingest` a manifest first.",
        )
    store = workspace.open_store()
    index = workspace.folder / workspace.settings.store.path
    _check_target(target, index)
    aliases = published.aliases(target)
    alias, name = workspace.settings.store.collection, f"{generation.serving}-{newest[0].id}"
    target.mkdir(parents=True, exist_ok=True)
    place = target / name
    fresh = not (place / "collection.json").is_file()
    if not fresh and copies.read_json(place / "collection.json").get("origin") != workspace.origin:
        raise UsageError(
            f"{target}: another workspace publishes there ({name!r} is not of this one)",
            hint="Name a folder for each workspace.",
        )
    if fresh:
        store.flush(generation.serving)
        shutil.rmtree(place, ignore_errors=True)  # what a killed run left
        shard = copies.shard_of(index / generation.serving)
        settings = copies.read_json(index / generation.serving / "collection.json")
        try:
            copies.copy_folder(shard, place / shard.name, durable=True)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        # A collection is there once its settings are.
        replace_json(place / "collection.json", {**settings, "origin": workspace.origin})
        copies.sync_folder(target)
    if aliases.get(alias) != name:
        replace_json(target / "aliases.json", {**aliases, alias: name})
    share(target)
    removed = _prune(target, generation.serving, name, keep)
    points, size = store.count(generation.serving), copies.used(place)
    return Published(target, name, alias, newest[0].id, points, size, fresh, removed)


def _check_target(target: Path, index: Path) -> None:
    """Refuse a folder in which something else lives."""
    if target.resolve() == index.resolve():
        raise UsageError(f"{target}: is the index itself", hint="Name another folder.")
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target}: is no folder")
    there = [p.name for p in target.iterdir()] if target.is_dir() else []
    # A run that was killed before its first alias leaves states only.
    if "aliases.json" not in there and not all(_STATE.fullmatch(name) for name in there):
        raise UsageError(
            f"{target}: is not empty, and nothing was published there",
            hint="Name an empty folder, or one that `ragguard publish` made.",
        )


def _prune(target: Path, serving: str, newest: str, keep: int) -> tuple[str, ...]:
    """Delete the oldest states of the collection; the one just published stays."""
    family = serving.rpartition("-g")[0]
    found = []
    for path in target.iterdir():
        match = _STATE.fullmatch(path.name)
        if match and path.name != newest and path.is_dir():
            collection, _, number = match[1].rpartition("-g")
            if collection == family:
                found.append((int(number), int(match[2]), path))
    removed = []
    for _, _, path in sorted(found)[: max(0, len(found) - (keep - 1))]:
        # Without its settings it is no collection any more: who copies it now starts over.
        (path / "collection.json").unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        removed.append(path.name)
    return tuple(removed)
