"""Calls of qdrant-client on the embedded engine: as on its local mode, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from ragguard.errors import StoreError
from ragguard.store import Point, open_store
from ragguard.store.edge import open_edge
from tests.store.conftest import COSINE, LEGAL, D, embedded, make_points, matching, unit


def test_a_query_by_id_reads_the_vector_first(tmp_path: Path) -> None:
    store = embedded(tmp_path / "i", 30)
    wanted = make_points(30)[4]
    found = store.client.query_points("c", query=wanted.id, limit=1).points
    assert found[0].id == wanted.id


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.query_points("c", query=models.OrderByQuery(order_by="metadata.rank")),
        lambda c: c.query_points("c", query=[0.1] * D, using="title"),
        lambda c: c.query_points("c", prefetch=models.Prefetch(limit=1), query=[0.1] * D),
        lambda c: c.scroll("c", order_by="metadata.rank"),
        lambda c: c.create_collection("x", vectors_config={}),
        lambda c: c.create_collection(
            "x", vectors_config=models.VectorParams(size=4, distance=models.Distance.DOT)
        ),
        lambda c: c.count(
            "c",
            count_filter=models.Filter(
                must=[models.FieldCondition(key="a", match=models.MatchPhrase(phrase="x"))]
            ),
        ),
    ],
)
def test_what_the_engine_lacks_is_refused_by_name(tmp_path: Path, call: object) -> None:
    store = embedded(tmp_path / "i", 3)
    with pytest.raises(StoreError):
        call(store.client)


def test_the_local_mode_format_is_refused_because_it_executes_pickles(tmp_path: Path) -> None:
    client = QdrantClient(path=str(tmp_path / "local"))
    client.create_collection("c", vectors_config=COSINE)
    client.close()
    with pytest.raises(StoreError, match="pickle"):
        open_store(tmp_path / "local")


Call = Callable[[QdrantClient, list[Point]], Any]


def asking(**query: Any) -> Call:
    """A search for the third point."""
    return lambda c, p: c.query_points("c", query=p[2].vector.tolist(), **query).points


CALLS: dict[str, Call] = {
    "retrieve": lambda c, p: c.retrieve("c", [p[1].id], with_vectors=True),
    "scroll filter": lambda c, p: c.scroll("c", scroll_filter=LEGAL, limit=100)[0],
    "scroll page": lambda c, p: c.scroll("c", limit=3, offset=p[3].id)[0],
    "count filter": lambda c, p: c.count("c", count_filter=LEGAL),
    "query": asking(limit=5),
    "query offset": asking(limit=5, offset=3),
    "query threshold": asking(limit=50, score_threshold=0.2),
    "query include": asking(limit=2, with_payload=["page_content"]),
    "query not": asking(
        limit=40,
        query_filter=models.Filter(
            must_not=[models.HasIdCondition(has_id=[make_points(40)[2].id])]
        ),
    ),
    "query range": asking(
        limit=40,
        query_filter=models.Filter(
            must=[models.FieldCondition(key="metadata.rank", range=models.Range(gte=5, lt=9))]
        ),
    ),
    "query any": asking(
        limit=40,
        query_filter=models.Filter(should=[matching("metadata.department", any=["it", "x"])]),
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_one_call_on_the_embedded_engine_and_on_local_mode_gives_the_same(
    tmp_path: Path, call: Call
) -> None:
    """Congruence with qdrant-client's in-memory mode, the (imperfect) oracle."""
    points = make_points(40)
    local = QdrantClient(":memory:")
    answers = []
    for client in (local, open_edge(tmp_path / "i", writable=True)):
        client.create_collection("c", vectors_config=COSINE)
        client.upsert(
            "c",
            points=[
                models.PointStruct(id=p.id, vector=p.vector.tolist(), payload=dict(p.payload))
                for p in points
            ],
        )
        answers.append(call(client, points))
    want, got = answers
    if isinstance(want, list):
        assert [r.id for r in got] == [r.id for r in want]
        assert [r.payload for r in got] == [r.payload for r in want]
        assert all(
            abs(getattr(a, "score", 0) - getattr(b, "score", 0)) < 1e-5
            for a, b in zip(want, got, strict=True)
        )
    else:
        assert got == want


def test_set_payload_and_delete_by_filter(tmp_path: Path) -> None:
    store = embedded(tmp_path / "i", 10)
    first = make_points(1)[0].id
    store.client.set_payload("c", payload={"extra": "x"}, points=[first])
    assert store.get("c", [first])[0].payload["extra"] == "x"
    store.client.delete("c", points_selector=models.FilterSelector(filter=LEGAL))
    assert store.count("c") == 5


def test_points_may_come_as_a_batch_and_with_integer_ids(tmp_path: Path) -> None:
    client = open_edge(tmp_path / "i", writable=True)
    client.create_collection("c", vectors_config=COSINE)
    rows = unit(np.eye(D)[:2])
    client.upsert("c", points=models.Batch(ids=[1, 2], vectors=rows.tolist(), payloads=[{}, {}]))
    assert [r.id for r in client.scroll("c")[0]] == [1, 2]


def test_point_ids_that_are_no_uuid_are_refused(tmp_path: Path) -> None:
    store = embedded(tmp_path / "i")
    with pytest.raises(StoreError, match="UUID"):
        store.client.upsert(
            "c", points=[models.PointStruct(id="handbook", vector=[1.0] * D, payload={})]
        )


def test_points_of_the_dataclass_are_not_shared_with_the_caller(tmp_path: Path) -> None:
    point = make_points(1)[0]
    payload = {"page_content": "a", "metadata": {"list": [1]}}
    store = open_store(tmp_path, "memory:")
    store.create("c", D)
    store.upsert("c", [Point(point.id, point.vector, payload)])
    payload["metadata"]["list"].append(2)
    assert store.get("c", [point.id])[0].payload["metadata"] == {"list": [1]}


def test_an_index_that_is_opened_to_be_read_cannot_be_changed(tmp_path: Path) -> None:
    embedded(tmp_path / "i", 3).client.close()
    client = open_edge(tmp_path / "i")
    (first, *_), _ = client.scroll("c", with_vectors=True)
    changes = {
        "upsert": lambda: client.upsert(
            "c", points=[models.PointStruct(id=first.id, vector=first.vector, payload={})]
        ),
        "payload": lambda: client.set_payload("c", payload={"a": "b"}, points=[first.id]),
        "delete": lambda: client.delete("c", points_selector=[first.id]),
        "drop": lambda: client.delete_collection("c"),
        "create": lambda: client.create_collection("d", vectors_config=COSINE),
    }
    for change in changes.values():
        with pytest.raises(StoreError, match="opened to be read"):
            change()
    assert client.count("c").count == 3
    assert client.query_points("c", query=first.vector, limit=1).points[0].id == first.id
    client.close()
    with pytest.raises(StoreError, match="no index there"):
        open_edge(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
