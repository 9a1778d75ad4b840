"""Write a spool, block by block, as points come from an engine.

Points come from hostile hands: what has no text, or no vector that a search could find, is counted
and left out by name, and nothing in a payload is trusted to be of its type.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from ragguard.audit.index.spool import ID_BYTES, INDEX, ZONES, Index, OmittedPoints, Spool
from ragguard.detect.view import own
from ragguard.errors import IncompleteError
from ragguard.model import Floats, Metadata
from ragguard.store import NORM_TOLERANCE, Point
from ragguard.trust.files import replace_file

MAX_TEXT = 1_000_000  # characters of one chunk
MAX_NAME = 4096  # characters of a document's id and of its source
MAX_METADATA_BYTES = 65_536  # of one document
NAMED = 50  # ids kept of what was left out, for each reason

FILES = (
    "vectors",
    "ids",
    "zones",
    "documents",
    "arrivals",
    "offsets",
    "texts",
    "document_lines",
    "document_offsets",
)


class SpooledPassage(Protocol):
    """What a point says, in whatever layout its payload is."""

    @property
    def text(self) -> str:
        """Text of the chunk."""

    @property
    def metadata(self) -> Metadata:
        """Metadata of its document."""

    @property
    def document(self) -> str:
        """Id of its document."""

    @property
    def source(self) -> str:
        """Source of its document; empty when nobody speaks for it."""


@dataclass(frozen=True)
class _Own:
    text: str
    metadata: Metadata
    document: str
    source: str


def read_own(point: Point) -> SpooledPassage:
    """Return a point as ragguard writes it."""
    fields = own(point)
    metadata = point.payload.get("metadata")
    return _Own(
        text=_text(point.payload.get("page_content")),
        metadata=metadata if isinstance(metadata, Mapping) else {},
        document=_text(fields.get("document")) or point.id,
        source=_text(fields.get("source")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class Spooler:
    """Writes a spool; a context manager. Leaving it without `finish` throws everything away.

    Args:
        folder: Made new; what was there is thrown away.
        key: Of which state the spool will be.
        read: Reads a point's payload.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        dimensions: int,
        read: Callable[[Point], SpooledPassage] = read_own,
    ) -> None:
        self._folder = folder
        self._key = key
        self._dimensions = dimensions
        self._read = read
        self._rows = 0
        self._text_bytes = 0
        self._line_bytes = 0
        self._rescaled = 0
        self._cut = 0
        self._counts = dict.fromkeys(ZONES, 0)
        self._out: dict[str, tuple[int, list[str]]] = {}
        self._numbers: dict[bytes, int] = {}  # digest of a label: labels of any length, 16 bytes
        self._done = False
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        with ExitStack() as stack:
            self._files: dict[str, BinaryIO] = {
                name: stack.enter_context(open(folder / name, "wb", buffering=1 << 18))
                for name in FILES
            }
            self._open = stack.pop_all()
        self._files["offsets"].write(np.int64(0).tobytes())
        self._files["document_offsets"].write(np.int64(0).tobytes())

    def __enter__(self) -> Spooler:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        if not self._done:
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, zone: str, points: Sequence[Point]) -> None:
        """Take a block of points.

        Args:
            zone: `serving` or `quarantine`.
            points: With vectors.

        Raises:
            IncompleteError: The disk is full, or fails.
        """
        place = ZONES.index(zone)
        with self._on_disk():
            self._take(place, points)

    def _take(self, place: int, points: Sequence[Point]) -> None:
        kept = [(p, passage) for p in points if (passage := self._passage(p)) is not None]
        if not kept:
            return
        matrix = np.stack([p.vector for p, _ in kept]).astype(np.float32, copy=False)
        norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
        good = np.isfinite(norms) & (norms > np.finfo(np.float32).tiny)
        for row in np.flatnonzero(~good).tolist():
            self._leave_out("vector", kept[row][0].id)
        off = good & (np.abs(norms - 1.0) > NORM_TOLERANCE)
        if off.any():
            matrix = matrix.copy()
            matrix[off] = (matrix[off] / norms[off, None]).astype(np.float32)
            self._rescaled += int(off.sum())
        rows = np.flatnonzero(good).tolist()
        self._write(place, matrix[good], [kept[row] for row in rows])
        self._counts[ZONES[place]] += len(rows)

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise IncompleteError(
                f"{self._folder}: {error.strerror}",
                hint="The audit keeps a copy of all vectors and texts there while it works.",
            ) from error

    def _passage(self, point: Point) -> SpooledPassage | None:
        """Tell what a point says, or `None` when it is left out."""
        if len(point.id.encode("utf-8", "replace")) > ID_BYTES or not point.id.isascii():
            self._leave_out("id", point.id)
            return None
        if point.vector.shape != (self._dimensions,):
            self._leave_out("dimensions" if point.vector.size else "vector", point.id)
            return None
        passage = self._read(point)
        if not passage.text.strip():
            self._leave_out("no text", point.id)
            return None
        return passage

    def _leave_out(self, reason: str, name: str) -> None:
        count, ids = self._out.get(reason, (0, []))
        if len(ids) < NAMED:
            ids.append(name.encode("utf-8", "replace").decode()[:ID_BYTES])
        self._out[reason] = (count + 1, ids)

    def _write(
        self, place: int, vectors: Floats, kept: Sequence[tuple[Point, SpooledPassage]]
    ) -> None:
        files = self._files
        encoded = []
        for _, passage in kept:
            self._cut += len(passage.text) > MAX_TEXT
            encoded.append(_encoded(passage.text, MAX_TEXT))
        ends = self._text_bytes + np.cumsum([len(e) for e in encoded], dtype=np.int64)
        numbers = [self._number(passage) for _, passage in kept]
        files["vectors"].write(np.ascontiguousarray(vectors).tobytes())
        files["ids"].write(np.array([p.id for p, _ in kept], dtype=f"S{ID_BYTES}").tobytes())
        files["zones"].write(np.full(len(kept), place, dtype=np.uint8).tobytes())
        files["documents"].write(np.array(numbers, dtype=np.int32).tobytes())
        files["arrivals"].write(np.array([_arrival(p) for p, _ in kept], np.int32).tobytes())
        files["texts"].writelines(encoded)
        files["offsets"].write(ends.tobytes())
        self._text_bytes = int(ends[-1]) if len(ends) else self._text_bytes
        self._rows += len(kept)

    def _number(self, passage: SpooledPassage) -> int:
        label = f"{passage.source}/{passage.document}"
        name = blake2b(label.encode("utf-8", "replace"), digest_size=16).digest()
        known = self._numbers.get(name)
        if known is not None:
            return known
        number = self._numbers[name] = len(self._numbers)
        metadata = self._metadata(passage.metadata)
        for part in (_encoded(label, MAX_NAME), _encoded(passage.source, MAX_NAME), metadata):
            self._files["document_lines"].write(part)
            self._line_bytes += len(part)
            self._files["document_offsets"].write(np.int64(self._line_bytes).tobytes())
        return number

    def _metadata(self, metadata: Metadata) -> bytes:
        try:
            body = json.dumps(dict(metadata), default=str).encode()
        except (ValueError, TypeError, RecursionError):
            body = b""
        if not body or len(body) > MAX_METADATA_BYTES:
            self._cut += 1
            return b"{}"
        return body

    def finish(self) -> Spool:
        """Put the files on disk, say that they are whole, and open them to read.

        Raises:
            IncompleteError: The disk is full, or fails.
        """
        with self._on_disk():
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
            self._open.close()
        index = Index(
            key=self._key,
            rows=self._rows,
            documents=len(self._numbers),
            dimensions=self._dimensions,
            zones=self._counts,
            left_out=[
                asdict(OmittedPoints(r, c, tuple(i))) for r, (c, i) in sorted(self._out.items())
            ],
            rescaled=self._rescaled,
            cut=self._cut,
        )
        with self._on_disk():
            replace_file(self._folder / INDEX, json.dumps(asdict(index)).encode())
        self._done = True
        return Spool(self._folder)


def _encoded(text: str, most: int) -> bytes:
    """UTF-8; a lone surrogate, which no file can hold, becomes a question mark."""
    return text[:most].encode("utf-8", "replace")


def _arrival(point: Point) -> int:
    commit = own(point).get("commit")
    return commit if type(commit) is int and 0 <= commit < 1 << 31 else 0
