"""Store vectors and payloads: one `Store` protocol over several engines.

Qdrant in this process, a Qdrant server, and numpy as the exact reference.

`open_store` chooses. Similarity is cosine everywhere, higher is closer; vectors are written at unit
length, so that stored bytes equal written bytes. Every engine returns the same hits within 1e-5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import numpy as np

from ragguard.errors import PointError, StoreError
from ragguard.model import Floats

SCOPE = "ragguard.scope"  # on a server the index of tenants
PAYLOAD_INDEXES = (
    "ragguard.document",
    "ragguard.source",
    "metadata.department",
    "metadata.label",
    SCOPE,
)
NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Point:
    """A stored chunk.

    Attributes:
        id: UUID text.
        vector: float32 (d,), unit length; empty when it was not asked for.
        payload: JSON object: `page_content`, `metadata`, `ragguard`.
    """

    id: str
    vector: Floats
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Hits:
    """Nearest points of `q` queries, best first.

    Attributes:
        ids: q lists of at most k point ids.
        similarities: q lists of cosine similarities, descending.
    """

    ids: list[list[str]]
    similarities: list[list[float]]


class Store(Protocol):
    """Everything ragguard asks of a vector engine. Collections are physical names unless said."""

    def create(self, collection: str, dimensions: int) -> None:
        """Make a collection with its payload indexes; nothing happens if it is there and fits.

        Raises:
            StoreError: It is there with another dimension or distance.
        """

    def exists(self, collection: str) -> bool:
        """Tell whether a collection (or alias) is there."""

    def drop(self, collection: str) -> None:
        """Delete a collection and its points, if it is there."""

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Write points; all of them are validated before the first is written.

        Raises:
            PointError: A point that must not be written.
            StoreError: The engine refused.
        """

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete points by id; unknown ids are no error."""

    def get(self, collection: str, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Fetch points by id, in the order asked; ids that are not there are left out."""

    def search(
        self,
        collection: str,
        vectors: Floats,
        k: int,
        *,
        exact: bool = True,
        scope: Collection[str] | None = None,
    ) -> Hits:
        """Nearest points of each row of `vectors`.

        Args:
            collection: Collection or alias.
            vectors: float32 (q, d), unit length.
            k: Neighbours wanted; fewer come back only if the collection holds fewer.
            exact: Compare with every point; else the engine's graph may be used.
            scope: Only points whose `ragguard.scope` has one of these tokens.
        """

    def nearest(
        self,
        collection: str,
        vector: Floats,
        k: int,
        *,
        exact: bool = False,
        scope: Collection[str] | None = None,
    ) -> list[tuple[Point, float]]:
        """Nearest points of one vector with payload, vector and similarity, in one request.

        Args:
            collection: Collection or alias.
            vector: float32 (d,), unit length.
            k: Points wanted; fewer come back only if there are fewer.
            exact: Compare with every point; else the engine's graph may be used.
            scope: Only points whose `ragguard.scope` has one of these tokens; the engine filters.
        """

    def scan(
        self, collection: str, *, vectors: bool = False, batch: int = 1000
    ) -> Iterator[list[Point]]:
        """Read all points, in id order, in batches."""

    def count(self, collection: str) -> int:
        """Number of points."""

    def flush(self, collection: str) -> None:
        """Return once everything written is on disk."""

    def maintain(self, collection: str, index_after: int) -> bool:
        """Build the search graph when more points than `index_after` have none.

        Returns:
            Whether anything was built.
        """

    def aliases(self) -> dict[str, str]:
        """Return the physical collection of each alias."""

    def set_alias(self, alias: str, collection: str) -> None:
        """Point an alias at a collection, atomically."""

    def drop_alias(self, alias: str) -> None:
        """Take an alias away, if it is there; its collection stays."""

    def close(self) -> None:
        """Let go of the engine."""


def check_points(points: Sequence[Point], dimensions: int) -> None:
    """Refuse points that an engine would take and then hide or distort.

    A vector with a NaN or an infinity is stored by Qdrant and never found again, a way past a
    gate; a zero vector has no direction; one that is not of unit length is rewritten.

    Raises:
        PointError: Names the point and what is wrong with it.
    """
    if not points:
        return
    for point in points:
        try:
            if str(UUID(point.id)) != point.id:
                raise ValueError
        except (ValueError, AttributeError, TypeError):
            raise PointError(f"point {str(point.id)[:60]!r}: its id is not a UUID") from None
        if point.vector.shape != (dimensions,) or point.vector.dtype != np.float32:
            raise PointError(
                f"point {point.id}: vector of shape {point.vector.shape} and type "
                f"{point.vector.dtype}, expected ({dimensions},) float32"
            )
    matrix = np.stack([p.vector for p in points])
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        first = points[int(np.argmin(finite))]
        raise PointError(f"point {first.id}: vector holds NaN or infinity")
    norms = np.linalg.norm(matrix.astype(np.float64), axis=1)
    off = np.abs(norms - 1.0) > NORM_TOLERANCE
    if off.any():
        row = int(np.argmax(off))
        raise PointError(f"point {points[row].id}: vector of length {norms[row]:.4g}, expected 1")


def open_store(path: Path, url: str = "", api_key: str | None = None) -> Store:
    """Open the store a workspace is configured for.

    Args:
        path: Folder of the embedded engine; used when `url` is empty.
        url: Qdrant server or cluster; `memory:` for the numpy reference.
        api_key: For the server.

    Raises:
        LockedError: Another process has the embedded engine open.
        StoreError: Not reachable, or a folder in qdrant-client's own local format.
    """
    if url == "memory:":
        from ragguard.store.memory import MemoryStore

        return MemoryStore()
    from ragguard.store.qdrant import QdrantStore, connect

    if url:
        return QdrantStore(connect(url, api_key))
    if (path / "meta.json").exists() or (path / "collection").is_dir():
        raise StoreError(
            f"{path}: written by qdrant-client's local mode, which is never opened here: reading "
            "it executes pickles",
            hint="Copy it to a Qdrant server with qdrant-client's `migrate` in a place you trust.",
        )
    from ragguard.store.edge import open_edge

    return QdrantStore(open_edge(path, writable=True))
