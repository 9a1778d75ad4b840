"""Convert requests and answers of qdrant-client to those of Qdrant Edge, and back.

What the engine does not honour is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import qdrant_edge as edge
from qdrant_client import models

from ragguard.errors import StoreError


def to_id(value: Any) -> Any:
    """Convert a point id to what the engine takes: an integer or a UUID."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise StoreError(f"embedded index: point id {str(value)[:60]!r} is no UUID") from None


def to_filter(where: models.Filter | None) -> Any:
    """Convert a filter.

    Raises:
        StoreError: A condition the engine lacks, or one on a boolean, which would never match.
    """
    if where is None:
        return None
    if where.min_should is not None:
        raise StoreError("embedded index: filter with min_should")
    return edge.Filter(
        must=_conditions(where.must),
        should=_conditions(where.should),
        must_not=_conditions(where.must_not),
    )


def _conditions(value: Any) -> list[Any] | None:
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    return [_condition(item) for item in items] or None


def _condition(item: Any) -> Any:
    if isinstance(item, models.Filter):
        return to_filter(item)
    if isinstance(item, models.HasIdCondition):
        return edge.HasIdCondition({to_id(i) for i in item.has_id})
    if isinstance(item, models.IsEmptyCondition):
        return edge.IsEmptyCondition(item.is_empty.key)
    if isinstance(item, models.IsNullCondition):
        return edge.IsNullCondition(item.is_null.key)
    if isinstance(item, models.FieldCondition):
        return edge.FieldCondition(
            key=item.key, match=_match(item.key, item.match), range=_range(item.key, item.range)
        )
    raise StoreError(f"embedded index: filter condition {type(item).__name__}")


def _match(key: str, match: Any) -> Any:
    if match is None:
        return None
    if isinstance(match, models.MatchValue):
        if isinstance(match.value, bool):
            raise StoreError(
                f"embedded index: a boolean filter on {key!r} never matches",
                hint="Keep flags as strings, such as 'true'.",
            )
        return edge.MatchValue(match.value)
    if isinstance(match, models.MatchAny):
        return edge.MatchAny(_values(match.any))
    if isinstance(match, models.MatchExcept):
        return edge.MatchExcept(_values(match.except_))
    if isinstance(match, models.MatchText):
        return edge.MatchText(match.text)
    raise StoreError(f"embedded index: {type(match).__name__} on {key!r}")


def _range(key: str, limits: Any) -> Any:
    if limits is None:
        return None
    if isinstance(limits, models.Range):
        return edge.RangeFloat(gte=limits.gte, gt=limits.gt, lte=limits.lte, lt=limits.lt)
    raise StoreError(f"embedded index: {type(limits).__name__} on {key!r}")


def _values(values: Any) -> Any:
    return list(values)


def structs(points: Any) -> Iterable[models.PointStruct]:
    """List points as `PointStruct`s, from a list or a `Batch`."""
    if isinstance(points, models.Batch):
        payloads: Any = points.payloads or [None] * len(points.ids)
        vectors: Any = points.vectors
        return [
            models.PointStruct(id=i, vector=v, payload=p)
            for i, v, p in zip(points.ids, vectors, payloads, strict=True)
        ]
    return list(points)


def dense(vector: Any) -> list[float]:
    """Return the one dense vector of a point.

    Raises:
        StoreError: Named, sparse or multi-vectors.
    """
    if not isinstance(vector, list):
        raise StoreError("embedded index: one unnamed dense vector a point")
    return vector


def filter_of(selector: Any) -> models.Filter | None:
    """Return the filter in a selector, if it is one."""
    if isinstance(selector, models.FilterSelector):
        return selector.filter
    return selector if isinstance(selector, models.Filter) else None


def ids_of(selector: Any) -> list[Any]:
    """List the ids in a selector."""
    ids = selector.points if isinstance(selector, models.PointIdsList) else selector
    return [to_id(i) for i in ids]


def to_payload(selector: Any) -> Any:
    """Convert a payload selector to what the engine takes."""
    if isinstance(selector, models.PayloadSelectorInclude):
        return edge.PayloadSelector.Include(selector.include)
    if isinstance(selector, models.PayloadSelectorExclude):
        return edge.PayloadSelector.Exclude(selector.exclude)
    return selector if isinstance(selector, list) else bool(selector)


def plain(point_id: Any) -> Any:
    """Convert a point id to what qdrant-client gives."""
    return str(point_id) if isinstance(point_id, UUID) else point_id


def to_record(record: Any) -> models.Record:
    """Convert a stored point."""
    return models.Record.model_construct(
        id=plain(record.id), payload=record.payload, vector=record.vector
    )


def to_scored(point: Any) -> models.ScoredPoint:
    """Convert a found point."""
    return models.ScoredPoint.model_construct(
        id=plain(point.id),
        version=point.version,
        score=point.score,
        payload=point.payload,
        vector=point.vector,
    )
