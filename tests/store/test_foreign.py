"""Collections that something else wrote: any shape of vector, any payload, and never a write."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from ragguard.errors import LockedError, StoreError, UsageError
from ragguard.store import open_store
from ragguard.store.foreign import ForeignCollection, ForeignPoint, open_foreign
from ragguard.store.readers import Shape
from tests.store.conftest import D, make_points
from tests.support.servers import qdrant_shim

UNIT = [0.6, 0.8, 0.0]


def make_shard(folder: Path, points: list[Any], vectors: Any = None, **config: Any) -> Path:
    """A shard that ragguard had no hand in."""
    if vectors is None:
        vectors = edge.EdgeVectorParams(size=3, distance=edge.Distance.Cosine)
    shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=vectors, **config))
    if points:
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()
    return folder


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file with its time of change and digest."""
    return {
        str(p.relative_to(folder)): (
            p.stat().st_mtime_ns,
            hashlib.sha256(p.read_bytes()).hexdigest(),
        )
        for p in folder.rglob("*")
        if p.is_file()
    }


def everything(**place: Any) -> list[ForeignPoint]:
    """All points of a collection."""
    with open_foreign(**place) as found:
        return [p for block in found.scan(2) for p in block]


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, QdrantClient]]:
    """A server over qdrant-client's memory engine, which has named vectors, and its client."""
    client = QdrantClient(":memory:")
    monkeypatch.setattr(qdrant_shim, "open_edge", lambda _folder, **_: client)
    shim = qdrant_shim.Shim(tmp_path)
    yield shim.url, client
    shim.close()


# --- what is read ---------------------------------------------------------------------------------


def test_every_point_of_a_shard_comes_once_with_its_payload(tmp_path: Path) -> None:
    name = uuid4()
    nested = {"a": [1, {"b": None}], "big": 2**60, "f": 1.5}
    points = [edge.Point(n, UNIT, {"n": n}) for n in range(5)]
    make_shard(tmp_path / "s", [*points, edge.Point(name, UNIT, nested)])
    found = everything(path=tmp_path / "s")
    assert sorted(p.id for p in found) == sorted([*"01234", str(name)])
    assert {p.id: p.payload for p in found}[str(name)] == nested
    assert all(p.vector.dtype == np.float32 and not p.fault for p in found)


def test_what_is_known_of_a_shard_is_what_was_declared(tmp_path: Path) -> None:
    params = edge.EdgeVectorParams(size=3, distance=edge.Distance.Euclid)
    make_shard(tmp_path / "s", [edge.Point(1, [3.0, 4.0, 0.0], {})], params)
    with open_foreign(path=tmp_path / "s") as found:
        assert (found.name, found.distance, found.dimensions) == ("s", "Euclid", 3)
        assert (found.vector, found.vectors, found.count()) == ("", ("",), 1)
        assert "Euclid" in found.treatment
        assert "unit length" in found.treatment
        (point,) = found.sample()
    assert (point.norm, point.fault) == (5.0, "")
    assert point.vector.tolist() == pytest.approx(UNIT)


@pytest.mark.parametrize(
    ("values", "norm", "fault"),
    [
        pytest.param([float("nan"), 0.0, 1.0], None, "NaN", id="nan"),
        pytest.param([float("inf"), 0.0, 1.0], None, "NaN or infinity", id="infinite"),
        pytest.param([0.0, 0.0, 0.0], 0.0, "zero", id="zero"),
        pytest.param(None, 0.0, "no vector", id="none"),
    ],
)
def test_a_vector_without_direction_is_yielded_with_its_fault(
    tmp_path: Path, values: list[float] | None, norm: float | None, fault: str
) -> None:
    params = {"v": edge.EdgeVectorParams(size=3, distance=edge.Distance.Dot)}
    points = [
        edge.Point(1, {"v": UNIT}, {}),
        edge.Point(2, {} if values is None else {"v": values}, {"kept": "yes"}),
    ]
    make_shard(tmp_path / "s", points, params)
    good, bad = everything(path=tmp_path / "s")
    assert good.fault == ""
    assert good.vector.tolist() == pytest.approx(UNIT)
    assert fault in bad.fault
    assert bad.vector.size == 0
    assert bad.payload == {"kept": "yes"}
    assert bad.norm == norm if norm is not None else np.isnan(bad.norm)


def test_a_long_vector_in_a_cosine_collection_has_a_fault_and_a_direction(tmp_path: Path) -> None:
    # The engine brings what it is given to unit length; who writes its files does not.
    make_shard(tmp_path / "s", [edge.Point(1, UNIT, {})])
    (held,) = tmp_path.glob("s/segments/*/vector_storage/vectors/chunk_0.mmap")
    stored = np.array(UNIT, dtype="<f4").tobytes()
    with open(held, "r+b") as file:
        start = file.read(1 << 16).index(stored)
        file.seek(start)
        file.write((np.array(UNIT, dtype="<f4") * 7).tobytes())
    (point,) = everything(path=tmp_path / "s")
    assert "length 7" in point.fault
    assert point.norm == pytest.approx(7)
    assert point.vector.tolist() == pytest.approx(UNIT)


def test_whole_numbers_are_not_of_unit_length_and_that_is_no_fault(tmp_path: Path) -> None:
    params = edge.EdgeVectorParams(
        size=3, distance=edge.Distance.Cosine, datatype=edge.VectorStorageDatatype.Uint8
    )
    make_shard(tmp_path / "s", [edge.Point(1, [30.0, 40.0, 0.0], {})], params)
    with open_foreign(path=tmp_path / "s") as found:
        (point,) = found.sample()
        assert "whole numbers" in found.treatment
    assert (point.norm, point.fault) == (50.0, "")
    assert point.vector.tolist() == pytest.approx(UNIT)


def test_vectors_of_unit_length_come_as_they_are_stored(tmp_path: Path) -> None:
    points = make_points(20)
    store = open_store(tmp_path / "index")
    store.create("docs", D)
    store.upsert("docs", points)
    store.close()
    found = {p.id: p.vector for p in everything(path=tmp_path / "index")}
    assert {p.id for p in points} == set(found)
    for point in points:
        assert np.abs(found[point.id] - point.vector).max() <= 1e-7


# --- which vector, which collection ---------------------------------------------------------------


def test_several_vectors_have_to_be_chosen_from(tmp_path: Path) -> None:
    params = {
        n: edge.EdgeVectorParams(size=3, distance=edge.Distance.Cosine) for n in ("body", "title")
    }
    make_shard(tmp_path / "s", [edge.Point(1, {"body": UNIT}, {})], params)
    with pytest.raises(UsageError, match="'body', 'title'"):
        open_foreign(path=tmp_path / "s")
    with pytest.raises(UsageError, match="no vector 'head'"):
        open_foreign(path=tmp_path / "s", vector="head")
    (point,) = everything(path=tmp_path / "s", vector="body")
    assert point.vector.tolist() == pytest.approx(UNIT)
    (point,) = everything(path=tmp_path / "s", vector="title")
    assert "no vector" in point.fault


def test_sparse_vectors_alone_and_multi_vectors_are_refused(tmp_path: Path) -> None:
    sparse = {"s": edge.EdgeSparseVectorParams()}
    make_shard(tmp_path / "sparse", [], {}, sparse_vectors=sparse)
    with pytest.raises(UsageError, match="sparse vectors only"):
        open_foreign(path=tmp_path / "sparse")
    many = edge.EdgeVectorParams(
        size=3,
        distance=edge.Distance.Cosine,
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
    )
    make_shard(tmp_path / "many", [], {"colbert": many})
    with pytest.raises(UsageError, match="multi-vector"):
        open_foreign(path=tmp_path / "many")


def test_the_only_dense_vector_beside_sparse_ones_is_taken(tmp_path: Path) -> None:
    params = {"dense": edge.EdgeVectorParams(size=3, distance=edge.Distance.Cosine)}
    sparse = {"s": edge.EdgeSparseVectorParams()}
    point = edge.Point(1, {"dense": UNIT, "s": edge.SparseVector([1], [0.5])}, {})
    make_shard(tmp_path / "s", [point], params, sparse_vectors=sparse)
    (found,) = everything(path=tmp_path / "s")
    assert found.vector.tolist() == pytest.approx(UNIT)


def test_a_collection_of_an_index_is_found_by_name_and_alias_and_else_named(tmp_path: Path) -> None:
    store = open_store(tmp_path / "index")
    for name in ("a", "b"):
        store.create(name, D)
    store.upsert("b", make_points(3))
    store.set_alias("live", "b")
    store.close()
    with open_foreign(path=tmp_path / "index", collection="live") as found:
        assert (found.name, found.count()) == ("live", 3)
    with open_foreign(path=tmp_path / "index" / "b") as found:
        assert (found.name, found.count()) == ("b", 3)
    for asked in ("", "c"):
        with pytest.raises(UsageError) as error:
            open_foreign(path=tmp_path / "index", collection=asked)
        assert error.value.hint == "There are 'a', 'b', 'live'."


# --- nothing is written ---------------------------------------------------------------------------


def test_a_whole_pass_leaves_every_byte_of_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = make_shard(tmp_path / "s", [edge.Point(n, UNIT, {"n": n}) for n in range(9)])
    before = state(folder)
    assert len(everything(path=folder)) == 9
    assert state(folder) == before
    # The engine itself does write: what the copy is for.
    edge.EdgeShard.load(str(folder)).close()
    assert state(folder) != before


def test_the_copy_is_gone_afterwards_and_takes_little_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_shard(tmp_path / "s", [edge.Point(1, UNIT, {})])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    found = open_foreign(path=folder)
    (copy,) = scratch.iterdir()
    assert (
        sum(p.stat().st_blocks * 512 for p in copy.rglob("*")) < 50_000_000
    )  # of 300 MB; in memory, holes that are read are filled
    found.close()
    assert list(scratch.iterdir()) == []


def test_a_server_is_asked_and_never_told(tmp_path: Path) -> None:
    shim = qdrant_shim.Shim(tmp_path / "index")
    store = open_store(tmp_path, shim.url)
    store.create("docs", D)
    store.upsert("docs", make_points(5))
    store.set_alias("live", "docs")
    shim.requests.clear()
    with open_foreign(url=shim.url, collection="live") as found:
        assert (found.count(), found.distance, found.dimensions) == (5, "Cosine", D)
        assert sum(len(block) for block in found.scan(2)) == 5
    asked = {r for r in shim.requests if not r.startswith("GET ")}
    store.close()
    shim.close()
    assert asked == {
        "POST /collections/([^/]+)/points/count",
        "POST /collections/([^/]+)/points/scroll",
    }


def test_named_vectors_of_a_server_are_read_by_name(remote: tuple[str, QdrantClient]) -> None:
    url, client = remote
    cosine = models.VectorParams(size=3, distance=models.Distance.COSINE)
    dot = models.VectorParams(size=2, distance=models.Distance.DOT)
    client.create_collection("docs", vectors_config={"a": cosine, "b": dot})
    client.upsert(
        "docs",
        [
            models.PointStruct(id=1, vector={"a": UNIT, "b": [3.0, 4.0]}, payload={"n": 1}),
            models.PointStruct(id=2, vector={"a": UNIT}, payload=None),
        ],
    )
    with pytest.raises(UsageError, match="'a', 'b'"):
        open_foreign(url=url, collection="docs")
    with open_foreign(url=url, collection="docs", vector="b") as found:
        assert (found.distance, found.dimensions) == ("Dot", 2)
        first, second = found.sample()
    assert (first.id, first.norm, first.payload) == ("1", 5.0, {"n": 1})
    assert first.vector.tolist() == pytest.approx([0.6, 0.8])
    assert (second.fault, second.payload) == ("has no vector", {})


@pytest.mark.parametrize("odd", [None, "1", [1.0], {}], ids=repr)
def test_a_number_that_is_none_makes_the_vector_a_fault_and_no_other(odd: Any) -> None:
    class Pages:
        def count(self) -> int:
            return 2

        def page(self, limit: int, offset: Any) -> tuple[list[models.Record], Any]:
            given = ([0.6, odd, 0.8], [3.0, 0.0, 4.0])
            made = models.Record.model_construct
            return [made(id=n, payload={}, vector=v) for n, v in enumerate(given)], None

        def close(self) -> None:
            pass

    with ForeignCollection(Pages(), "c", "p", "", {"": Shape(3, "Dot", False)}) as found:
        bad, good = found.sample()
    assert "NaN" in bad.fault
    assert bad.vector.size == 0
    assert good.vector.tolist() == pytest.approx([0.6, 0.0, 0.8])


def test_a_collection_that_a_server_lacks_is_named_with_those_it_has(
    remote: tuple[str, QdrantClient],
) -> None:
    url, client = remote
    with pytest.raises(UsageError, match="no collection 'docs'"):
        open_foreign(url=url, collection="docs")
    params = models.VectorParams(size=3, distance=models.Distance.COSINE)
    client.create_collection("books", vectors_config=params)
    with pytest.raises(UsageError) as error:
        open_foreign(url=url, collection="docs")
    assert error.value.hint == "There are 'books'."


# --- what is refused ------------------------------------------------------------------------------


class Planted:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was read",))


def test_the_local_format_is_refused_and_none_of_it_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "local/collection/docs"
    folder.mkdir(parents=True)
    (tmp_path / "local/meta.json").write_text("{}")
    database = sqlite3.connect(folder / "storage.sqlite")
    database.execute("CREATE TABLE points (id TEXT PRIMARY KEY, point BLOB)")
    database.execute("INSERT INTO points VALUES ('a', ?)", (pickle.dumps(Planted()),))
    database.commit()
    database.close()
    for path in (tmp_path / "local", folder):
        with pytest.raises(StoreError, match="executes pickles") as error:
            open_foreign(path=path)
        assert error.value.exit_code == 5


def test_a_server_that_is_not_there_ends_the_run_with_a_hint() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(StoreError) as error:
        open_foreign(url=url, collection="docs")
    assert error.value.exit_code == 5
    assert "server running" in error.value.hint


def test_a_server_that_does_not_answer_ends_the_run_after_the_timeout() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(StoreError, match="timed out"):
            open_foreign(url=url, collection="docs", timeout=1)


def test_an_index_that_another_process_has_open_is_refused(tmp_path: Path) -> None:
    folder = make_shard(tmp_path / "s", [edge.Point(1, UNIT, {})])
    shard = edge.EdgeShard.load(str(folder))
    with pytest.raises(LockedError, match="another process"):
        open_foreign(path=folder)
    shard.close()
    assert len(everything(path=folder)) == 1


def test_a_place_has_to_be_named_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of them"):
        open_foreign()
    with pytest.raises(UsageError, match="one of them"):
        open_foreign(url="http://localhost", path=tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        open_foreign(path=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no index"):
        open_foreign(path=tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("edge_config.json", b"[" * 100_000, id="config-too-deep"),
        pytest.param("edge_config.json", b'{"vectors": {"": 3}}', id="config-of-another-shape"),
        pytest.param("wal/first-index", b"junk", id="log"),
        pytest.param("segments/*/segment.json", b"{}", id="segment"),
        pytest.param("segments/*/vector_storage/deleted/status.dat", b"", id="panic"),
    ],
)
def test_damaged_files_end_the_run_with_a_store_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    folder = make_shard(tmp_path / "s", [edge.Point(n, UNIT, {"n": n}) for n in range(9)])
    (path,) = folder.glob(name)
    with open(path, "r+b") as file:
        file.write(content)
        if len(content) < 1000:
            file.truncate()
    with pytest.raises(StoreError):
        everything(path=folder)


def test_a_link_or_a_way_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = make_shard(tmp_path / "index/docs/shard-1", [edge.Point(1, UNIT, {})])
    outside = tmp_path / "outside"
    shutil.move(folder / "segments", outside)
    (folder / "segments").symlink_to(outside)
    settings = folder.parent / "collection.json"
    settings.write_text(json.dumps({"shard": "shard-1"}))
    with pytest.raises(StoreError, match="not a plain file"):
        open_foreign(path=tmp_path / "index")
    settings.write_text(json.dumps({"shard": "../../../elsewhere"}))
    with pytest.raises(StoreError, match="names no shard"):
        open_foreign(path=tmp_path / "index")
