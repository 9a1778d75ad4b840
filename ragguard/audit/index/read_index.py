"""Read the index in one pass that compares seals and writes the spool from the same points.

The table of neighbours is kept beside the spool. At the next audit rows that are as they were keep
theirs, and only what came, went or changed is looked up again; a run that was killed after the
table was made goes on from it. Both are caches, under a keyed tag: what whoever can write them has
put there is not believed, and the table is made anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ragguard.audit.findings import AuditFinding
from ragguard.audit.index.integrity import BLOCK, ZONES, Reconciler, Zone
from ragguard.audit.index.spool import ORIGIN, Spool
from ragguard.audit.index.spool_writer import Spooler
from ragguard.errors import StoreError
from ragguard.knn.graph import Graph, neighbour_table, update
from ragguard.ledger import commits
from ragguard.ledger.commits import Generation
from ragguard.model import Progress
from ragguard.trust import kept
from ragguard.trust.files import replace_file
from ragguard.workspace import Workspace

GRAPH, TAG = "neighbours.npz", "neighbours.tag"
MOVED = 0.2  # share of the rows from which on the table is made anew
LAST, NOW = "spool", "spool.new"


def read_index(
    workspace: Workspace, generation: Generation, folder: Path, key: str, progress: Progress
) -> tuple[list[AuditFinding], Spool, int]:
    """Read all points once.

    Args:
        workspace: Open, its store opened with `repair=False`.
        folder: Where the spool is to be written.
        key: Of which state it is.

    Returns:
        Findings, the spool, and how many points were read.

    Raises:
        StoreError: The store does not answer.
    """
    store = workspace.open_store(repair=False)
    there: list[Zone] = [z for z in ZONES if store.exists(getattr(generation, z))]
    pass_ = Reconciler(workspace, generation, there)
    with workspace.ledger.reading() as conn:
        dimensions = int(commits.recipe_body(conn, generation.recipe)["dimensions"])
    with Spooler(folder / NOW, key, dimensions) as spooler:
        for zone in there:
            name = getattr(generation, zone)
            total, done = store.count(name), 0
            for block in store.scan(name, vectors=True, batch=BLOCK):
                pass_.see(zone, block)
                spooler.add(zone, block)
                done += len(block)
                progress(f"read {zone}", done, total)
        spool = spooler.finish()
    return pass_.finish(), spool, pass_.looked_at


def neighbours(
    spool: Spool,
    folder: Path,
    seal_key: bytes,
    k: int,
    progress: Progress,
    *,
    fresh: bool = False,
) -> Graph:
    """Return the neighbours of all rows, carried over from the last audit where that can be.

    Args:
        spool: The index as it is.
        folder: Where the last spool and table are.
        seal_key: Of the workspace that kept them.
        k: Neighbours of a row.
        fresh: Make the table anew.
    """
    before = None if fresh else _kept(folder, seal_key, k)
    if before is not None:
        last, table = before
        origin = spool.origin(last)
        if (origin < 0).sum() <= MOVED * len(spool) and len(spool):
            return update(table, spool.vectors, origin, progress=progress)
    return neighbour_table(spool.vectors, k, progress=progress)


def keep(folder: Path, seal_key: bytes, graph: Graph) -> None:
    """Put spool and table where the next audit looks for them, and a tag over both."""
    shutil.rmtree(folder / LAST, ignore_errors=True)
    (folder / NOW).rename(folder / LAST)
    interval = graph.recall_interval or (float("nan"), float("nan"))
    (folder / LAST / GRAPH).unlink(missing_ok=True)
    with (folder / LAST / GRAPH).open("xb") as file:
        np.savez(
            file,
            indices=graph.indices,
            similarities=graph.similarities,
            exact=np.array(graph.exact),
            recall=np.array([graph.recall if graph.recall is not None else np.nan, *interval]),
        )
    replace_file(folder / LAST / TAG, kept.tag(seal_key, LAST, *_digests(folder / LAST)))


def _digests(folder: Path) -> Iterator[bytes]:
    """Return the SHA-256 of each file that neighbours are carried over by."""
    for name in (GRAPH, *ORIGIN):
        with (folder / name).open("rb") as file:
            yield hashlib.file_digest(file, "sha256").digest()


def _kept(folder: Path, seal_key: bytes, k: int) -> tuple[Spool, Graph] | None:
    """The last spool and its table; `None` where they are not ours, or do not belong together."""
    try:
        tag = (folder / LAST / TAG).read_bytes()
        if not kept.fits(tag, seal_key, LAST, *_digests(folder / LAST)):
            return None
        spool = Spool(folder / LAST)
        with np.load(folder / LAST / GRAPH, allow_pickle=False) as table:
            recall = table["recall"].tolist()
            known = not bool(np.isnan(recall[0]))
            graph = Graph(
                table["indices"],
                table["similarities"],
                bool(table["exact"]),
                float(recall[0]) if known else None,
                (float(recall[1]), float(recall[2])) if known else None,
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, StoreError):
        return None  # half of it: a run was killed while it wrote the table
    fits = graph.indices.shape == graph.similarities.shape == (len(spool), k)
    within = bool((graph.indices < len(spool)).all() and (graph.indices >= -1).all())
    return (spool, graph) if fits and within else None
