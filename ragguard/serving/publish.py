"""Publish a copy of the serving collection for readers in other processes.

The embedded engine lets one process open an index, readers included. A published folder is an
index of its own: a collection a state, named `<generation>-<commit>`, and `aliases.json`, which
names the one to read under the alias that readers use anyway. A state is whole and on disk before
the alias moves to it, and never changed afterwards; the last few are kept for who still reads them.
Beside each lies `points.snapshot`, what its points are proved by (`serving.snapshot`); it is signed
anew whenever the state is published again. On a server readers ask the server, and only the
snapshot is published.

Opening an index writes to it, so readers open a private copy (`store.published`), any number.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragguard.errors import IntegrityError, StoreError, UsageError
from ragguard.ledger import commits, log
from ragguard.ledger.commits import Generation
from ragguard.model import Recipe
from ragguard.serving import snapshot
from ragguard.serving.against_ledger import AgainstLedger
from ragguard.serving.answer import HONEYTOKEN, Proof
from ragguard.serving.reader import OF_SERVER, PINS, SNAPSHOT
from ragguard.serving.snapshot import SnapshotHead, SnapshotRow
from ragguard.store import Point
from ragguard.trust import scope
from ragguard.trust.files import replace_file, share, sync_folder
from ragguard.workspace import Workspace
from ragguard.workspace.encoders import pins_of

KEEP = 3  # states that are kept, the newest included
_STATE = re.compile(r"(.+-g\d+)-(\d+)")


@dataclass(frozen=True)
class PublishResult:
    """What was published.

    Attributes:
        name: Collection of this state, `<generation>-<commit>`.
        alias: Alias that names it.
        commit: Commit it is the corpus of.
        bytes: What it takes on disk.
        fresh: False when this state was published already.
        removed: Collections of older states that were deleted.
        proved: Points of the serving collection that are in its snapshot.
        refused: Points that could not be proved, and are not.
        planted: Points of honeytokens, which are not either.
    """

    folder: Path
    name: str
    alias: str
    commit: int
    points: int
    bytes: int
    fresh: bool
    removed: tuple[str, ...] = ()
    proved: int = 0
    refused: int = 0
    planted: int = 0


def publish(workspace: Workspace, target: Path, *, keep: int = KEEP) -> PublishResult:
    """Copy the serving collection into a folder and point its alias at the copy.

    On a server nothing is copied: only the snapshot is written.

    Args:
        workspace: Open and locked; an interrupted commit is finished first.
        target: Folder; made when missing.
        keep: States to keep, at least one.

    Raises:
        UsageError: The workspace has no index yet, or the folder is its own index or something else
            than a published one.
        StoreError: The copy could not be made; what was published before is as it was.
    """
    from ragguard.store import copies, published
    from ragguard.store.edge_shards import replace_json

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
    marker = OF_SERVER if workspace.settings.store.url else "collection.json"
    fresh = not (place / marker).is_file()
    if not fresh and copies.read_json(place / marker).get("origin") != workspace.origin:
        raise UsageError(
            f"{target}: another workspace publishes there ({name!r} is not of this one)",
            hint="Name a folder for each workspace.",
        )
    if fresh:
        shutil.rmtree(place, ignore_errors=True)  # what a killed run left
    made_for = _proved(workspace, generation, place / SNAPSHOT, newest[0].id)
    table, refused, planted, groups = made_for
    if fresh and workspace.settings.store.url:
        place.mkdir()
        replace_json(place / OF_SERVER, {"origin": workspace.origin})
    elif fresh:
        store.flush(generation.serving)
        shard = copies.shard_of(index / generation.serving)
        settings = copies.read_json(index / generation.serving / "collection.json")
        try:
            copies.copy_folder(shard, place / shard.name, durable=True)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        # A collection is there once its settings are.
        replace_json(place / "collection.json", {**settings, "origin": workspace.origin})
    head = _head(workspace, generation, newest[0].id, planted, groups)
    signed = snapshot.dump(head, table, workspace.checkpoint_key)
    replace_file(place / SNAPSHOT, signed, shared=True)
    with workspace.ledger.reading() as conn:
        recipe = commits.recipe_body(conn, generation.recipe)
    if (pins := pins_of(workspace, recipe)) is not None:
        replace_file(place / PINS, pins, shared=True)
    if fresh:
        sync_folder(target)
    if aliases.get(alias) != name:
        replace_json(target / "aliases.json", {**aliases, alias: name})
    share(target)
    removed = _prune(target, generation.serving, name, keep)
    points, size = store.count(generation.serving), copies.used(place)
    proved = len(table) // head.row
    return PublishResult(
        *(target, name, alias, newest[0].id, points, size, fresh, removed, proved, refused),
        planted=len(planted),
    )


def _proved(
    workspace: Workspace, generation: Generation, before: Path, commit: int
) -> tuple[bytes, int, Sequence[str], Mapping[str, int] | None]:
    """The table of what is proved now, how many points are not, honeytokens, groups of sources.

    What was published of the same corpus under the same trust is taken again, if it is our own.
    """
    try:
        kept = snapshot.load(before.read_bytes(), workspace.log_key)
    except (OSError, IntegrityError):
        kept = None
    ranked = workspace.settings.retriever.ranking > 0
    if kept is not None and (
        kept.head.commit,
        kept.head.root,
        kept.head.collection,
        kept.head.groups is not None,
    ) == (commit, workspace.root.version, generation.serving, ranked):
        planted = kept.head.honeytokens
        there = workspace.open_store().count(generation.serving)
        return kept.table, there - kept.points - len(planted), planted, kept.head.groups
    rows: list[SnapshotRow] = []
    honeytokens: list[str] = []
    refused = 0
    evidence = AgainstLedger(workspace, asked=False, ranked=ranked)
    for block in workspace.open_store().scan(generation.serving, vectors=True):
        judgements = evidence.judge(block)
        if judgements is None:
            raise StoreError(
                "the corpus changed while it was read", hint="Nothing is lost: publish again."
            )
        for point, proof in zip(block, judgements, strict=True):
            if isinstance(proof, Proof):
                merit = evidence.merits([proof])[0] if ranked else 0.0
                rows.append(_row(point, proof, merit))
            elif proof.kind == HONEYTOKEN:
                honeytokens.append(snapshot.honeytoken_digest(point.id))
            else:
                refused += 1
    return snapshot.dump_table(rows, ranked=ranked), refused, honeytokens, evidence.groups


def _row(point: Point, proof: Proof, merit: float) -> SnapshotRow:
    return SnapshotRow(
        point.id,
        snapshot.payload_digest(point.id, point.payload),
        snapshot.vector_digest(point.id, point.vector.tobytes()),
        proof.commit,
        proof.log_index,
        proof.newer_waits,
        merit,
    )


def _head(
    workspace: Workspace,
    generation: Generation,
    commit: int,
    planted: Sequence[str],
    groups: Mapping[str, int] | None,
) -> SnapshotHead:
    with workspace.ledger.reading() as conn:
        recipe = commits.recipe_body(conn, generation.recipe)
        checkpoint = log.kept_checkpoints(conn)[-1][1]
    return SnapshotHead(
        log=workspace.origin,
        checkpoint=checkpoint,
        at=workspace.now,
        commit=commit,
        generation=generation.id,
        collection=generation.serving,
        root=workspace.root.version,
        scoped=scope.is_on(workspace.root),
        recipe=Recipe(**{**recipe, "digest": generation.recipe}),
        honeytokens=planted,
        groups=groups,
    )


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
    states = []
    for path in target.iterdir():
        match = _STATE.fullmatch(path.name)
        if match and path.name != newest and path.is_dir():
            collection, _, number = match[1].rpartition("-g")
            if collection == family:
                states.append((int(number), int(match[2]), path))
    removed = []
    for _, _, path in sorted(states)[: max(0, len(states) - (keep - 1))]:
        # Without its settings it is no collection any more: who copies it now starts over.
        for name in ("collection.json", OF_SERVER):
            (path / name).unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        removed.append(path.name)
    return tuple(removed)
