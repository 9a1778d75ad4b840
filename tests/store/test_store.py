"""One suite over every engine behind the `Store` protocol."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragguard.errors import PointError, StoreError
from ragguard.store import Point, Store
from ragguard.store.memory import MemoryStore
from tests.store.conftest import D, make_points, unit


def test_what_is_written_is_read_back_bit_for_bit(store: Store) -> None:
    points = make_points(50)
    store.create("c", D)
    store.upsert("c", points)
    store.flush("c")
    back = store.get("c", [p.id for p in points], vectors=True)
    assert [p.id for p in back] == [p.id for p in points]
    for wrote, read in zip(points, back, strict=True):
        assert read.vector.tobytes() == wrote.vector.tobytes()
        assert dict(read.payload) == dict(wrote.payload)


def test_get_keeps_the_order_asked_and_leaves_out_what_is_not_there(store: Store) -> None:
    points = make_points(3)
    store.create("c", D)
    store.upsert("c", points)
    absent = "ffffffff-0000-4000-8000-000000000000"
    back = store.get("c", [points[2].id, absent, points[0].id])
    assert [p.id for p in back] == [points[2].id, points[0].id]
    assert back[0].vector.size == 0


def test_search_agrees_with_the_exact_reference(store: Store) -> None:
    points = make_points(400)
    queries = unit(np.random.default_rng(1).standard_normal((20, D)))
    reference = MemoryStore()
    for engine in (store, reference):
        engine.create("c", D)
        engine.upsert("c", points)
    for exact in (True, False):
        got = store.search("c", queries, 10, exact=exact)
        want = reference.search("c", queries, 10)
        assert np.allclose(got.similarities, want.similarities, atol=1e-5)
        assert got.ids == want.ids


def test_search_finds_a_point_by_its_own_vector_first(store: Store) -> None:
    points = make_points(30)
    store.create("c", D)
    store.upsert("c", points)
    hits = store.search("c", points[7].vector[None, :], 1)
    assert hits.ids == [[points[7].id]]
    assert math.isclose(hits.similarities[0][0], 1.0, abs_tol=1e-5)


@pytest.mark.parametrize("exact", [True, False])
def test_nearest_gives_what_search_finds_with_payload_and_vector(store: Store, exact: bool) -> None:
    points = {p.id: p for p in make_points(60)}
    store.create("c", D)
    store.upsert("c", list(points.values()))
    question = make_points(1, seed=9)[0].vector
    found = store.nearest("c", question, 7, exact=exact)
    hits = store.search("c", question[None, :], 7)
    assert [p.id for p, _ in found] == hits.ids[0]
    assert np.allclose([s for _, s in found], hits.similarities[0], atol=1e-5)
    for point, _ in found:
        assert point.vector.tobytes() == points[point.id].vector.tobytes()
        assert dict(point.payload) == dict(points[point.id].payload)


def test_only_points_of_the_scope_are_found(store: Store) -> None:
    def scoped(point: Point, number: int) -> Point:
        said = [["a"], ["a", "b"], ["b"], "b", []][number % 5]
        return Point(point.id, point.vector, {"ragguard": {"scope": said}})

    points = [scoped(p, n) for n, p in enumerate(make_points(40))]
    store.create("c", D)
    store.upsert("c", points)
    question = make_points(1, seed=9)[0].vector
    for scope, numbers in ((["a"], {0, 1}), (["b", "c"], {1, 2, 3}), (["c"], set[int]())):
        wanted = {p.id for n, p in enumerate(points) if n % 5 in numbers}
        found = store.nearest("c", question, 40, scope=scope)
        assert {p.id for p, _ in found} == wanted
        hits = store.search("c", question[None, :], 40, scope=scope)
        assert hits.ids[0] == [p.id for p, _ in found]


def test_ties_are_all_returned_when_k_allows(store: Store) -> None:
    base = make_points(4)
    twins = [Point(p.id, base[0].vector, p.payload) for p in base]
    store.create("c", D)
    store.upsert("c", twins)
    hits = store.search("c", base[0].vector[None, :], 4)
    assert sorted(hits.ids[0]) == sorted(p.id for p in twins)
    assert np.allclose(hits.similarities[0], 1.0, atol=1e-5)


@pytest.mark.parametrize(("held", "k"), [(0, 5), (3, 5), (5, 5)])
def test_search_returns_k_or_all_there_is(store: Store, held: int, k: int) -> None:
    store.create("c", D)
    store.upsert("c", make_points(held))
    hits = store.search("c", make_points(1, seed=9)[0].vector[None, :], k)
    assert len(hits.ids[0]) == min(held, k)


def test_upsert_of_the_same_id_replaces(store: Store) -> None:
    first, second = make_points(2)
    store.create("c", D)
    store.upsert("c", [first])
    store.upsert("c", [Point(first.id, second.vector, {"page_content": "new"})])
    (back,) = store.get("c", [first.id], vectors=True)
    assert store.count("c") == 1
    assert back.payload == {"page_content": "new"}
    assert back.vector.tobytes() == second.vector.tobytes()


def test_deleted_points_are_gone_and_unknown_ids_are_no_error(store: Store) -> None:
    points = make_points(10)
    store.create("c", D)
    store.upsert("c", points)
    store.delete("c", [points[0].id, "ffffffff-0000-4000-8000-000000000000"])
    assert store.count("c") == 9
    assert store.get("c", [points[0].id]) == []


def test_scan_yields_every_point_once_in_id_order(store: Store) -> None:
    points = make_points(57)
    store.create("c", D)
    store.upsert("c", points)
    batches = list(store.scan("c", vectors=True, batch=10))
    ids = [p.id for batch in batches for p in batch]
    assert ids == sorted(p.id for p in points)
    assert all(p.vector.shape == (D,) for batch in batches for p in batch)


def test_an_alias_is_read_like_a_collection_and_moves_in_one_step(store: Store) -> None:
    for name, seed in (("c", 1), ("c2", 2)):
        store.create(name, D)
        store.upsert(name, make_points(3, seed=seed))
    store.set_alias("serving", "c")
    assert store.exists("serving")
    assert store.count("serving") == 3
    store.set_alias("serving", "c2")
    assert store.aliases()["serving"] == "c2"
    wanted = make_points(3, seed=2)[0]
    assert store.search("serving", wanted.vector[None, :], 1).ids == [[wanted.id]]
    store.drop_alias("serving")
    store.drop_alias("serving")
    assert "serving" not in store.aliases()
    assert store.exists("c2")


def test_create_again_is_harmless_and_another_dimension_is_refused(store: Store) -> None:
    store.create("c", D)
    store.upsert("c", make_points(2))
    store.create("c", D)
    assert store.count("c") == 2
    with pytest.raises(StoreError, match="dimensions"):
        store.create("c", D + 1)


def test_a_dropped_collection_is_gone(store: Store) -> None:
    store.create("c", D)
    store.drop("c")
    assert not store.exists("c")
    store.drop("c")
    with pytest.raises(StoreError):
        store.count("c")


def _with(**change: object) -> Point:
    good = make_points(1)[0]
    values = {"id": good.id, "vector": good.vector, "payload": good.payload, **change}
    return Point(**values)


BAD = {
    "nan": _with(vector=np.full(D, np.nan, dtype=np.float32)),
    "infinity": _with(vector=np.full(D, np.inf, dtype=np.float32)),
    "one nan among good": _with(
        vector=np.concatenate([make_points(1)[0].vector[:-1], [np.float32("nan")]]).astype("f4")
    ),
    "zero": _with(vector=np.zeros(D, dtype=np.float32)),
    "not unit": _with(vector=np.ones(D, dtype=np.float32)),
    "dimension": _with(vector=np.ones(D + 1, dtype=np.float32)),
    "double": _with(vector=make_points(1)[0].vector.astype(np.float64)),
    "id text": _with(id="handbook.md"),
    "id integer": _with(id=5),
    "id upper case": _with(id="ABCDEF00-0000-4000-8000-000000000000"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_point_is_refused_and_nothing_of_its_batch_is_written(
    store: Store, bad: Point
) -> None:
    store.create("c", D)
    good = make_points(20, seed=3)
    with pytest.raises(PointError):
        store.upsert("c", [*good[:10], bad, *good[10:]])
    assert store.count("c") == 0
