from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from ragguard.audit.index import spool_writer as writing
from ragguard.audit.index.spool import INDEX, Spool
from ragguard.audit.index.spool_writer import Spooler
from ragguard.errors import IncompleteError, StoreError
from ragguard.knn.graph import neighbour_table
from ragguard.store import Point, open_store

D = 8


def point(number: int, text: str = "", vector: Sequence[float] = (), **rest: Any) -> Point:
    rng = np.random.default_rng(number)
    row = np.array(vector if len(vector) else rng.standard_normal(D), dtype=np.float32)
    if not len(vector):
        row /= np.linalg.norm(row)
    payload = {
        "page_content": text or f"text {number}",
        "metadata": {"label": f"l{number % 3}"},
        "ragguard": {"source": "wiki", "document": f"d{number // 2}", "commit": 1 + number // 10},
    }
    return Point(str(UUID(int=number)), row, {**payload, **rest})


def spooled(folder: Path, points: Sequence[Point], waiting: Sequence[Point] = ()) -> Spool:
    with Spooler(folder / "spool", "k", D) as spooler:
        spooler.add("serving", points)
        spooler.add("quarantine", waiting)
        return spooler.finish()


def test_what_went_in_comes_out_row_by_row(tmp_path: Path) -> None:
    points = [point(i, f"Zahl {i} – π\n\x00é") for i in range(25)]
    with Spooler(tmp_path / "s", "state", D) as spooler:
        for start in range(0, 25, 7):
            spooler.add("serving", points[start : start + 7])
        spool = spooler.finish()
    assert len(spool) == 25
    assert (spool.vectors == np.stack([p.vector for p in points])).all()
    assert spool.texts(range(25)) == [p.payload["page_content"] for p in points]
    assert spool.texts([24, 0, 24]) == [points[i].payload["page_content"] for i in (24, 0, 24)]
    assert spool.ids([3, 11]) == [points[3].id, points[11].id]
    assert spool.documents.tolist() == [i // 2 for i in range(25)]
    assert spool.arrivals.tolist() == [1 + i // 10 for i in range(25)]
    assert list(spool.labels) == [f"wiki/d{i}" for i in range(13)]
    assert list(spool.sources) == ["wiki"] * 13
    assert [spool.metadata(i) for i in (0, 12)] == [{"label": "l0"}, {"label": "l0"}]
    assert (spool.vectors.dtype, spool.documents.dtype) == (np.float32, np.int32)
    assert (spool.key, spool.left_out, spool.rescaled, spool.cut) == ("state", (), 0, 0)


def test_a_document_that_serves_and_waits_is_one_document(tmp_path: Path) -> None:
    later = {"source": "wiki", "document": "d0"}
    waiting = [point(50, metadata={"label": "new"}, ragguard=later), point(60)]
    spool = spooled(tmp_path, [point(0), point(1)], waiting)
    assert spool.quarantined.tolist() == [False, False, True, True]
    assert spool.documents.tolist() == [0, 0, 0, 1]
    assert spool.metadata(0) == {"label": "l0"}, "as the first of its points has it"
    assert spool.arrivals.tolist() == [1, 1, 0, 7]


def test_labels_are_a_sequence(tmp_path: Path) -> None:
    labels = spooled(tmp_path, [point(i) for i in range(6)]).labels
    assert (labels[-1], labels[1:]) == ("wiki/d2", ["wiki/d1", "wiki/d2"])
    assert labels.index("wiki/d1") == 1
    with pytest.raises(IndexError):
        labels[3]


def test_an_empty_collection_gives_an_empty_spool(tmp_path: Path) -> None:
    spool = spooled(tmp_path, [])
    assert (len(spool), spool.vectors.shape, list(spool.labels)) == (0, (0, D), [])
    assert Spool(tmp_path / "spool").key == "k"


# --- killed runs ----------------------------------------------------------------------------------


def test_an_unfinished_spool_is_none(tmp_path: Path) -> None:
    spooler = Spooler(tmp_path / "spool", "k", D)
    spooler.add("serving", [point(i) for i in range(4)])
    # Killed here: nobody leaves the block, what is on disk stays.
    for file in spooler._files.values():
        file.flush()
    assert (tmp_path / "spool" / "vectors").stat().st_size == 4 * D * 4
    with pytest.raises(StoreError, match="not a finished spool"):
        Spool(tmp_path / "spool")
    spooler.__exit__(None, None, None)


def test_a_new_spool_takes_the_place_of_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "vectors").write_bytes(b"left over")
    assert spooled(tmp_path, [point(0)]).texts([0]) == ["text 0"]


def test_an_error_while_it_is_written_leaves_nothing(tmp_path: Path) -> None:
    def engine() -> Iterator[list[Point]]:
        yield [point(0)]
        raise StoreError("engine gone")

    def read() -> None:
        with Spooler(tmp_path / "spool", "k", D) as spooler:
            for block in engine():
                spooler.add("serving", block)

    with pytest.raises(StoreError):
        read()
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize(
    "name",
    [
        "vectors",
        "ids",
        "zones",
        "documents",
        "arrivals",
        "offsets",
        "texts",
        "document_lines",
        "document_offsets",
        INDEX,
    ],
)
def test_a_damaged_spool_is_refused(name: str, tmp_path: Path) -> None:
    spooled(tmp_path, [point(i) for i in range(5)])
    file = tmp_path / "spool" / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StoreError):
        Spool(tmp_path / "spool")


def test_a_spool_of_another_format_is_refused(tmp_path: Path) -> None:
    spooled(tmp_path, [point(0)])
    index = tmp_path / "spool" / INDEX
    index.write_text(json.dumps({**json.loads(index.read_text()), "format": 99}))
    with pytest.raises(StoreError, match="another ragguard"):
        Spool(tmp_path / "spool")


def test_others_may_not_read_the_texts(tmp_path: Path) -> None:
    spooled(tmp_path, [point(0)])
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    with (
        Spooler(tmp_path / "spool", "k", D) as spooler,
        open("/dev/full", "wb", buffering=0) as full,
    ):
        spooler._files["vectors"] = full
        with pytest.raises(IncompleteError, match="No space left"):
            spooler.add("serving", [point(0)])
    assert not (tmp_path / "spool").exists()


# --- hostile points -------------------------------------------------------------------------------

ZERO, UNIT = [0.0] * D, [1.0] + [0.0] * (D - 1)
INVALID = [
    ("vector", {"vector": [np.nan, *ZERO[1:]]}),
    ("vector", {"vector": [np.inf, *ZERO[1:]]}),
    ("vector", {"vector": ZERO}),
    ("vector", {"vector": [1e300, *ZERO[1:]]}),
    ("dimensions", {"vector": [1.0, 0.0]}),
    ("no text", {"page_content": ""}),
    ("no text", {"page_content": " \n\t"}),
    ("no text", {"page_content": None}),
    ("no text", {"page_content": ["a", "list"]}),
]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(("reason", "wrong"), INVALID)
def test_a_point_that_cannot_be_judged_is_left_out_by_name(
    reason: str, wrong: Mapping[str, Any], tmp_path: Path
) -> None:
    bad = point(7, **wrong)
    spool = spooled(tmp_path, [point(0), bad, point(1)])
    (out,) = spool.left_out
    assert (out.reason, out.count, out.ids) == (reason, 1, (bad.id,))
    assert spool.texts(range(len(spool))) == ["text 0", "text 1"]
    assert (spool.vectors == np.stack([point(0).vector, point(1).vector])).all()


def test_a_point_that_was_read_without_its_vector_is_left_out(tmp_path: Path) -> None:
    bare = Point(point(3).id, np.empty(0, dtype=np.float32), point(3).payload)
    assert [o.reason for o in spooled(tmp_path, [bare]).left_out] == ["vector"]


def test_an_id_that_is_none_is_left_out(tmp_path: Path) -> None:
    odd = Point("x" * 500, point(0).vector, point(0).payload)
    (out,) = spooled(tmp_path, [odd, point(1)]).left_out
    assert (out.reason, out.count, len(out.ids[0])) == ("id", 1, 36)


def test_ids_of_a_flood_that_is_left_out_are_bounded_and_counted(tmp_path: Path) -> None:
    flood = [point(i, vector=ZERO) for i in range(300)]
    (out,) = spooled(tmp_path, [*flood, point(1000)]).left_out
    assert (out.count, len(out.ids)) == (300, writing.NAMED)
    assert out.ids[0] == flood[0].id


def test_a_vector_of_another_length_is_made_unit_length(tmp_path: Path) -> None:
    spool = spooled(tmp_path, [point(0, vector=[3.0, 4.0] + [0.0] * (D - 2)), point(1)])
    assert spool.vectors[0, :2].tolist() == pytest.approx([0.6, 0.8])
    assert (spool.vectors[1] == point(1).vector).all()
    assert spool.rescaled == 1


def deep(levels: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for _ in range(levels):
        body = {"in": body}
    return body


@pytest.mark.parametrize(
    ("hostile", "metadata", "cut"),
    [
        ({"metadata": ["no", "object"]}, {}, 0),
        ({"metadata": None}, {}, 0),
        ({"metadata": deep(100_000)}, {}, 1),
        ({"metadata": {"long": "x" * 100_000}}, {}, 1),
        ({"metadata": {"\ud800": "\udfff"}}, {"\ud800": "\udfff"}, 0),
        ({"metadata": {"when": NotImplemented}}, {"when": "NotImplemented"}, 0),
        ({"page_content": "y" * (writing.MAX_TEXT + 5)}, {"label": "l0"}, 1),
    ],
)
def test_hostile_payloads_are_bounded_and_break_nothing(
    hostile: Mapping[str, Any], metadata: Mapping[str, Any], cut: int, tmp_path: Path
) -> None:
    spool = spooled(tmp_path, [point(0, **hostile), point(2)])
    assert (len(spool), spool.metadata(0), spool.cut) == (2, metadata, cut)
    assert len(spool.texts([0])[0]) <= writing.MAX_TEXT
    assert spool.texts([1]) == ["text 2"]
    assert spool.metadata(1) == {"label": "l2"}


@pytest.mark.parametrize(
    "fields", [None, [], "text", {"source": 5, "document": {}}, {"commit": "7"}, {"commit": -1}]
)
def test_what_ragguard_should_have_kept_is_not_trusted_to_be_there(
    fields: Any, tmp_path: Path
) -> None:
    spool = spooled(tmp_path, [point(0, ragguard=fields)])
    assert (spool.labels[0], spool.sources[0]) == (f"/{point(0).id}", "")
    assert spool.arrivals.tolist() == [0]


def test_a_lone_surrogate_in_a_text_becomes_a_question_mark(tmp_path: Path) -> None:
    named = {"source": "wi\ud800ki", "document": "d"}
    spool = spooled(tmp_path, [point(0, "a\ud800b", ragguard=named), point(1)])
    assert spool.texts([0, 1]) == ["a?b", "text 1"]
    assert (spool.labels[0], spool.sources[0]) == ("wi?ki/d", "wi?ki")


def test_two_documents_of_endless_names_stay_two(tmp_path: Path) -> None:
    names = [{"source": "s", "document": "n" * 10_000 + end} for end in "ab"]
    spool = spooled(tmp_path, [point(i, ragguard=n) for i, n in enumerate(names)])
    assert spool.documents.tolist() == [0, 1]
    assert [len(label) for label in spool.labels] == [writing.MAX_NAME] * 2


@dataclass(frozen=True)
class Told:
    text: str
    document: str
    source: str = "elsewhere"
    metadata: Mapping[str, Any] = field(default_factory=dict)


def test_a_foreign_layout_is_read_as_told(tmp_path: Path) -> None:
    foreign = Point("12", point(0).vector, {"content": "foreign words", "doc": "x"})
    with Spooler(
        tmp_path / "s", "k", D, lambda p: Told(p.payload["content"], p.payload["doc"])
    ) as spooler:
        spooler.add("serving", [foreign])
        spool = spooler.finish()
    assert (spool.texts([0]), spool.labels[0], spool.ids([0])) == (
        ["foreign words"],
        "elsewhere/x",
        ["12"],
    )


# --- yesterday and today --------------------------------------------------------------------------


def test_rows_are_found_again_in_an_older_spool(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = spooled(tmp_path / "old", [point(i) for i in range(6)], [point(9)])
    moved = point(2)
    changed = Point(point(4).id, np.nextafter(point(4).vector, 1, dtype=np.float32), {})
    changed = Point(changed.id, changed.vector, point(4).payload)
    new = spooled(tmp_path / "new", [point(5), point(20), point(0), changed, point(9)], [moved])
    assert new.origin(old).tolist() == [5, -1, 0, -1, -1, -1]
    assert old.origin(old).tolist() == list(range(7))
    assert old.origin(new).tolist() == [2, -1, -1, -1, -1, 0, -1]


def test_ids_that_begin_alike_are_not_taken_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    short, long = (Point(i, point(0).vector, point(0).payload) for i in ("12", "123"))
    old = spooled(tmp_path / "old", [long])
    assert spooled(tmp_path / "new", [short, long]).origin(old).tolist() == [-1, 0]


# --- scale ----------------------------------------------------------------------------------------


def spool_peak(folder: Path, rows: int, d: int = 256) -> tuple[int, int]:
    """Peak of the memory held while rows of one block after the other are spooled; and bytes."""
    vector = np.full(d, 1 / 16, dtype=np.float32)
    tracemalloc.start()
    with Spooler(folder, "k", d) as spooler:
        for start in range(0, rows, 500):
            spooler.add(
                "serving",
                [
                    Point(str(UUID(int=i)), vector, {"page_content": f"{i:0500}"})
                    for i in range(start, start + 500)
                ],
            )
        spooler.finish().texts(range(100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, sum(f.stat().st_size for f in folder.iterdir())


def test_memory_does_not_grow_with_what_is_spooled(tmp_path: Path) -> None:
    small, few = spool_peak(tmp_path / "small", 1000)
    large, many = spool_peak(tmp_path / "large", 4000)
    assert many - few > 4_500_000
    assert large - small < (many - few) / 5


def test_an_engine_is_read_and_its_neighbours_are_found(tmp_path: Path) -> None:
    store = open_store(tmp_path / "index")
    try:
        store.create("docs", D)
        points = [point(i) for i in range(40)]
        store.upsert("docs", points)
        with Spooler(tmp_path / "s", "k", D) as spooler:
            for block in store.scan("docs", vectors=True, batch=16):
                spooler.add("serving", block)
            spool = spooler.finish()
        table = neighbour_table(spool.vectors, 5)
        hits = store.search("docs", np.array(spool.vectors), 6)
    finally:
        store.close()
    for row, ids in enumerate(hits.ids):
        assert spool.ids(table.indices[row]) == [i for i in ids if i != spool.ids([row])[0]]
