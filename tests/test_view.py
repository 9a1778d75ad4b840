from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ragguard import lexicon as lexicons
from ragguard.model import CorpusView, Hidden
from ragguard.store import Point
from ragguard.store.memory import MemoryStore
from ragguard.view import NEIGHBOURS, Prepared, Surroundings, build_view, own, point_label
from tests.batches import QUARANTINE, SERVING, points, prepared, stored
from tests.checks.views import NOW, D, direction, near

WHERE = direction(3)


def view_of(batch: Sequence[Prepared], store: MemoryStore, **rest: Any) -> CorpusView:
    around = Surroundings(store, SERVING, QUARANTINE, lexicons.empty(), (), NOW)
    return build_view(batch, around, **rest)


def names(view: CorpusView, table: str, row: int = 0) -> list[str]:
    """Documents of a row's neighbours, nearest first."""
    found = getattr(view, table).indices[row]
    return [view.labels[view.documents[j]] for j in found if j >= 0]


def several(count: int, cosine: float = 0.9, prefix: str = "d") -> list[Prepared]:
    return [prepared(f"{prefix}{i}", [f"text {i}"], [near(WHERE, cosine, i)]) for i in range(count)]


# --- who is whose neighbour -----------------------------------------------------------------------


def test_neighbours_come_from_the_index_and_newcomers_from_batch_and_quarantine() -> None:
    store = stored([prepared("old", ["old"], [near(WHERE, 0.9)])], several(1, 0.8, "waits"))
    batch = [prepared("a", ["a"], [WHERE]), prepared("b", ["b"], [near(WHERE, 0.7)])]
    view = view_of(batch, store)
    assert names(view, "reference") == ["wiki/old"]
    assert names(view, "newcomers") == ["wiki/waits0", "wiki/b"]
    assert view.n == 2
    assert view.zones == ["batch", "batch", "serving", "quarantine"]


def test_similarities_are_those_of_the_vectors_and_descend() -> None:
    view = view_of([prepared("a", ["a"], [WHERE])], stored(several(9), several(5, 0.5, "q")))
    for table in (view.reference, view.newcomers):
        found = table.indices[0] >= 0
        close = view.vectors[table.indices[0][found]] @ view.vectors[0]
        np.testing.assert_allclose(table.similarities[0][found], close, atol=1e-6)
        assert (np.diff(table.similarities[0]) <= 0).all()
        assert (table.similarities[0][~found] == -1).all()


def test_a_document_never_meets_its_old_version() -> None:
    old = prepared("a", ["the old text"], [WHERE])
    store = stored([old, *several(2)], [prepared("a", ["a suspect text"], [WHERE])])
    view = view_of([prepared("a", ["the new text"], [WHERE])], store)
    assert "wiki/a" not in names(view, "reference") + names(view, "newcomers")
    assert set(names(view, "reference")) == {"wiki/d0", "wiki/d1"}


def test_a_waiting_version_that_the_batch_replaces_is_nobodys_neighbour() -> None:
    waits = [prepared("b", ["b as it waits"], [near(WHERE, 0.9, 1)]), *several(1, 0.8, "other")]
    batch = [prepared("a", ["a"], [WHERE]), prepared("b", ["b again"], [near(WHERE, 0.9, 1)])]
    view = view_of(batch, stored([], waits))
    assert names(view, "newcomers") == ["wiki/b", "wiki/other0"]
    assert view.zones == ["batch", "batch", "quarantine"]


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
    view = view_of(batch, stored(several(40), several(40, 0.8, "q")))
    assert view.reference.indices.shape == view.newcomers.indices.shape == (41, NEIGHBOURS)
    assert len(names(view, "reference")) == NEIGHBOURS
    assert all(name.startswith("wiki/q") for name in names(view, "newcomers"))


@pytest.mark.parametrize("missing", [SERVING, QUARANTINE])
def test_a_collection_that_is_not_there_is_empty(missing: str) -> None:
    store = stored(several(3), several(3, 0.8, "q"))
    store.drop(missing)
    view = view_of([prepared("a", ["a"], [WHERE])], store)
    table, other = ("reference", "newcomers") if missing == SERVING else ("newcomers", "reference")
    assert names(view, table) == []
    assert len(names(view, other)) == 3


def test_the_first_document_of_all_has_no_neighbours() -> None:
    view = view_of([prepared("a", ["a"], [WHERE])], MemoryStore())
    assert names(view, "reference") == names(view, "newcomers") == []
    assert view.vectors.shape == (1, D)
    assert view.labels == ["wiki/a"]


# --- what is in the rows --------------------------------------------------------------------------


def test_judged_documents_come_first_and_each_context_row_once() -> None:
    batch = [prepared("b", ["one", "two"], [WHERE, near(WHERE, 0.9)]), prepared("a", ["x"])]
    view = view_of(batch, stored(several(3), several(2, 0.8, "q")))
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


def test_one_document_in_two_zones_is_one_document_with_two_rows() -> None:
    same = prepared("d", ["old"], [near(WHERE, 0.9)])
    newer = prepared("d", ["newer, waiting"], [near(WHERE, 0.8)])
    view = view_of([prepared("a", ["a"], [WHERE])], stored([same], [newer]))
    assert view.labels == ["wiki/a", "wiki/d"]
    assert view.documents.tolist() == [0, 1, 1]
    assert view.zones == ["batch", "serving", "quarantine"]


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
        stored(several(30)), SERVING, QUARANTINE, lexicons.empty(), (), NOW,
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
        SERVING, QUARANTINE, lexicons.empty(), (), NOW,
        recent=frozenset(f"wiki/new{i}" for i in range(200)),
    )  # fmt: skip
    view = build_view([prepared("a", ["a"], [WHERE])], around)
    assert set(names(view, "reference")) == {"wiki/old0", "wiki/old1", "wiki/old2"}


@pytest.mark.parametrize("setting", ["read through", "in blocks"])
def test_a_large_batch_sees_what_a_small_one_sees(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(8)

    def made(name: str, chunks: int) -> Prepared:
        rows = rng.normal(size=(chunks, D)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return prepared(name, [f"{name} {i}" for i in range(chunks)], list(rows))

    indexed = [made(f"old{i}", 2) for i in range(90)] + [made("crowd", 120)]
    batch = [made("old3", 3), made("crowd", 2), *(made(f"new{i}", 2) for i in range(12))]
    store = stored(indexed, [made(f"waits{i}", 1) for i in range(7)])
    recent = frozenset(f"wiki/old{i}" for i in range(20, 45))
    around = Surroundings(store, SERVING, QUARANTINE, lexicons.empty(), (), NOW, recent=recent)
    absent = {"wiki/old7", "wiki/old8"}
    usual = build_view(batch, around, absent=absent)
    if setting == "read through":
        monkeypatch.setattr("ragguard.view.MANY", 1)
        monkeypatch.setattr("ragguard.view.PAGE", 37)
    else:
        monkeypatch.setattr("ragguard.view.BLOCK", 3)
    again = build_view(batch, around, absent=absent)
    assert list(again.texts) == list(usual.texts)
    assert (again.zones, again.labels) == (usual.zones, usual.labels)
    for name in ("reference", "newcomers"):
        left, right = getattr(again, name), getattr(usual, name)
        assert left.indices.tolist() == right.indices.tolist()
        np.testing.assert_allclose(left.similarities, right.similarities, atol=1e-6)
    assert {"recent", "serving", "quarantine"} <= set(usual.zones)
