"""Speak to Qdrant Edge, Qdrant's own engine in this process, as to a `QdrantClient`.

`EdgeBackend` implements the part of qdrant-client's interface that ragguard and the readers of its
index need, over one shard folder a collection; `open_edge` returns a `QdrantClient` on it. What the
engine does not do, or does silently wrong, is refused here with a `StoreError`:

- A filter on a boolean never matches: refused; flags are kept as strings.
- A payload index made after data leaves filtered search without graph links: refused once there is
  data.
- A search that returns too few points is asked again exactly.
- Queries by id are answered by reading the vector first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as edge
from pydantic_core import to_jsonable_python
from qdrant_client import QdrantClient, models
from qdrant_client.client_base import QdrantBase
from qdrant_client.http.models import QueryResponse

from ragguard.errors import StoreError
from ragguard.store.edge_convert import (
    dense,
    filter_of,
    ids_of,
    plain,
    structs,
    to_filter,
    to_id,
    to_payload,
    to_record,
    to_scored,
)
from ragguard.store.edge_shards import Shards, call

LIMIT = 10  # Qdrant's default
_DISTANCES = {models.Distance.COSINE: edge.Distance.Cosine}
_DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
_SCHEMAS = {
    models.PayloadSchemaType.KEYWORD: edge.PayloadSchemaType.Keyword,
    models.PayloadSchemaType.INTEGER: edge.PayloadSchemaType.Integer,
    models.PayloadSchemaType.FLOAT: edge.PayloadSchemaType.Float,
}


def open_edge(root: Path, *, writable: bool = False) -> QdrantClient:
    """Open a `QdrantClient` on an embedded index, to read it.

    Args:
        root: Folder of the index; made when missing, if it may be written.
        writable: Whether it may be written; only the gate writes. Else whatever would change a
            point, a collection or an alias is refused with a `StoreError`.

    Raises:
        StoreError: There is no such folder, and it may not be made.
    """
    client = QdrantClient(":memory:")
    client._client.close()
    client._client = EdgeBackend(root, writable=writable)
    return client


class EdgeBackend(QdrantBase):
    """Collections as Edge shards below a folder."""

    def __init__(self, root: Path, *, writable: bool = False) -> None:
        super().__init__()
        self._shards = Shards(root, writable=writable)

    def flush(self, collection_name: str) -> None:
        """Return once everything written to a collection is on disk."""
        self._shards.flush(collection_name)

    def build_index(self, collection_name: str, index_after: int) -> bool:
        """See `Shards.build_index`."""
        return self._shards.build_index(collection_name, index_after)

    def close(self, **kwargs: Any) -> None:
        """Flush and close every shard."""
        self._shards.close()

    def _update(
        self, name: str, operation: Any, points: int = 0, size: int = 0
    ) -> models.UpdateResult:
        self._shards.update(name, operation, points, size)
        return _DONE

    # --- collections ------------------------------------------------------------------------------

    def create_collection(
        self, collection_name: str, vectors_config: Any = None, **kwargs: Any
    ) -> bool:
        """Make a collection of one unnamed vector, cosine."""
        if not isinstance(vectors_config, models.VectorParams):
            raise StoreError("embedded index: one unnamed dense vector a collection")
        distance = _DISTANCES.get(vectors_config.distance)
        if distance is None:
            raise StoreError(f"embedded index: {vectors_config.distance} is not supported")
        if self._shards.exists(collection_name):
            raise StoreError(f"collection {collection_name!r} exists")
        params = edge.EdgeVectorParams(size=vectors_config.size, distance=distance)
        self._shards.create(
            collection_name,
            vectors_config.size,
            vectors_config.distance.value,
            edge.EdgeConfig(vectors=params),
        )
        return True

    def collection_exists(self, collection_name: str, **kwargs: Any) -> bool:
        """Tell whether a collection or alias is there."""
        return self._shards.exists(collection_name)

    def delete_collection(self, collection_name: str, **kwargs: Any) -> bool:
        """Delete a collection with its files."""
        self._shards.drop(self._shards.resolve(collection_name))
        return True

    def get_collections(self, **kwargs: Any) -> models.CollectionsResponse:
        """Return the names of all collections."""
        return models.CollectionsResponse(
            collections=[models.CollectionDescription(name=n) for n in self._shards.names()]
        )

    def get_collection(self, collection_name: str, **kwargs: Any) -> models.CollectionInfo:
        """Size, distance, payload indexes and counts of a collection."""
        physical = self._shards.resolve(collection_name)
        settings = self._shards.settings(physical)
        with self._shards.held(physical) as shard:
            facts = call(shard.info)
        size, distance = self._shards.shape(physical)
        vectors = models.VectorParams(size=size, distance=models.Distance(distance))
        schema = {
            name: models.PayloadIndexInfo(data_type=kind, points=facts.points_count)
            for name, kind in settings["indexes"].items()
        }
        return models.CollectionInfo(
            status=models.CollectionStatus.GREEN,
            optimizer_status=models.OptimizersStatusOneOf.OK,
            indexed_vectors_count=facts.indexed_vectors_count,
            points_count=facts.points_count,
            segments_count=facts.segments_count,
            payload_schema=schema,
            config=models.CollectionConfig(
                params=models.CollectionParams(vectors=vectors),
                hnsw_config=models.HnswConfig(m=16, ef_construct=100, full_scan_threshold=10_000),
                optimizer_config=models.OptimizersConfig(
                    deleted_threshold=0.2,
                    vacuum_min_vector_number=1000,
                    default_segment_number=0,
                    flush_interval_sec=5,
                ),
            ),
        )

    def create_payload_index(
        self,
        collection_name: str,
        field_name: str,
        field_schema: Any = None,
        field_type: Any = None,
        **kwargs: Any,
    ) -> models.UpdateResult:
        """Index a payload field; only while the collection is empty."""
        self.create_payload_indexes(collection_name, {field_name: field_schema})
        return _DONE

    def create_payload_indexes(self, collection_name: str, schemas: Mapping[str, Any]) -> None:
        """Index payload fields, and wait for the disk once; only while the collection is empty."""
        physical = self._shards.resolve(collection_name)
        settings = self._shards.settings(physical)
        new: dict[str, str] = {}
        for field, schema in schemas.items():
            # Parameters of a keyword index, such as a server's for tenants, mean nothing here.
            kind = models.PayloadSchemaType(getattr(schema, "type", schema))
            if kind not in _SCHEMAS:
                raise StoreError(f"embedded index: payload index of type {kind.value}")
            if settings["indexes"].get(field) == kind.value:
                continue
            if not new and self.count(physical).count:
                raise StoreError(
                    f"embedded index: the payload index on {field!r} comes too late, there is "
                    "data; filtered search would silently miss points",
                    hint="Create payload indexes before data, in a new collection.",
                )
            self._update(physical, edge.UpdateOperation.create_field_index(field, _SCHEMAS[kind]))
            new[field] = kind.value
        if new:
            self.flush(physical)
            settings["indexes"] |= new
            self._shards.set_settings(physical, settings)

    # --- aliases ----------------------------------------------------------------------------------

    def update_collection_aliases(
        self, change_aliases_operations: Sequence[Any], **kwargs: Any
    ) -> bool:
        """Change aliases: all operations take effect at once."""
        aliases = self._shards.aliases()
        for operation in change_aliases_operations:
            if isinstance(operation, models.CreateAliasOperation):
                create = operation.create_alias
                aliases[create.alias_name] = self._shards.resolve(create.collection_name)
            elif isinstance(operation, models.DeleteAliasOperation):
                aliases.pop(operation.delete_alias.alias_name, None)
            else:
                rename = operation.rename_alias
                aliases[rename.new_alias_name] = aliases.pop(rename.old_alias_name)
        self._shards.set_aliases(aliases)
        return True

    def get_aliases(self, **kwargs: Any) -> models.CollectionsAliasesResponse:
        """Return all aliases."""
        listed = [
            models.AliasDescription(alias_name=a, collection_name=c)
            for a, c in sorted(self._shards.aliases().items())
        ]
        return models.CollectionsAliasesResponse(aliases=listed)

    def get_collection_aliases(
        self, collection_name: str, **kwargs: Any
    ) -> models.CollectionsAliasesResponse:
        """Return the aliases of one collection."""
        every = self.get_aliases().aliases
        kept = [a for a in every if a.collection_name == collection_name]
        return models.CollectionsAliasesResponse(aliases=kept)

    # --- writing ----------------------------------------------------------------------------------

    def upsert(self, collection_name: str, points: Any, **kwargs: Any) -> models.UpdateResult:
        """Write points given as `PointStruct`s or as a `Batch`."""
        given = structs(points)
        converted = [
            edge.Point(to_id(p.id), dense(p.vector), to_jsonable_python(p.payload or {}))
            for p in given
        ]
        operation = edge.UpdateOperation.upsert_points(converted)
        size = sum(4 * len(dense(p.vector)) + len(repr(p.payload)) for p in given)
        return self._update(collection_name, operation, len(converted), size)

    def delete(
        self, collection_name: str, points_selector: Any, **kwargs: Any
    ) -> models.UpdateResult:
        """Delete points by ids or filter."""
        where = filter_of(points_selector)
        if where is not None:
            operation = edge.UpdateOperation.delete_points_by_filter(to_filter(where))
        else:
            operation = edge.UpdateOperation.delete_points(ids_of(points_selector))
        return self._update(collection_name, operation, 1)

    def set_payload(
        self,
        collection_name: str,
        payload: Mapping[str, Any],
        points: Any,
        key: str | None = None,
        **kwargs: Any,
    ) -> models.UpdateResult:
        """Merge payload fields into points."""
        values = to_jsonable_python(dict(payload))
        where = filter_of(points)
        if where is not None:
            operation = edge.UpdateOperation.set_payload_by_filter(to_filter(where), values, key)
        else:
            operation = edge.UpdateOperation.set_payload(ids_of(points), values, key)
        return self._update(collection_name, operation, 1)

    # --- reading ----------------------------------------------------------------------------------

    def retrieve(
        self,
        collection_name: str,
        ids: Sequence[Any],
        with_payload: Any = True,
        with_vectors: Any = False,
        **kwargs: Any,
    ) -> list[models.Record]:
        """List points by id."""
        wanted = [to_id(i) for i in ids]
        with self._shards.held(collection_name) as shard:
            records = call(shard.retrieve, wanted, to_payload(with_payload), bool(with_vectors))
        return [to_record(r) for r in records]

    def scroll(
        self,
        collection_name: str,
        scroll_filter: Any = None,
        limit: int = 10,
        order_by: Any = None,
        offset: Any = None,
        with_payload: Any = True,
        with_vectors: Any = False,
        **kwargs: Any,
    ) -> tuple[list[models.Record], Any]:
        """List points in id order, a page at a time."""
        if order_by is not None:
            raise StoreError("embedded index: scroll in id order only")
        request = edge.ScrollRequest(
            offset=None if offset is None else to_id(offset),
            limit=limit,
            filter=to_filter(scroll_filter),
            with_payload=to_payload(with_payload),
            with_vector=bool(with_vectors),
        )
        with self._shards.held(collection_name) as shard:
            records, following = call(shard.scroll, request)
        return [to_record(r) for r in records], None if following is None else plain(following)

    def count(
        self, collection_name: str, count_filter: Any = None, exact: bool = True, **kwargs: Any
    ) -> models.CountResult:
        """Number of points."""
        request = edge.CountRequest(exact=exact, filter=to_filter(count_filter))
        with self._shards.held(collection_name) as shard:
            return models.CountResult(count=call(shard.count, request))

    def facet(
        self,
        collection_name: str,
        key: str,
        facet_filter: Any = None,
        limit: int = 10,
        exact: bool = False,
        **kwargs: Any,
    ) -> models.FacetResponse:
        """Return the counts by value of an indexed payload field."""
        request = edge.FacetRequest(
            key=key, limit=limit, exact=exact, filter=to_filter(facet_filter)
        )
        with self._shards.held(collection_name) as shard:
            answer = call(shard.facet, request)
        hits = [models.FacetValueHit(value=h.value, count=h.count) for h in answer.hits]
        return models.FacetResponse(hits=hits)

    def nearest(
        self, collection_name: str, vectors: list[list[float]], k: int, exact: bool
    ) -> list[list[tuple[str, float]]]:
        """Find the nearest points of many vectors: ids and similarities, without payloads.

        What `query_batch_points` does, without a model object for every hit: neighbour search asks
        for hundreds of thousands of them.
        """
        params = edge.SearchParams(exact=exact)
        requests = [
            edge.QueryRequest(limit=k, query=edge.Query.Nearest(v), params=params) for v in vectors
        ]
        with self._shards.held(collection_name) as shard:
            batches = call(shard.query_batch, edge.QueryBatchRequest(requests))
        return [[(str(p.id), p.score) for p in batch] for batch in batches]

    def nearest_points(
        self, collection_name: str, vector: list[float], k: int, exact: bool, where: Any
    ) -> list[tuple[str, float, Mapping[str, Any] | None, list[float]]]:
        """Find the nearest points of a vector: ids, similarities, payloads and vectors.

        What `query_points` does, without a model object for the question and for every hit: a
        retriever asks while somebody waits.
        """
        conditions = to_filter(where)

        def asked(exactly: bool) -> Any:
            return edge.QueryRequest(
                limit=k,
                query=edge.Query.Nearest(vector),
                with_vector=True,
                with_payload=True,
                filter=conditions,
                params=edge.SearchParams(exact=exactly),
            )

        with self._shards.held(collection_name) as shard:
            points = call(shard.query, asked(exact))
            if not exact and self._short(collection_name, k, len(points), where):
                points = call(shard.query, asked(True))
        return [(str(p.id), p.score, p.payload, dense(p.vector)) for p in points]

    def query_points(
        self,
        collection_name: str,
        query: Any = None,
        using: str | None = None,
        prefetch: Any = None,
        query_filter: Any = None,
        search_params: Any = None,
        limit: int = 10,
        offset: int | None = None,
        with_payload: Any = True,
        with_vectors: Any = False,
        score_threshold: float | None = None,
        lookup_from: Any = None,
        **kwargs: Any,
    ) -> QueryResponse:
        """Nearest points of one query."""
        if prefetch is not None or using or lookup_from is not None:
            raise StoreError("embedded index: no prefetch and no named vectors")
        request = models.QueryRequest(
            query=self._vector(collection_name, query),
            filter=query_filter,
            params=search_params,
            limit=limit,
            offset=offset,
            with_payload=with_payload,
            with_vector=bool(with_vectors),
            score_threshold=score_threshold,
        )
        return self.query_batch_points(collection_name, [request])[0]

    def query_batch_points(
        self, collection_name: str, requests: Sequence[models.QueryRequest], **kwargs: Any
    ) -> list[QueryResponse]:
        """Nearest points of many queries, planned as one."""
        with self._shards.held(collection_name) as shard:
            converted = [self._request(collection_name, r, r.params) for r in requests]
            batches = call(shard.query_batch, edge.QueryBatchRequest(converted))
            for row, (request, points) in enumerate(zip(requests, batches, strict=True)):
                exact = request.params is not None and request.params.exact
                few = exact or request.score_threshold is not None  # rightly so
                wanted, after = request.limit or LIMIT, request.offset or 0
                got = len(points)
                if not few and self._short(collection_name, wanted, got, request.filter, after):
                    params = models.SearchParams(exact=True)
                    again = self._request(collection_name, request, params)
                    batches[row] = call(shard.query, again)
        return [QueryResponse(points=[to_scored(p) for p in b]) for b in batches]

    def _short(self, name: str, wanted: int, got: int, where: Any, after: int = 0) -> bool:
        """Tell whether fewer points came than asked for: the graph may have missed some."""
        if got >= wanted:
            return False
        return where is not None or got + after < self.count(name).count

    def _request(self, name: str, request: models.QueryRequest, params: Any) -> Any:
        vector = self._vector(name, request.query)
        return edge.QueryRequest(
            limit=request.limit or LIMIT,
            offset=request.offset or 0,
            query=None if vector is None else edge.Query.Nearest(vector),
            with_vector=bool(request.with_vector),
            with_payload=to_payload(request.with_payload),
            filter=to_filter(request.filter),
            score_threshold=request.score_threshold,
            params=edge.SearchParams(
                hnsw_ef=params.hnsw_ef if params else None,
                exact=bool(params and params.exact),
            ),
        )

    def _vector(self, name: str, query: Any) -> list[float] | None:
        if isinstance(query, models.NearestQuery):
            query = query.nearest
        if query is None:
            return None
        if isinstance(query, str | int | UUID):
            records = self.retrieve(name, [query], with_payload=False, with_vectors=True)
            if not records:
                raise StoreError(f"embedded index: no point {query} to search by")
            query = records[0].vector
        if hasattr(query, "tolist"):
            query = query.tolist()
        if not isinstance(query, list) or (query and not isinstance(query[0], int | float)):
            raise StoreError(f"embedded index: query of type {type(query).__name__}")
        return query
