"""What Qdrant Edge does silently wrong, each shown on the raw engine and shown to be dealt with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge
from qdrant_client import models

from ragguard.errors import LockedError, StoreError
from ragguard.store import PAYLOAD_INDEXES, Point, open_store
from ragguard.store.edge_shards import Shards
from tests.store.conftest import LEGAL, D, embedded, make_points, matching, unit


def _raw(path: Path) -> edge.EdgeShard:
    params = edge.EdgeVectorParams(size=D, distance=edge.Distance.Cosine)
    path.mkdir()
    return edge.EdgeShard.create(str(path), edge.EdgeConfig(vectors=params))


def _put(shard: edge.EdgeShard, *points: Point) -> None:
    rows = [edge.Point(p.id, list(p.vector), dict(p.payload)) for p in points]
    shard.update(edge.UpdateOperation.upsert_points(rows))


def _search(shard: edge.EdgeShard, vector: np.ndarray, k: int = 100) -> list[str]:
    request = edge.QueryRequest(limit=k, query=edge.Query.Nearest(vector.tolist()))
    return [str(p.id) for p in shard.query(request)]


# --- pitfall 1 ---


def test_payload_indexes_are_made_before_data_and_wait_for_the_disk_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []
    flush = Shards.flush
    monkeypatch.setattr(Shards, "flush", lambda s, name: (flushed.append(name), flush(s, name))[1])
    store = embedded(tmp_path / "i")
    assert flushed == ["c"]
    schema = store.client.get_collection("c").payload_schema
    assert set(schema) == set(PAYLOAD_INDEXES)


def test_a_payload_index_after_data_is_refused(tmp_path: Path) -> None:
    store = embedded(tmp_path / "i", 10)
    with pytest.raises(StoreError, match="too late"):
        store.client.create_payload_index("c", "metadata.rank", models.PayloadSchemaType.INTEGER)
    store.client.create_payload_index("c", PAYLOAD_INDEXES[0], models.PayloadSchemaType.KEYWORD)


def test_filtered_search_after_the_graph_was_built_returns_k_and_the_right_ones(
    tmp_path: Path,
) -> None:
    n, k = 3000, 10
    store = embedded(tmp_path / "i", n)
    assert store.maintain("c", 100)
    queries = unit(np.random.default_rng(5).standard_normal((20, D)))
    legal = [p for p in make_points(n) if p.payload["metadata"]["department"] == "legal"]
    matrix = np.stack([p.vector for p in legal])
    for query in queries:
        found = store.client.query_points(
            "c", query=query.tolist(), query_filter=LEGAL, limit=k
        ).points
        assert len(found) == k
        want = {legal[i].id for i in np.argsort(-(matrix @ query))[:k]}
        assert len(want & {p.id for p in found}) >= k - 1


def test_too_few_points_from_the_graph_are_asked_for_again_exactly(tmp_path: Path) -> None:
    store = embedded(tmp_path / "i", 12)
    backend = store.client._client
    real = backend._shards.shard("c")

    class Forgetful:
        """The engine, losing points whenever it is not asked exactly."""

        def __init__(self) -> None:
            self.exact = 0

        def query_batch(self, request: edge.QueryBatchRequest) -> list[list[object]]:
            return [batch[:3] for batch in real.query_batch(request)]

        def query(self, request: edge.QueryRequest) -> list[object]:
            self.exact += 1
            return real.query(request)

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    forgetful = Forgetful()
    backend._shards._open["c"] = forgetful
    hits = store.search("c", make_points(1)[0].vector[None, :], 10, exact=False)
    backend._shards._open["c"] = real
    assert len(hits.ids[0]) == 10
    assert forgetful.exact == 1


# --- pitfall 2 ---


def test_a_boolean_filter_never_matches_in_the_engine_and_is_refused_here(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "raw")
    point = make_points(1)[0]
    _put(raw, Point(point.id, point.vector, {"f": True}))
    condition = edge.FieldCondition(key="f", match=edge.MatchValue(True))
    assert raw.count(edge.CountRequest(filter=edge.Filter(must=[condition]))) == 0
    store = embedded(tmp_path / "i", 1)
    where = models.Filter(must=[matching("f", value=True)])
    with pytest.raises(StoreError, match="boolean"):
        store.client.count("c", count_filter=where)


# --- pitfall 3 ---


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_the_engine_stores_a_vector_it_never_finds_again(tmp_path: Path, value: float) -> None:
    """Why `check_points` is in front of every write: this is a way past a gate."""
    raw = _raw(tmp_path / "raw")
    hidden = make_points(1, seed=7)[0]
    broken = hidden.vector.copy()
    broken[0] = value
    _put(raw, *make_points(3), Point(hidden.id, broken, {}))
    assert raw.count(edge.CountRequest()) == 4
    assert hidden.id not in _search(raw, hidden.vector)


def test_the_engine_accepts_a_zero_vector(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "raw")
    _put(raw, Point(make_points(1)[0].id, np.zeros(D), {}))
    assert raw.count(edge.CountRequest()) == 1


# --- pitfall 4 ---


def test_a_failed_upsert_of_the_engine_is_not_atomic(tmp_path: Path) -> None:
    """Why a batch is validated whole first, and read back after: some of it lands.

    How much depends on the order in which the engine's hash map gives the points back, which is
    another one in every process; so one bad point is put among many, several times over.
    """
    raw = _raw(tmp_path / "raw")
    points = make_points(400)
    landed = []
    for start in range(0, 400, 50):
        batch = [edge.Point(p.id, p.vector.tolist(), {}) for p in points[start : start + 50]]
        bad = edge.Point(make_points(1, seed=start + 4)[0].id, {"title": [1.0] * D}, {})
        before = raw.count(edge.CountRequest())
        with pytest.raises(Exception, match="vector name"):
            raw.update(edge.UpdateOperation.upsert_points([*batch[:25], bad, *batch[25:]]))
        landed.append(raw.count(edge.CountRequest()) - before)
    assert any(0 < count < 51 for count in landed)


# --- pitfall 5 ---


def test_the_write_ahead_log_is_flushed_as_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragguard.store.edge_shards.FLUSH_EVERY", 100)
    store = embedded(tmp_path / "i")
    flushed: list[str] = []
    shards = store.client._client._shards
    monkeypatch.setattr(
        shards, "flush", lambda name: (flushed.append(name), type(shards).flush(shards, name))
    )
    for seed in range(5):
        store.upsert("c", make_points(60, seed=seed))
    assert len(flushed) == 2


WRITER = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from ragguard.store import open_store
    from tests.store.conftest import make_points
    store = open_store(Path(sys.argv[1]))
    store.create("c", 16)
    store.upsert("c", make_points(500))
    if sys.argv[2] == "flush":
        store.flush("c")
    if sys.argv[2] == "hold":
        print("ready", flush=True)
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
    """
)


@pytest.mark.parametrize("how", ["flush", "no-flush"])
def test_a_killed_process_loses_nothing_that_was_acknowledged(tmp_path: Path, how: str) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "i"), how], check=False)
    assert done.returncode == -signal.SIGKILL
    store = open_store(tmp_path / "i")
    points = make_points(500)
    back = store.get("c", [p.id for p in points], vectors=True)
    assert [b.vector.tobytes() for b in back] == [p.vector.tobytes() for p in points]
    store.close()


# --- pitfall 6 ---


def test_a_second_process_is_refused_even_to_read(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "i"), "hold"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        store = open_store(tmp_path / "i")
        with pytest.raises(LockedError, match="another process"):
            store.count("c")
    finally:
        holder.communicate("")
    store = open_store(tmp_path / "i")
    assert store.count("c") == 500
    store.close()


def test_aliases_are_replaced_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = embedded(tmp_path / "i", 1)
    store.set_alias("serving", "c")

    def fail(*_args: object) -> None:
        raise OSError("killed here")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="killed here"):
        store.set_alias("other", "c")
    monkeypatch.undo()
    assert open_store(tmp_path / "i").aliases() == {"serving": "c"}


# --- pitfall 7 ---


def test_the_graph_is_built_in_a_subprocess_on_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = embedded(tmp_path / "i", 2000)
    before = store.client._client._shards.settings("c")["shard"]
    called: list[list[str]] = []
    real = subprocess.run

    def run(command: list[str], **kwargs: object) -> object:
        called.append(command)
        assert (tmp_path / "i" / "c" / before).exists()
        return real(command, **kwargs)

    monkeypatch.setattr(subprocess, "run", run)
    assert store.maintain("c", 100)
    (command,) = called
    assert command[1:3] == ["-m", "ragguard.store.optimize"]
    assert not command[3].endswith(before)
    assert store.count("c") == 2000
    assert store.client.get_collection("c").indexed_vectors_count == 2000
    assert not store.maintain("c", 100)
    assert not (tmp_path / "i" / "c" / before).exists()


def test_a_failed_build_leaves_the_collection_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = embedded(tmp_path / "i", 500)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StoreError, match="graph"):
        store.maintain("c", 100)
    assert store.count("c") == 500
    assert len(list((tmp_path / "i" / "c").glob("shard-*"))) == 1


def test_a_closed_shard_is_a_store_error(tmp_path: Path) -> None:
    store = embedded(tmp_path / "i", 3)
    store.client._client._shards.shard("c").close()
    with pytest.raises(StoreError, match="index engine"):
        store.count("c")
    store.client._client._shards._open.clear()


# --- pitfall 9 and the rest ---


def test_reopening_finds_everything_again(tmp_path: Path) -> None:
    store = embedded(tmp_path / "i", 40)
    store.set_alias("serving", "c")
    store.close()
    again = open_store(tmp_path / "i")
    assert again.count("serving") == 40
    assert again.aliases() == {"serving": "c"}
    again.close()


def test_settings_that_are_damaged_are_a_store_error(tmp_path: Path) -> None:
    store = embedded(tmp_path / "i", 3)
    store.set_alias("serving", "c")
    store.close()
    for name in ("aliases.json", "c/collection.json", "c/shard-1/edge_config.json"):
        file = tmp_path / "i" / name
        whole = file.read_bytes()
        for body in ("", "[]", "[" * 100_000, '{"shard": "../x"}'):
            file.write_text(body)
            shards = Shards(tmp_path / "i", writable=False)
            with pytest.raises(StoreError):
                shards.shape(shards.resolve("serving"))
        file.write_bytes(whole)
