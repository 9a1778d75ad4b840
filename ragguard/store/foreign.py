"""Read a collection that something else wrote; it is never written.

How it is reached, and why nothing is written: `readers`.

Whoever wrote it is not trusted: names, payloads and vectors may be anything. A point without a
vector that can be compared is yielded all the same, with its fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.config import without_credentials
from ragguard.errors import StoreError, UsageError
from ragguard.model import Floats
from ragguard.store import NORM_TOLERANCE, Point
from ragguard.store.readers import Reader, Shape, open_path, open_server

TIMEOUT = 60  # seconds an answer of a server may take
NO_VECTOR = "has no vector"
_NONE = np.empty(0, dtype=np.float32)
_EXACT = 1e-6  # a length this near 1 is left as it is stored


@dataclass(frozen=True)
class ForeignPoint(Point):
    """A point as somebody else stored it.

    Attributes:
        id: Its UUID or integer, as text.
        vector: float32 (d,), unit length; empty when it has none that has a direction.
        norm: Length it was stored with; 0 when it has no vector, NaN when that is not finite.
        fault: What is wrong with the vector, or empty. A vector of a cosine collection that is not
            of unit length has a fault and a direction.
    """

    norm: float = 1.0
    fault: str = ""


class ForeignCollection:
    """An open collection; a context manager.

    Attributes:
        name: Collection.
        place: Where it is, for messages and reports.
        distance: `Cosine`, `Dot`, `Euclid` or `Manhattan`.
        dimensions: Of the vector that is read.
        vector: Name of the vector that is read; empty for the unnamed one.
        vectors: Names of all its dense vectors.
        optional: Whether a point may lack the vector that is read: named vectors are optional.
        treatment: What was done to the vectors so that they can be compared, in one sentence;
            empty for cosine.
    """

    def __init__(
        self, reader: Reader, name: str, place: str, vector: str, shapes: Mapping[str, Shape]
    ) -> None:
        self._reader = reader
        self.name = name
        self.place = place
        self.vector = vector
        self.vectors = tuple(sorted(shapes))
        self.optional = bool(vector)
        self.dimensions = shapes[vector].size
        self.distance = shapes[vector].distance
        whole = shapes[vector].datatype.lower() == "uint8"
        self._unit = self.distance == "Cosine" and not whole
        self.treatment = ""
        if not self._unit:
            kind = "stores whole numbers" if whole else f"measures {self.distance}"
            self.treatment = (
                f"the collection {kind}: its vectors were brought to unit length for the analysis, "
                "so neighbours are those by angle"
            )

    def __enter__(self) -> ForeignCollection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; a copy is deleted."""
        self._reader.close()

    def count(self) -> int:
        """Number of points."""
        return self._reader.count()

    def scan(self, batch: int = 1000) -> Iterator[list[ForeignPoint]]:
        """Read all points in id order, in batches.

        Raises:
            StoreError: The store does not answer, or is damaged.
        """
        offset: Any = None
        while True:
            records, following = self._reader.page(batch, offset)
            if records:
                yield self._points(records)
            if following is None:
                return
            if following == offset:
                raise StoreError(f"{self.place}: the scan does not move on from point {offset}")
            offset = following

    def sample(self, size: int = 200) -> list[ForeignPoint]:
        """Read the first points in id order."""
        return next(self.scan(size), [])

    def _points(self, records: Sequence[Any]) -> list[ForeignPoint]:
        read = [self._values(r.vector) for r in records]
        rows = [row for row, (_, fault) in enumerate(read) if not fault]
        try:
            matrix = np.array([read[row][0] for row in rows])
        except ValueError:  # lists among the numbers
            matrix = np.empty(0, dtype=object)
        if matrix.dtype.kind not in "fi":  # a server writes a NaN as null
            matrix = np.array([[_number(x) for x in read[row][0]] for row in rows], np.float64)
        matrix = matrix.astype(np.float64, copy=False).reshape(len(rows), self.dimensions)
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
        judged = {row: self._judge(matrix[n], float(norms[n])) for n, row in enumerate(rows)}
        points = []
        for row, record in enumerate(records):
            vector, norm, fault = judged.get(row, (_NONE, 0.0, read[row][1]))
            payload = record.payload if isinstance(record.payload, dict) else {}
            points.append(ForeignPoint(str(record.id), vector, payload, norm, fault))
        return points

    def _values(self, vector: Any) -> tuple[list[Any], str]:
        """Tell what stands for a point's vector, and what is wrong with it already."""
        if isinstance(vector, Mapping):
            vector = vector.get(self.vector)
        if vector is None or vector == []:
            return [], NO_VECTOR
        if not isinstance(vector, list):
            return [], f"its vector is of another kind ({type(vector).__name__})"
        if len(vector) != self.dimensions:
            return [], f"its vector has {len(vector)} numbers, expected {self.dimensions}"
        return vector, ""

    def _judge(self, values: Any, norm: float) -> tuple[Floats, float, str]:
        if not np.isfinite(norm):
            return _NONE, float("nan"), "its vector holds NaN or infinity: no search finds it"
        if norm == 0:
            return _NONE, 0.0, "its vector is zero: it has no direction"
        unit = values if abs(norm - 1) <= _EXACT else values / norm
        off = self._unit and abs(norm - 1) > NORM_TOLERANCE
        fault = f"its vector has length {norm:.4g}, expected 1 in a cosine collection"
        return unit.astype(np.float32), norm, fault if off else ""


def open_foreign(
    *,
    url: str = "",
    path: Path | None = None,
    collection: str = "",
    api_key: str | None = None,
    vector: str = "",
    timeout: int = TIMEOUT,
) -> ForeignCollection:
    """Open a collection for reading only.

    Args:
        url: Qdrant server or cluster. Give this or `path`.
        path: Shard folder of Qdrant Edge, or an index that ragguard made (or a published copy).
        collection: Name or alias; may be left out where there is only one.
        api_key: For the server.
        vector: Which of several named vectors to read.
        timeout: Seconds an answer of the server may take.

    Raises:
        UsageError: Neither or both places, no such collection, a vector that has to be chosen, or
            one that cannot be compared (sparse, multi-vector).
        StoreError: Not reachable, damaged, or in qdrant-client's own local format.
        LockedError: Another process has the embedded index open.
    """
    if bool(url) == (path is not None):
        raise UsageError("name a collection's place by its url or by its path, one of them")
    if path is None:
        opened = open_server(url, collection, api_key, vector, timeout)
    else:
        opened = open_path(path, collection, vector)
    place = without_credentials(url) if url else str(path)
    return ForeignCollection(opened.reader, opened.name, place, opened.vector, opened.shapes)


def _number(value: Any) -> float:
    """Return a number, or NaN for what is none."""
    return float(value) if isinstance(value, int | float) else float("nan")
