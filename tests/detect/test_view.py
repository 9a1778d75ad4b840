from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.detect.view import (
    NEAR_SUSPECT,
    NEAR_SUSPECTS,
    NEIGHBOURS,
    PreparedDocument,
    Surroundings,
    build_view,
    near_suspects,
    own,
    point_label,
)
from ragguard.model import CorpusView, Hidden
from ragguard.store import Point
from ragguard.store.memory import MemoryStore
from tests.support.batches import SERVING, points, prepared, stored
from tests.support.checks.views import NOW, D, direction, near

WHERE = direction(3)


def view_of(batch: Sequence[PreparedDocument], store: MemoryStore, **rest: Any) -> CorpusView:
    around = Surroundings(store, SERVING, lexicons.empty(), (), NOW)
    return build_view(batch, around, **rest)


def names(view: CorpusView, table: str, row: int = 0) -> list[str]:
    """Documents of a row's neighbours, nearest first."""
    found = getattr(view, table).indices[row]
    return [view.labels[view.documents[j]] for j in found if j >= 0]


def several(count: int, cosine: float = 0.9, prefix: str = "d") -> list[PreparedDocument]:
    return [prepared(f"{prefix}{i}", [f"text {i}"], [near(WHERE, cosine, i)]) for i in range(count)]


# --- who is whose neighbour -----------------------------------------------------------------------


def test_neighbours_come_from_the_index_and_newcomers_from_the_batch_and_beside_it() -> None:
    store = stored([prepared("old", ["old"], [near(WHERE, 0.9)])])
    batch = [prepared("a", ["a"], [WHERE]), prepared("b", ["b"], [near(WHERE, 0.7)])]
    view = view_of(batch, store, beside=several(1, 0.8, "waits"))
    assert names(view, "reference") == names(view, "reference", 2) == ["wiki/old"]
    assert names(view, "newcomers") == ["wiki/waits0", "wiki/b"]
    assert names(view, "newcomers", 2) == ["wiki/b", "wiki/a"]
    assert view.n == 3
    assert view.zones == ["batch", "batch", "quarantine", "serving"]


def test_what_waits_in_the_quarantine_collection_is_nobodys_neighbour() -> None:
    """Undecided cases are suspects, judged beside the batch or not at all; never witnesses."""
    batch = [prepared("a", ["a"], [WHERE]), prepared("b", ["b"], [near(WHERE, 0.7)])]
    view = view_of(batch, stored(several(2), several(5, 0.95, "waits")))
    assert view.zones == ["batch", "batch", "serving", "serving"]
    assert names(view, "newcomers") == ["wiki/b"]
    assert not any("waits" in label for label in view.labels)


def test_what_is_beside_the_batch_comes_after_it_whatever_its_place_among_the_labels() -> None:
    """`scoring.judge` reads the first documents of the view as the batch."""
    batch = [prepared("m", ["one", "two"]), prepared("z", ["x"])]
    view = view_of(batch, stored(several(3)), beside=[prepared("a", ["waits", "too"])])
    assert view.labels[:3] == ["wiki/m", "wiki/z", "wiki/a"]
    assert view.documents[: view.n].tolist() == [0, 0, 1, 2, 2]
    assert list(view.zones[: view.n]) == ["batch"] * 3 + ["quarantine"] * 2
    assert len(view.raws) == len(view.hidden) == len(view.previous_metadata) == 3


def test_similarities_are_those_of_the_vectors_and_descend() -> None:
    batch = [prepared("a", ["a"], [WHERE]), *several(5, 0.5, "q")]
    view = view_of(batch, stored(several(9)))
    for table in (view.reference, view.newcomers):
        found = table.indices[0] >= 0
        close = view.vectors[table.indices[0][found]] @ view.vectors[0]
        np.testing.assert_allclose(table.similarities[0][found], close, atol=1e-6)
        assert (np.diff(table.similarities[0]) <= 0).all()
        assert (table.similarities[0][~found] == -1).all()


def test_a_document_never_meets_its_old_version() -> None:
    old = prepared("a", ["the old text"], [WHERE])
    store = stored([old, *several(2)])
    view = view_of([prepared("a", ["the new text"], [WHERE])], store)
    assert "wiki/a" not in names(view, "reference") + names(view, "newcomers")
    assert set(names(view, "reference")) == {"wiki/d0", "wiki/d1"}


def test_a_document_never_meets_itself_in_the_batch() -> None:
    long = prepared("long", ["one", "two", "three"], [near(WHERE, 0.99, i) for i in range(3)])
    view = view_of([long, prepared("b", ["b"], [WHERE])], stored())
    for row in range(3):
        assert names(view, "newcomers", row) == ["wiki/b"]
    assert names(view, "newcomers", 3) == ["wiki/long"] * 3


def test_the_same_name_in_another_source_is_another_document() -> None:
    store = stored([prepared("a", ["theirs"], [WHERE], source="vendor")])
    view = view_of([prepared("a", ["ours"], [WHERE])], store)
    assert names(view, "reference") == ["vendor/a"]
    assert view.sources == ["wiki", "vendor"]


def test_absent_documents_are_not_neighbours() -> None:
    indexed = several(6)
    view = view_of([prepared("a", ["a"], [WHERE])], stored(indexed), absent={"wiki/d0", "wiki/d3"})
    assert set(names(view, "reference")) == {"wiki/d1", "wiki/d2", "wiki/d4", "wiki/d5"}


def test_absent_documents_leave_room_for_as_many_others() -> None:
    indexed = several(2 * NEIGHBOURS)
    nearest = names(view_of([prepared("a", ["a"], [WHERE])], stored(indexed)), "reference")
    view = view_of([prepared("a", ["a"], [WHERE])], stored(indexed), absent=set(nearest[:20]))
    assert len(names(view, "reference")) == NEIGHBOURS


def test_many_chunks_of_the_old_version_do_not_crowd_out_the_neighbours() -> None:
    """Else whoever owns one long document could change it unseen."""
    old = prepared("a", ["old"] * 60, [near(WHERE, 0.999, i) for i in range(60)])
    store = stored([old, *several(NEIGHBOURS)])
    view = view_of([prepared("a", ["new"], [WHERE])], store)
    assert len(names(view, "reference")) == NEIGHBOURS


def test_at_most_as_many_neighbours_as_there_are_columns() -> None:
    batch = [prepared("a", ["a"], [WHERE]), *several(40, 0.7, "b")]
    view = view_of(batch, stored(several(40)), beside=several(40, 0.8, "q"))
    assert view.reference.indices.shape == view.newcomers.indices.shape == (81, NEIGHBOURS)
    assert len(names(view, "reference")) == NEIGHBOURS
    assert all(name.startswith("wiki/q") for name in names(view, "newcomers"))


@pytest.mark.parametrize("serving", [SERVING, ""], ids=["not there", "before the first ingest"])
def test_a_collection_that_is_not_there_is_empty(serving: str) -> None:
    store = stored(several(3))
    store.drop(SERVING)
    around = Surroundings(store, serving, lexicons.empty(), (), NOW)
    view = build_view([prepared("a", ["a"], [WHERE]), *several(3, 0.8, "q")], around)
    assert names(view, "reference") == []
    assert len(names(view, "newcomers")) == 3


def test_the_first_document_of_all_has_no_neighbours() -> None:
    view = view_of([prepared("a", ["a"], [WHERE])], MemoryStore())
    assert names(view, "reference") == names(view, "newcomers") == []
    assert view.vectors.shape == (1, D)
    assert view.labels == ["wiki/a"]


# --- what is in the rows --------------------------------------------------------------------------


def test_judged_documents_come_first_and_each_context_row_once() -> None:
    batch = [prepared("b", ["one", "two"], [WHERE, near(WHERE, 0.9)]), prepared("a", ["x"])]
    view = view_of(batch, stored(several(5)))
    assert view.labels[:2] == ["wiki/b", "wiki/a"]
    assert view.documents[: view.n].tolist() == [0, 0, 1]
    assert len(view.texts) == len(view.zones) == len(view.documents) == len(view.vectors) == 3 + 5
    assert view.terms.shape[0] == len(view.words) == 8
    assert len(view.labels) == len(view.sources) == len(view.metadata) == 7


def test_texts_are_normalised_and_metadata_is_the_payloads() -> None:
    indexed = prepared("d", ["\uff34he\u200b LIMIT"], [WHERE], metadata={"department": "legal"})
    batch = prepared("a", ["p\u00aday"], [WHERE], metadata={"department": "it"})
    view = view_of([batch], stored([indexed]))
    assert view.texts == ["pay", "The LIMIT"]
    assert view.words == [["pay"], ["the", "limit"]]
    assert view.metadata == [{"department": "it"}, {"department": "legal"}]


def test_what_the_parser_and_the_signer_said_is_handed_on() -> None:
    hidden = (Hidden("css-display", "secret"),)
    batch = prepared("a", hidden=hidden, raw="<p>raw</p>", previous={"access": "internal"})
    view = view_of([batch, prepared("b")], stored())
    assert view.hidden == [hidden, ()]
    assert view.raws == ["<p>raw</p>", "some text"]
    assert view.previous_metadata == [{"access": "internal"}, None]


def test_a_document_of_which_two_chunks_are_near_is_one_document_with_two_rows() -> None:
    both = prepared("d", ["old", "older"], [near(WHERE, 0.9), near(WHERE, 0.8)])
    view = view_of([prepared("a", ["a"], [WHERE]), prepared("b", ["b"], [WHERE])], stored([both]))
    assert view.labels == ["wiki/a", "wiki/b", "wiki/d"]
    assert view.documents.tolist() == [0, 1, 2, 2]
    assert view.zones == ["batch", "batch", "serving", "serving"]


@pytest.mark.parametrize(
    "payload",
    [{}, {"ragguard": None}, {"ragguard": "x", "metadata": None}, {"page_content": 7}],
    ids=["empty", "null", "text", "number"],
)
def test_a_foreign_point_in_the_collection_is_a_neighbour_and_no_crash(
    payload: dict[str, Any],
) -> None:
    (strange,) = points(prepared("d", ["old"], [near(WHERE, 0.9)]))
    store = stored()
    store.upsert(SERVING, [Point(strange.id, strange.vector, payload)])
    view = view_of([prepared("a", ["a"], [WHERE])], store)
    assert names(view, "reference") == [f"/{strange.id}"]
    assert own(Point(strange.id, strange.vector, payload)) == {}


def test_a_points_label_is_its_source_and_document() -> None:
    (point,) = points(prepared("folder/d.md", source="vendor"))
    assert (
        point_label(point) == "vendor/folder/d.md" == prepared("folder/d.md", source="vendor").label
    )


def test_what_arrived_lately_is_a_neighbour_among_the_newcomers_not_of_the_reference() -> None:
    around = Surroundings(
        stored(several(30)), SERVING, lexicons.empty(), (), NOW,
        recent=frozenset(f"wiki/d{i}" for i in range(4)),
    )  # fmt: skip
    view = build_view([prepared("a", ["a"], [WHERE])], around)
    assert set(names(view, "newcomers")) == {f"wiki/d{i}" for i in range(4)}
    assert len(names(view, "reference")) == NEIGHBOURS
    assert not set(names(view, "reference")) & around.recent
    zones = {view.zones[row] for row in view.newcomers.indices[0] if row >= 0}
    assert zones == {"recent"}


def test_many_recent_documents_do_not_crowd_the_reference_out() -> None:
    around = Surroundings(
        stored([*several(200, 0.95, "new"), *several(3, 0.6, "old")]),
        SERVING, lexicons.empty(), (), NOW,
        recent=frozenset(f"wiki/new{i}" for i in range(200)),
    )  # fmt: skip
    view = build_view([prepared("a", ["a"], [WHERE])], around)
    assert set(names(view, "reference")) == {"wiki/old0", "wiki/old1", "wiki/old2"}


@pytest.mark.parametrize("setting", ["read through", "in blocks"])
def test_a_large_batch_sees_what_a_small_one_sees(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(8)

    def made(name: str, chunks: int) -> PreparedDocument:
        rows = rng.normal(size=(chunks, D)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return prepared(name, [f"{name} {i}" for i in range(chunks)], list(rows))

    indexed = [made(f"old{i}", 2) for i in range(90)] + [made("crowd", 120)]
    batch = [made("old3", 3), made("crowd", 2), *(made(f"new{i}", 2) for i in range(12))]
    waits = [made(f"waits{i}", 1) for i in range(7)]
    recent = frozenset(f"wiki/old{i}" for i in range(20, 45))
    around = Surroundings(stored(indexed), SERVING, lexicons.empty(), (), NOW, recent=recent)
    absent = {"wiki/old7", "wiki/old8"}
    usual = build_view(batch, around, absent=absent, beside=waits)
    if setting == "read through":
        monkeypatch.setattr("ragguard.detect.view.MANY", 1)
        monkeypatch.setattr("ragguard.detect.view.PAGE", 37)
    else:
        monkeypatch.setattr("ragguard.detect.view.BLOCK", 3)
    again = build_view(batch, around, absent=absent, beside=waits)
    assert list(again.texts) == list(usual.texts)
    assert (again.zones, again.labels) == (usual.zones, usual.labels)
    for name in ("reference", "newcomers"):
        left, right = getattr(again, name), getattr(usual, name)
        assert left.indices.tolist() == right.indices.tolist()
        np.testing.assert_allclose(left.similarities, right.similarities, atol=1e-6)
    assert {"recent", "serving", "quarantine"} <= set(usual.zones)


# --- suspects -------------------------------------------------------------------------------------


def chosen(batch: Sequence[PreparedDocument], waiting: Sequence[PreparedDocument]) -> list[str]:
    return [p.document.id for p in near_suspects(batch, waiting)]


def test_without_anything_that_waits_nothing_is_judged_beside_the_batch() -> None:
    assert near_suspects(several(3), []) == []


def test_a_suspect_is_judged_beside_what_is_near_it_and_left_alone_beside_what_is_not() -> None:
    waiting = [
        prepared("far", ["far"], [near(WHERE, NEAR_SUSPECT - 0.01, 1)]),
        prepared("close", ["close"], [near(WHERE, NEAR_SUSPECT + 0.01, 2)]),
        prepared("elsewhere", ["elsewhere"], [direction(77)]),
    ]
    assert chosen([prepared("a", ["a"], [WHERE])], waiting) == ["close"]


def test_one_near_chunk_on_either_side_is_enough_and_brings_the_whole_document() -> None:
    waits = prepared("waits", ["one", "two"], [direction(71), near(WHERE, 0.9)])
    batch = [prepared("a", ["a", "b"], [direction(72), WHERE]), prepared("c", ["c"])]
    found = near_suspects(batch, [waits])
    assert found == [waits]
    assert len(found[0].chunks) == 2


def test_only_the_nearest_suspects_of_each_passage_are_looked_at() -> None:
    other = direction(91)
    waiting = several(NEAR_SUSPECTS + 3, 0.7, "w") + [
        prepared(f"o{i}", [f"o {i}"], [near(other, 0.9, i)]) for i in range(NEAR_SUSPECTS - 1)
    ]
    nearest = [prepared(f"n{i}", [f"n {i}"], [near(WHERE, 0.99, i)]) for i in range(NEAR_SUSPECTS)]
    one = [prepared("a", ["a"], [WHERE])]
    assert chosen(one, [*waiting, *nearest]) == [p.document.id for p in nearest]
    both = [*one, prepared("b", ["b"], [other])]
    assert len(chosen(both, [*waiting, *nearest])) == 2 * NEAR_SUSPECTS - 1


def test_what_the_batch_replaces_is_no_suspect_of_it_but_its_namesake_elsewhere_is() -> None:
    batch = [prepared("a", ["a"], [WHERE]), prepared("b", ["b again"], [near(WHERE, 0.9, 1)])]
    waiting = [
        prepared("b", ["b as it waits"], [near(WHERE, 0.9, 1)]),
        prepared("b", ["theirs"], [near(WHERE, 0.9, 2)], source="vendor"),
    ]
    assert [p.label for p in near_suspects(batch, waiting)] == ["vendor/b"]


def test_the_order_of_the_batch_does_not_change_who_is_a_suspect() -> None:
    batch, waiting = several(12, 0.8, "n"), several(20, 0.75, "w")
    assert 0 < len(chosen(batch, waiting)) <= 20
    assert chosen(batch[::-1], waiting) == chosen(batch, waiting)
    assert set(chosen(batch, waiting[::-1])) == set(chosen(batch, waiting))
