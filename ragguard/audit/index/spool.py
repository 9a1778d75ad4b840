"""Keep one reading of collections on disk, so that an audit of any size fits in memory.

An engine is read once; every part of the audit then works on the spool. Vectors lie in a matrix
that is mapped, not loaded; texts in one file with offsets; what belongs to documents in another,
three strings each. `spooler.Spooler` writes it. It is a cache and proves nothing: integrity is
judged on the points as they come from the engine.

A spool has a key, which says of which state of which collections it is. `spool.json` is written
last, so that a spool without it, left by a killed run, or with another key, is thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ragguard.errors import StoreError
from ragguard.model import Bools, Floats, Ints, Metadata

FORMAT = 1
INDEX = "spool.json"
ORIGIN = (INDEX, "ids", "zones", "vectors")  # what tells where a row was in another spool
ZONES = ("serving", "quarantine")
ID_BYTES = 36  # a UUID as text; numbers of 64 bits are shorter


@dataclass(frozen=True)
class OmittedPoints:
    """Points that are not in the spool, for one reason.

    Attributes:
        reason: `no text`, `vector`, `dimensions` or `id`.
        ids: The first of them.
    """

    reason: str
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """What `spool.json` holds."""

    key: str
    rows: int
    documents: int
    dimensions: int
    zones: Mapping[str, int] = field(default_factory=dict)
    left_out: Sequence[Mapping[str, Any]] = ()
    rescaled: int = 0
    cut: int = 0
    format: int = FORMAT


class _Strings(Sequence[str]):
    """Strings in a file, read when they are asked for; or every so manieth of them."""

    def __init__(self, path: Path, offsets: Ints, first: int = 0, step: int = 1) -> None:
        self._path = path
        self._bytes: NDArray[np.uint8] = _mapped(path, np.uint8, (int(offsets[-1]),))
        self._offsets = offsets
        self._first = first
        self._step = step

    def every(self, step: int, first: int) -> _Strings:
        """Of each `step` strings the one at `first`."""
        return _Strings(self._path, self._offsets, first, step)

    def __len__(self) -> int:
        return (len(self._offsets) - 1) // self._step

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        place = at % len(self) * self._step + self._first
        start, stop = self._offsets[place : place + 2].tolist()
        return bytes(self._bytes[start:stop]).decode("utf-8")


class Spool:
    """A finished spool; rows are points, in the order in which they were read.

    Attributes:
        key: Of which state it is.
        vectors: float32 (n, d), unit length, mapped read-only.
        documents: int32 (n,), document number of each row.
        arrivals: int32 (n,), commit that brought each row; 0 where the point names none.
        labels: Per document `source/id`. A document that serves and also waits is one document.
        sources: Per document.
        left_out: What is not in it, by reason.
        rescaled: Rows whose vector was not of unit length and was made so.
        cut: Texts and metadata that were too large: a text is cut, metadata left out.
    """

    def __init__(self, folder: Path) -> None:
        index = _read_index(folder)
        n = index.rows
        self.folder = folder
        self.key = index.key
        self.rescaled, self.cut = index.rescaled, index.cut
        self.left_out = tuple(
            OmittedPoints(str(o["reason"]), int(o["count"]), tuple(o["ids"]))
            for o in index.left_out
        )
        self.vectors: Floats = _mapped(folder / "vectors", np.float32, (n, index.dimensions))
        self.documents: NDArray[np.int32] = _mapped(folder / "documents", np.int32, (n,))
        self.arrivals: NDArray[np.int32] = _mapped(folder / "arrivals", np.int32, (n,))
        self._ids = _mapped(folder / "ids", f"S{ID_BYTES}", (n,))
        self._zones: NDArray[np.uint8] = _mapped(folder / "zones", np.uint8, (n,))
        ends: Ints = _mapped(folder / "offsets", np.int64, (n + 1,))
        self._texts = _Strings(folder / "texts", ends)
        ends = _mapped(folder / "document_offsets", np.int64, (3 * index.documents + 1,))
        parts = _Strings(folder / "document_lines", ends)
        self.labels: Sequence[str] = parts.every(3, 0)
        self.sources: Sequence[str] = parts.every(3, 1)
        self._metadata = parts.every(3, 2)

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def quarantined(self) -> Bools:
        """Whether each row waits in quarantine, bool (n,)."""
        waiting: Bools = np.equal(self._zones, ZONES.index("quarantine"))
        return waiting

    def texts(self, rows: Sequence[int] | Ints) -> list[str]:
        """List texts of some rows, as they are stored, in the order asked."""
        return [self._texts[int(row)] for row in rows]

    def ids(self, rows: Sequence[int] | Ints) -> list[str]:
        """Point ids of some rows."""
        return [bytes(i).decode() for i in self._ids[np.asarray(rows, dtype=np.int64)]]

    def metadata(self, document: int) -> Metadata:
        """Return the metadata of a document, as the first of its points has it."""
        metadata: dict[str, Any] = json.loads(self._metadata[document])
        return metadata

    def origin(self, before: Spool) -> Ints:
        """Tell where rows were in another spool: same id, zone and vector bytes.

        Returns:
            int64 (n,), row there; -1 where it is new or its vector has changed.
        """
        origins = np.full(len(self), -1, dtype=np.int64)
        if not len(before) or not len(self) or before.vectors.shape[1] != self.vectors.shape[1]:
            return origins
        theirs = _named(before._ids, before._zones)
        order = np.argsort(theirs, kind="stable")
        names = theirs[order]
        mine = _named(self._ids, self._zones)
        at = np.minimum(np.searchsorted(names, mine), len(order) - 1)
        rows = np.flatnonzero(names[at] == mine)
        for some in np.array_split(rows, max(1, len(rows) // 65_536)):
            there = order[at[some]]
            same = (before.vectors[there] == self.vectors[some]).all(axis=1)
            origins[some[same]] = there[same]
        return origins


def _read_index(folder: Path) -> Index:
    try:
        index = Index(**json.loads((folder / INDEX).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{folder}: not a finished spool ({error})") from None
    if index.format != FORMAT:
        raise StoreError(f"{folder}: a spool of another ragguard")
    return index


def _mapped(path: Path, kind: Any, shape: tuple[int, ...]) -> Any:
    """Return a file as an array; the file must be exactly as large."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    try:
        found = path.stat().st_size
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    if found != size:
        raise StoreError(f"{path}: {found} bytes, expected {size}")
    if not size:  # nothing cannot be mapped
        return np.zeros(shape, dtype=kind)
    return np.memmap(path, dtype=kind, mode="r", shape=shape)


def _named(ids: NDArray[np.bytes_], zones: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Id and zone of rows as one string each."""
    joined = np.empty((len(ids), ID_BYTES + 1), dtype=np.uint8)
    joined[:, :-1] = np.ascontiguousarray(ids).view(np.uint8).reshape(len(ids), ID_BYTES)
    joined[:, -1] = zones + 1  # no zero at the end, where it would be cut off
    return joined.reshape(-1).view(f"S{ID_BYTES + 1}")
