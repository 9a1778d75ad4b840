from __future__ import annotations

import numpy as np
import pytest

from ragguard.detect.checks.glosh import neighbourhoods
from ragguard.model import CorpusView
from tests.support import slow_twins
from tests.support.checks.views import Doc, direction, doc, make_view, near, topics


def edges(view: CorpusView, links: int, similarity: float) -> list[tuple[int, int]]:
    found = []
    for table in (view.reference, view.newcomers):
        for row in range(view.n):
            for j in range(min(links, table.indices.shape[1])):
                if table.indices[row, j] >= 0 and table.similarities[row, j] >= similarity:
                    found.append((row, int(table.indices[row, j])))
    return found


def clustered() -> list[Doc]:
    waiting = [doc("w", "waits", near(direction(1000), 0.7, 9), zone="quarantine")]
    return topics(4, 5, 0.8, "batch", "n") + topics(4, 6, 0.8) + waiting


@pytest.mark.parametrize("links", [1, 3])
@pytest.mark.parametrize("similarity", [0.3, 0.62, 0.75])
def test_neighbourhoods_are_the_connected_components(links: int, similarity: float) -> None:
    view = make_view(clustered())
    found = sorted(rows.tolist() for rows in neighbourhoods(view, links, similarity, 1000))
    expected = sorted(slow_twins.components(len(view.texts), edges(view, links, similarity)))
    assert found == expected
    assert found, "nothing was connected, so nothing was compared"


@pytest.mark.parametrize("cap", [2, 3, 7])
def test_a_large_neighbourhood_is_cut_and_no_judged_row_is_lost_or_seen_twice(cap: int) -> None:
    view = make_view(clustered())
    whole = np.concatenate(list(neighbourhoods(view, 3, 0.62, 1000)))
    pieces = list(neighbourhoods(view, 3, 0.62, cap))
    assert max(len(p) for p in pieces) == cap
    assert sorted(np.concatenate(pieces).tolist()) == sorted(whole.tolist())
    assert all((np.diff(p) > 0).all() for p in pieces)


def test_what_is_cut_off_stays_together() -> None:
    """Two tight groups joined by a bridge: cut at the group's size, a piece is mostly one group."""
    left, right = direction(1), direction(2)
    docs = [doc(f"l{i}", "a", near(left, 0.95, i)) for i in range(10)]
    docs += [doc(f"r{i}", "b", near(right, 0.95, i)) for i in range(10)]
    bridge = left.astype(float) + right.astype(float)
    docs.append(doc("bridge", "c", (bridge / np.linalg.norm(bridge)).astype(np.float32)))
    view = make_view(docs)
    (whole,) = neighbourhoods(view, 5, 0.4, 1000)
    assert len(whole) == 21
    for piece in neighbourhoods(view, 5, 0.4, 7):
        sides = {view.labels[view.documents[r]][5] for r in piece} - {"b"}
        assert len(piece) <= 7
        assert len(sides) == 1 or len(piece) > 2


def test_rows_without_a_close_neighbour_are_in_no_neighbourhood() -> None:
    view = make_view([doc(f"d{i}", "x", direction(i)) for i in range(6)])
    assert list(neighbourhoods(view, 5, 0.99, 10)) == []


def test_the_view_is_left_as_it_was() -> None:
    view = make_view(clustered())
    before = view.reference.indices.copy(), view.newcomers.similarities.copy()
    list(neighbourhoods(view, 2, 0.62, 4))
    assert (view.reference.indices == before[0]).all()
    assert (view.newcomers.similarities == before[1]).all()
