"""Keep points in numpy arrays: the slow, obvious store that the engines are measured against.

Nothing is kept on disk. Ties are broken by point id.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from ragguard.errors import StoreError
from ragguard.model import Floats
from ragguard.store import Hits, Point, check_points

_NO_VECTOR = np.empty(0, dtype=np.float32)


class MemoryStore:
    """A `Store` in memory."""

    def __init__(self) -> None:
        self._dimensions: dict[str, int] = {}
        self._points: dict[str, dict[str, Point]] = {}
        self._aliases: dict[str, str] = {}

    def _resolve(self, collection: str) -> str:
        name = self._aliases.get(collection, collection)
        if name not in self._points:
            raise StoreError(f"collection {collection!r} does not exist")
        return name

    def create(self, collection: str, dimensions: int) -> None:
        """See `Store.create`."""
        known = self._dimensions.setdefault(collection, dimensions)
        if known != dimensions:
            raise StoreError(f"collection {collection!r} has {known} dimensions, not {dimensions}")
        self._points.setdefault(collection, {})

    def exists(self, collection: str) -> bool:
        """See `Store.exists`."""
        return self._aliases.get(collection, collection) in self._points

    def drop(self, collection: str) -> None:
        """See `Store.drop`."""
        self._points.pop(collection, None)
        self._dimensions.pop(collection, None)

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """See `Store.upsert`."""
        name = self._resolve(collection)
        check_points(points, self._dimensions[name])
        for p in points:
            self._points[name][p.id] = Point(p.id, p.vector.copy(), copy.deepcopy(dict(p.payload)))

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """See `Store.delete`."""
        points = self._points[self._resolve(collection)]
        for point in ids:
            points.pop(point, None)

    def get(self, collection: str, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """See `Store.get`."""
        points = self._points[self._resolve(collection)]
        return [_copy(points[i], vectors) for i in ids if i in points]

    def search(
        self,
        collection: str,
        vectors: Floats,
        k: int,
        *,
        exact: bool = True,
        scope: Collection[str] | None = None,
    ) -> Hits:
        """See `Store.search`; always exact."""
        points = sorted(self._points[self._resolve(collection)].values(), key=lambda p: p.id)
        points = [p for p in points if scope is None or _in_scope(p, scope)]
        if not points:
            return Hits([[] for _ in vectors], [[] for _ in vectors])
        matrix = np.stack([p.vector for p in points]).astype(np.float64)
        similarities = vectors.astype(np.float64) @ matrix.T
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        ids = [[points[j].id for j in row] for row in order]
        return Hits(ids, np.take_along_axis(similarities, order, axis=1).tolist())

    def nearest(
        self,
        collection: str,
        vector: Floats,
        k: int,
        *,
        exact: bool = False,
        scope: Collection[str] | None = None,
    ) -> list[tuple[Point, float]]:
        """See `Store.nearest`; always exact."""
        hits = self.search(collection, vector[None, :], k, scope=scope)
        points = self.get(collection, hits.ids[0], vectors=True)
        return list(zip(points, hits.similarities[0], strict=True))

    def scan(
        self, collection: str, *, vectors: bool = False, batch: int = 1000
    ) -> Iterator[list[Point]]:
        """See `Store.scan`."""
        points = self._points[self._resolve(collection)]
        ids = sorted(points)
        for start in range(0, len(ids), batch):
            yield [_copy(points[i], vectors) for i in ids[start : start + batch]]

    def count(self, collection: str) -> int:
        """See `Store.count`."""
        return len(self._points[self._resolve(collection)])

    def flush(self, collection: str) -> None:
        """See `Store.flush`; nothing to do."""
        self._resolve(collection)

    def maintain(self, collection: str, index_after: int) -> bool:
        """See `Store.maintain`; never anything to build."""
        return False

    def aliases(self) -> dict[str, str]:
        """See `Store.aliases`."""
        return dict(self._aliases)

    def set_alias(self, alias: str, collection: str) -> None:
        """See `Store.set_alias`."""
        self._resolve(collection)
        self._aliases[alias] = collection

    def drop_alias(self, alias: str) -> None:
        """See `Store.drop_alias`."""
        self._aliases.pop(alias, None)

    def close(self) -> None:
        """See `Store.close`; nothing to do."""


def _in_scope(point: Point, scope: Collection[str]) -> bool:
    own = point.payload.get("ragguard")
    own_scope = own.get("scope") if isinstance(own, Mapping) else None
    values = own_scope if isinstance(own_scope, list) else [own_scope]
    return any(isinstance(value, str) and value in scope for value in values)


def _copy(point: Point, vectors: bool) -> Point:
    vector = point.vector.copy() if vectors else _NO_VECTOR
    return Point(point.id, vector, copy.deepcopy(dict(point.payload)))
