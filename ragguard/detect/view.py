"""Build what checks see: the batch, what waits near it, and their neighbours in the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from ragguard.knn.topk import merge, top_k
from ragguard.model import (
    Chunk,
    CorpusView,
    DeniedText,
    Document,
    Floats,
    Hidden,
    Ints,
    Lexicon,
    Metadata,
    Neighbours,
)
from ragguard.store import Hits, Point, Store
from ragguard.text.prose import prose_rows
from ragguard.text.words import normalise, term_matrix, words

NEIGHBOURS = 24
SPARE = 8  # hits asked for beyond that, to make up for those of the same document
BLOCK = 512  # rows searched for together: an engine may hold all their similarities at once
MANY = 2048  # rows from which on the collection is read through instead of searched
PAGE = 16_384  # points read at once then
NEAR_SUSPECTS = 6  # undecided passages looked at for each passage that arrives
NEAR_SUSPECT = 0.5  # and how similar they must be
MOST = 2048  # hits from which on no more are asked for

Known = dict[str, tuple[Point, str]]  # points by id, with their labels
Table = tuple[Ints, Floats]  # rows of the view and similarities, see `Neighbours`


@dataclass(frozen=True)
class PreparedDocument:
    """A document ready to be judged.

    Attributes:
        raw: Decoded source text, before rendering.
        hidden: What the parser found hidden.
        chunks: Its chunks, at least one.
        vectors: float32 (c, d), unit length.
        previous_metadata: Metadata of the version it replaces, if there is one.
    """

    document: Document
    raw: str
    hidden: tuple[Hidden, ...]
    chunks: tuple[Chunk, ...]
    vectors: Floats
    previous_metadata: Metadata | None = None

    @property
    def label(self) -> str:
        """`source/id`."""
        return f"{self.document.source}/{self.document.id}"


@dataclass(frozen=True)
class Surroundings:
    """What newcomers are held against.

    Attributes:
        serving: Serving collection; empty before the first ingest.
        recent: Labels of indexed documents that arrived lately. They are neighbours among the
            newcomers, not of the reference: a campaign may come drop by drop.
        suspects: Documents that wait, undecided, and are as new as the recent. They are judged
            beside newcomers that are near them, as newcomers; they vouch for nobody.
        low: Sources of tier `low`.
        first: See `CorpusView.first`.
    """

    store: Store
    serving: str
    lexicon: Lexicon
    denied: Sequence[DeniedText]
    now: datetime
    recent: Set[str] = frozenset()
    suspects: Sequence[PreparedDocument] = ()
    low: Set[str] = frozenset()
    first: Mapping[str, int] = field(default_factory=dict)


def near_suspects(
    batch: Sequence[PreparedDocument], suspects: Sequence[PreparedDocument]
) -> list[PreparedDocument]:
    """Undecided documents that are near a batch: they are judged beside it.

    Returns:
        Those that are among the `NEAR_SUSPECTS` nearest of a chunk of the batch and at least
        `NEAR_SUSPECT` similar, but for what the batch itself replaces.
    """
    own = {p.label for p in batch}
    waiting = [p for p in suspects if p.label not in own]
    if not waiting:
        return []
    vectors = np.concatenate([p.vectors for p in batch])
    base = np.concatenate([p.vectors for p in waiting])
    owners = np.repeat(np.arange(len(waiting)), [len(p.chunks) for p in waiting])
    nobody = np.full(len(vectors), -1, dtype=np.int64)
    indices, close = top_k(vectors, base, NEAR_SUSPECTS, nobody, owners.astype(np.int64))
    chosen = np.unique(owners[indices[(indices >= 0) & (close >= NEAR_SUSPECT)]])
    return [waiting[i] for i in chosen.tolist()]


class _Context:
    """Rows after the judged ones: neighbours fetched from the store, each once."""

    def __init__(self, first_row: int, first_document: int) -> None:
        self._row_of: dict[tuple[str, str], int] = {}
        self._document_of: dict[str, int] = {}
        self._next_row = first_row
        self._next_document = first_document
        self.texts: list[str] = []
        self.vectors: list[Floats] = []
        self.zones: list[str] = []
        self.documents: list[int] = []
        self.labels: list[str] = []
        self.sources: list[str] = []
        self.metadata: list[Metadata] = []

    def row(self, zone: str, point: Point) -> int:
        key = (zone, point.id)
        if key not in self._row_of:
            label = point_label(point)
            if label not in self._document_of:
                self._document_of[label] = self._next_document
                self._next_document += 1
                self.labels.append(label)
                self.sources.append(str(own(point).get("source", "")))
                self.metadata.append(dict(point.payload.get("metadata") or {}))
            self._row_of[key] = self._next_row
            self._next_row += 1
            self.texts.append(normalise(str(point.payload.get("page_content", ""))))
            self.vectors.append(point.vector)
            self.zones.append(zone)
            self.documents.append(self._document_of[label])
        return self._row_of[key]


def own(point: Point) -> Mapping[str, Any]:
    """Return the fields ragguard keeps in a payload."""
    fields = point.payload.get("ragguard")
    return fields if isinstance(fields, Mapping) else {}


def point_label(point: Point) -> str:
    """`source/id` of the document a point is of."""
    fields = own(point)
    return f"{fields.get('source', '')}/{fields.get('document', point.id)}"


def build_view(
    batch: Sequence[PreparedDocument],
    around: Surroundings,
    *,
    absent: Set[str] = frozenset(),
    beside: Sequence[PreparedDocument] = (),
) -> CorpusView:
    """Look a batch up in the index.

    Args:
        batch: Documents to judge, at least one.
        around: What they are held against.
        absent: Labels of indexed documents to be taken as not there (documents rehearsed as
            newcomers, see `reference`); a document of the batch never meets itself.
        beside: Undecided documents that are judged beside the batch, after it, as newcomers; see
            `near_suspects`.
    """
    arriving = len(batch)
    batch = [*batch, *beside]
    vectors = np.concatenate([p.vectors for p in batch])
    documents = np.repeat(np.arange(len(batch)), [len(p.chunks) for p in batch]).astype(np.int64)
    batch_labels = [p.label for p in batch]
    context = _Context(len(vectors), len(batch))
    look = _Lookup(around, vectors, documents, batch_labels, context)
    reference, lately = look.serving(absent)
    newcomers = top_k(vectors, vectors, NEIGHBOURS, documents, documents)
    newcomers = merge(newcomers, lately, NEIGHBOURS)
    texts = [normalise(c.text) for p in batch for c in p.chunks] + context.texts
    numbers = np.concatenate([documents, np.array(context.documents, dtype=np.int64)])
    sources = [p.document.source for p in batch] + context.sources
    sentences = prose_rows(texts, numbers, sources)
    rows = [words(text) for text in sentences]
    return CorpusView(
        n=len(vectors),
        texts=texts,
        prose=sentences,
        words=rows,
        terms=term_matrix(rows),
        vectors=np.concatenate([vectors, np.stack(context.vectors)])
        if context.vectors
        else vectors,
        zones=[*("batch" if d < arriving else "quarantine" for d in documents), *context.zones],
        documents=numbers,
        labels=batch_labels + context.labels,
        sources=sources,
        metadata=[p.document.metadata for p in batch] + context.metadata,
        previous_metadata=[p.previous_metadata for p in batch],
        raws=[p.raw for p in batch],
        hidden=[p.hidden for p in batch],
        reference=Neighbours(*reference),
        newcomers=Neighbours(*newcomers),
        lexicon=around.lexicon,
        denied=around.denied,
        now=around.now,
        low=around.low,
        first=around.first,
    )


class _Lookup:
    """Neighbour tables of the judged rows in the store."""

    def __init__(
        self,
        around: Surroundings,
        vectors: Floats,
        documents: Ints,
        labels: Sequence[str],
        context: _Context,
    ) -> None:
        self._around = around
        self._vectors = vectors
        self._documents = documents
        self._labels = labels
        self._context = context

    def serving(self, absent: Set[str]) -> tuple[Table, Table]:
        """Neighbours in the index, (n, NEIGHBOURS): in what is long there, in what is recent."""
        collection, recent = self._around.serving, self._around.recent
        n = len(self._vectors)
        long, lately = _empty(n), _empty(n)
        store = self._around.store
        if not collection or not store.exists(collection) or not store.count(collection):
            return long, lately
        asked = NEIGHBOURS + SPARE + (NEIGHBOURS if absent or recent else 0)
        known: dict[str, tuple[Point, str]] = {}
        fill = partial(self._fill, absent, recent, known, (long, lately))
        short: list[int] = []
        if n >= MANY:
            short = fill(np.arange(n), self._scan(collection, asked, known), asked)
        else:
            for rows in np.split(np.arange(n), range(BLOCK, n, BLOCK)):
                short += fill(rows, self._search(collection, rows, asked, known), asked)
        pending = _again(short, asked)
        while pending:
            rows, asked = pending.pop()
            short = fill(rows, self._search(collection, rows, asked, known), asked)
            pending += _again(short, asked)
        return long, lately

    def _search(self, collection: str, rows: Ints, asked: int, known: Known) -> Hits:
        """Ask the engine, and fetch the points it names."""
        store = self._around.store
        hits = store.search(collection, self._vectors[rows], asked)
        wanted = sorted({i for ids in hits.ids for i in ids} - known.keys())
        points = store.get(collection, wanted, vectors=True)
        known.update((p.id, (p, point_label(p))) for p in points)
        return hits

    def _scan(self, collection: str, asked: int, known: Known) -> Hits:
        """Tell what the engine would answer for all rows, by reading the collection through once.

        An engine compares one query at a time with every vector; for thousands of queries a product
        of matrices is several times faster, and the points are at hand already.
        """
        n = len(self._vectors)
        table: Table = (
            np.full((n, asked), -1, dtype=np.int64),
            np.full((n, asked), -1.0, dtype=np.float32),
        )
        ids: list[str] = []
        for points in self._around.store.scan(collection, vectors=True, batch=PAGE):
            base = np.stack([p.vector for p in points])
            indices, close = top_k(
                self._vectors, base, asked, np.full(n, -1), np.arange(len(base), dtype=np.int64)
            )
            table = merge(table, (np.where(indices < 0, -1, indices + len(ids)), close), asked)
            for position in np.unique(table[0]).tolist():
                if position >= len(ids):
                    point = points[position - len(ids)]
                    known[point.id] = (point, point_label(point))
            ids.extend(p.id for p in points)
        near = [[ids[j] for j in row if j >= 0] for row in table[0].tolist()]
        for point_id in known.keys() - {i for row in near for i in row}:
            del known[point_id]  # was near until nearer ones were read
        return Hits(near, [c[: len(r)] for r, c in zip(near, table[1].tolist(), strict=True)])

    def _fill(
        self,
        absent: Set[str],
        recent: Set[str],
        known: Known,
        tables: tuple[Table, Table],
        rows: Ints,
        hits: Hits,
        asked: int,
    ) -> list[int]:
        """Write down the neighbours of some rows, long known ones and recent ones.

        Returns:
            The rows that want more hits than were asked for.
        """
        row_of = self._context.row
        short: list[int] = []
        for row, ids, close in zip(rows.tolist(), hits.ids, hits.similarities, strict=True):
            mine = self._labels[self._documents[row]]
            old: list[tuple[Point, float]] = []
            new: list[tuple[Point, float]] = []
            for i, similarity in zip(ids, close, strict=True):
                if i not in known:
                    continue
                point, label = known[i]
                if label != mine and label not in absent:
                    (new if label in recent else old).append((point, similarity))
            if len(old) < NEIGHBOURS and len(ids) == asked < MOST:
                short.append(row)  # its own old chunks, or recent ones, crowd the others out
                continue
            for table, name, neighbours in zip(
                tables, ("serving", "recent"), (old, new), strict=True
            ):
                if kept := neighbours[:NEIGHBOURS]:
                    table[0][row, : len(kept)] = [row_of(name, point) for point, _ in kept]
                    table[1][row, : len(kept)] = [similarity for _, similarity in kept]
        return short


def _again(short: Sequence[int], asked: int) -> list[tuple[Ints, int]]:
    """List rows to be searched for again, with four times as many hits."""
    return [(np.array(short[i : i + 256]), 4 * asked) for i in range(0, len(short), 256)]


def _empty(n: int) -> Table:
    indices = np.full((n, NEIGHBOURS), -1, dtype=np.int64)
    return indices, np.full((n, NEIGHBOURS), -1.0, dtype=np.float32)
