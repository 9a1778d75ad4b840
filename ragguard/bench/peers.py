"""Load peers (published methods, one file each) and show them the corpus as a scan sees it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ragguard.bench.scan import NEIGHBOURS, Peer, Scan
from ragguard.bench.vectors import EmbeddedBenchDocument
from ragguard.errors import BenchError
from ragguard.knn.topk import merge, top_k
from ragguard.model import Bools, Doubles, Floats, Ints, Neighbours
from ragguard.text.words import term_matrix

Table = tuple[Ints, Floats]
OURS = "ragguard"


def load_peers(folder: Path) -> list[Peer]:
    """Import every module of a folder that has `NAME` and `score`.

    Args:
        folder: The folder; its code is run, so it must be your own.

    Raises:
        BenchError: No such folder, a module that fails, or a name that stands twice.
    """
    if not folder.is_dir():
        raise BenchError(f"{folder}: no such folder")
    peers: dict[str, Peer] = {}
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"ragguard_peer_{path.stem}", path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            # Somebody else's module may raise anything: the run ends, and its file is named.
            raise BenchError(f"{path}: {type(error).__name__}: {error}") from error
        name, score = getattr(module, "NAME", None), getattr(module, "score", None)
        if not isinstance(name, str) or not callable(score):
            continue  # a part that peers share
        if name in peers or name == OURS:
            raise BenchError(f"{path}: a second peer named {name!r}")
        peers[name] = Peer(name, score)
    if not peers:
        raise BenchError(f"{folder}: holds no peer (a module with NAME and score)")
    return list(peers.values())


def owners_of(items: Sequence[EmbeddedBenchDocument], first: int = 0) -> Ints:
    """Document number of each chunk, int64, counted from `first`."""
    sizes = [len(i.prepared.chunks) for i in items]
    return np.repeat(np.arange(first, first + len(items)), sizes).astype(np.int64)


def matrix_of(items: Sequence[EmbeddedBenchDocument]) -> Floats:
    """Return the vectors of all chunks, float32 (m, d)."""
    return np.concatenate([i.prepared.vectors for i in items])


class Corpus:
    """Honest documents whose neighbours among themselves are looked up once.

    Args:
        items: Honest documents, at least one.
    """

    def __init__(self, items: Sequence[EmbeddedBenchDocument]) -> None:
        self._items = list(items)
        self._table: Table | None = None

    def scan(
        self, new: Bools, further: Sequence[EmbeddedBenchDocument], seed: int
    ) -> tuple[Scan, Ints]:
        """Return the corpus with further documents that arrive.

        Args:
            new: bool, per honest document: it arrives now.
            further: Documents that arrive beside the honest ones.
            seed: For peers that draw random numbers.

        Returns:
            The scan, and the document number of each of its rows: honest ones first.
        """
        home, home_owners = matrix_of(self._items), owners_of(self._items)
        if self._table is None:
            self._table = top_k(home, home, NEIGHBOURS, home_owners, home_owners)
        vectors, owners, table = home, home_owners, self._table
        if further:
            added, added_owners = matrix_of(further), owners_of(further, len(self._items))
            # The honest rows keep their numbers, so the table among them is reused.
            places, near = top_k(home, added, NEIGHBOURS, home_owners, added_owners)
            places = np.where(places < 0, -1, places + len(home))
            merged = merge(self._table, (places, near), NEIGHBOURS)
            vectors = np.concatenate([home, added])
            owners = np.concatenate([home_owners, added_owners])
            own = top_k(added, vectors, NEIGHBOURS, added_owners, owners)
            table = (np.concatenate([merged[0], own[0]]), np.concatenate([merged[1], own[1]]))
        every = [*self._items, *further]
        rows = [list(words) for i in every for words in i.words]
        arrives = np.concatenate([new, np.ones(len(further), dtype=np.bool_)])
        scan = Scan(
            vectors,
            [text for i in every for text in i.texts],
            rows,
            term_matrix(rows),
            arrives[owners],
            Neighbours(*table),
            seed,
        )
        return scan, owners


def score_documents(peer: Peer, scan: Scan, owners: Ints) -> Doubles:
    """Return a peer's word on each document: that on its worst chunk.

    Raises:
        BenchError: It fails, or returns something other than one finite number a row.
    """
    try:
        scores = np.asarray(peer.score(scan), dtype=np.float64)
    except Exception as error:
        # Somebody else's code may raise anything: the run ends, so that a peer that fails never
        # looks like one that finds nothing.
        raise BenchError(f"peer {peer.name!r}: {type(error).__name__}: {error}") from error
    if scores.shape != (len(owners),) or not np.isfinite(scores).all():
        raise BenchError(
            f"peer {peer.name!r}: expected {len(owners)} finite scores, found shape {scores.shape}"
        )
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    return np.asarray(np.maximum.reduceat(scores, starts), dtype=np.float64)
