"""Store points through `QdrantClient`: embedded, server or cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException

from ragguard.config import check_key, without_credentials
from ragguard.config.outside import by_proxy
from ragguard.errors import StoreError
from ragguard.model import Floats
from ragguard.store import PAYLOAD_INDEXES, SCOPE, Hits, Point, check_points

BATCH = 500
_NO_VECTOR = np.empty(0, dtype=np.float32)
_TENANT = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
_EXACT = models.SearchParams(exact=True)


def connect(url: str, api_key: str | None) -> QdrantClient:
    """Connect a client to a Qdrant server.

    Raises:
        ConfigError: The key would go over the network in the clear.
        StoreError: Not reachable, or it refuses the key.
    """
    check_key(url, api_key)
    client = QdrantClient(
        url=url, api_key=api_key, timeout=60, check_compatibility=False, trust_env=by_proxy(url)
    )
    _call(client.get_collections, what=f"connect to {without_credentials(url)}")
    return client


def _call(method: Callable[..., Any], *args: Any, what: str, **kwargs: Any) -> Any:
    try:
        return method(*args, **kwargs)
    except (ApiException, ResponseHandlingException, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise StoreError(
            f"store: cannot {what}: {text}",
            hint="`ragguard doctor` looks at the store.",
        ) from error


class QdrantStore:
    """A `Store` on a `QdrantClient`."""

    def __init__(self, client: QdrantClient) -> None:
        self.client = client
        self._dimensions: dict[str, int] = {}
        self._scoped: dict[str, bool] = {}

    def create(self, collection: str, dimensions: int) -> None:
        """See `Store.create`."""
        if not self.exists(collection):
            # Payload indexes come before the data: one made later leaves the search graph without
            # the links that filtered search needs.
            params = models.VectorParams(size=dimensions, distance=models.Distance.COSINE)
            _call(
                self.client.create_collection,
                collection,
                vectors_config=params,
                what=f"create collection {collection!r}",
            )
            keyword = models.PayloadSchemaType.KEYWORD
            schemas: dict[str, Any] = {
                f: _TENANT if f == SCOPE else keyword for f in PAYLOAD_INDEXES
            }
            together = getattr(self.client._client, "create_payload_indexes", None)
            if together is not None:
                _call(together, collection, schemas, what="index payload fields")
                schemas = {}
            for field, schema in schemas.items():
                _call(
                    self.client.create_payload_index,
                    collection,
                    field_name=field,
                    field_schema=schema,
                    wait=True,
                    what=f"index {field!r}",
                )
        size = self._size(collection)
        if size != dimensions:
            raise StoreError(
                f"collection {collection!r} has {size} dimensions, expected {dimensions}",
                hint="It was built with another model; choose another collection name.",
            )

    def _size(self, collection: str) -> int:
        if collection not in self._dimensions:
            details = _call(self.client.get_collection, collection, what=f"read {collection!r}")
            params = details.config.params.vectors
            if not isinstance(params, models.VectorParams):
                raise StoreError(f"collection {collection!r} has named vectors, expected one")
            if params.distance != models.Distance.COSINE:
                raise StoreError(
                    f"collection {collection!r} measures {params.distance}, not cosine"
                )
            self._dimensions[collection] = params.size
        return self._dimensions[collection]

    def exists(self, collection: str) -> bool:
        """See `Store.exists`."""
        return bool(
            _call(self.client.collection_exists, collection, what=f"look up {collection!r}")
        )

    def drop(self, collection: str) -> None:
        """See `Store.drop`."""
        if self.exists(collection):
            _call(self.client.delete_collection, collection, what=f"drop {collection!r}")
        self._dimensions.pop(collection, None)
        self._scoped.pop(collection, None)

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """See `Store.upsert`."""
        check_points(points, self._size(collection))
        for start in range(0, len(points), BATCH):
            structs = [
                models.PointStruct(id=p.id, vector=p.vector.tolist(), payload=dict(p.payload))
                for p in points[start : start + BATCH]
            ]
            _call(self.client.upsert, collection, points=structs, wait=True, what="write points")

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """See `Store.delete`."""
        for start in range(0, len(ids), BATCH):
            selector = models.PointIdsList(points=list(ids[start : start + BATCH]))
            _call(
                self.client.delete,
                collection,
                points_selector=selector,
                wait=True,
                what="delete points",
            )

    def get(self, collection: str, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """See `Store.get`."""
        points: dict[str, Point] = {}
        for start in range(0, len(ids), BATCH):
            records = _call(
                self.client.retrieve,
                collection,
                ids=list(ids[start : start + BATCH]),
                with_payload=True,
                with_vectors=vectors,
                what="read points",
            )
            points.update((str(r.id), _point(r)) for r in records)
        return [points[i] for i in ids if i in points]

    def search(
        self,
        collection: str,
        vectors: Floats,
        k: int,
        *,
        exact: bool = True,
        scope: Collection[str] | None = None,
    ) -> Hits:
        """See `Store.search`."""
        ids: list[list[str]] = []
        similarities: list[list[float]] = []
        plain = exact and scope is None
        nearest = getattr(self.client._client, "nearest", None) if plain else None
        for start in range(0, len(vectors), BATCH):
            rows = vectors[start : start + BATCH].tolist()
            if nearest is not None:
                answers = _call(nearest, collection, rows, k, exact, what="search")
            else:
                answers = self._query(collection, rows, k, exact, scope)
            ids.extend([point for point, _ in hits] for hits in answers)
            similarities.extend([similarity for _, similarity in hits] for hits in answers)
        return Hits(ids, similarities)

    def _query(
        self,
        collection: str,
        rows: list[list[float]],
        k: int,
        exact: bool,
        scope: Collection[str] | None,
    ) -> list[list[tuple[str, float]]]:
        params = models.SearchParams(exact=exact or not self._may_use_graph(collection, scope))
        where = _in_scope(scope)
        requests = [
            models.QueryRequest(query=row, limit=k, params=params, filter=where) for row in rows
        ]
        answers = _call(
            self.client.query_batch_points, collection, requests=requests, what="search"
        )
        return [[(str(p.id), float(p.score)) for p in a.points] for a in answers]

    def nearest(
        self,
        collection: str,
        vector: Floats,
        k: int,
        *,
        exact: bool = False,
        scope: Collection[str] | None = None,
    ) -> list[tuple[Point, float]]:
        """See `Store.nearest`."""
        exact = exact or not self._may_use_graph(collection, scope)
        straight = getattr(self.client._client, "nearest_points", None)
        if straight is not None:
            where = _in_scope(scope)
            neighbours = _call(
                straight, collection, vector.tolist(), k, exact, where, what="search"
            )
            return [
                (Point(i, np.asarray(v, dtype=np.float32), payload or {}), similarity)
                for i, similarity, payload, v in neighbours
            ]
        answer = _call(
            self.client.query_points,
            collection,
            query=vector.tolist(),
            limit=k,
            with_payload=True,
            with_vectors=True,
            query_filter=_in_scope(scope),
            search_params=_EXACT if exact else None,
            what="search",
        )
        return [(_point(p), float(p.score)) for p in answer.points]

    def _may_use_graph(self, collection: str, scope: Collection[str] | None) -> bool:
        """Whether the graph has links for the filter: without an index of it, points are missed."""
        if scope is None:
            return True
        if collection not in self._scoped:
            details = _call(self.client.get_collection, collection, what=f"read {collection!r}")
            self._scoped[collection] = SCOPE in (details.payload_schema or {})
        return self._scoped[collection]

    def scan(
        self, collection: str, *, vectors: bool = False, batch: int = 1000
    ) -> Iterator[list[Point]]:
        """See `Store.scan`."""
        offset: Any = None
        while True:
            records, offset = _call(
                self.client.scroll,
                collection,
                limit=batch,
                offset=offset,
                with_payload=True,
                with_vectors=vectors,
                what="scan",
            )
            if records:
                yield [_point(r) for r in records]
            if offset is None:
                return

    def count(self, collection: str) -> int:
        """See `Store.count`."""
        return int(_call(self.client.count, collection, exact=True, what="count").count)

    def flush(self, collection: str) -> None:
        """See `Store.flush`; a server has acknowledged durably already."""
        flush = getattr(self.client._client, "flush", None)
        if flush is not None:
            _call(flush, collection, what="flush")

    def maintain(self, collection: str, index_after: int) -> bool:
        """See `Store.maintain`; a server builds its graph by itself."""
        build = getattr(self.client._client, "build_index", None)
        if build is None:
            return False
        return bool(_call(build, collection, index_after, what="build the search graph"))

    def aliases(self) -> dict[str, str]:
        """See `Store.aliases`."""
        answer = _call(self.client.get_aliases, what="read aliases")
        return {a.alias_name: a.collection_name for a in answer.aliases}

    def set_alias(self, alias: str, collection: str) -> None:
        """See `Store.set_alias`."""
        create = models.CreateAlias(collection_name=collection, alias_name=alias)
        operations: list[Any] = [models.CreateAliasOperation(create_alias=create)]
        if alias in self.aliases():
            remove = models.DeleteAlias(alias_name=alias)
            operations.insert(0, models.DeleteAliasOperation(delete_alias=remove))
        _call(
            self.client.update_collection_aliases,
            change_aliases_operations=operations,
            what=f"point the alias {alias!r} at {collection!r}",
        )

    def drop_alias(self, alias: str) -> None:
        """See `Store.drop_alias`."""
        if alias in self.aliases():
            remove = models.DeleteAlias(alias_name=alias)
            _call(
                self.client.update_collection_aliases,
                change_aliases_operations=[models.DeleteAliasOperation(delete_alias=remove)],
                what=f"take the alias {alias!r} away",
            )

    def close(self) -> None:
        """See `Store.close`."""
        self.client.close()


def _in_scope(scope: Collection[str] | None) -> models.Filter | None:
    if scope is None:
        return None
    match = models.MatchAny(any=sorted(scope))
    return models.Filter(must=[models.FieldCondition(key=SCOPE, match=match)])


def _point(record: Any) -> Point:
    vector = _NO_VECTOR if record.vector is None else np.asarray(record.vector, dtype=np.float32)
    return Point(str(record.id), vector, record.payload or {})
