"""Odd passages beside what is indexed on their subject."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.detect.nearby import known_subject, relative_to_nearby
from ragguard.model import CorpusView, Lexicon
from tests.support.checks.views import Doc, direction, doc, make_view, near

PLAIN, ODD = direction(1), direction(2)


def view() -> CorpusView:
    """One newcomer on each of two subjects, thirty indexed passages on each."""
    batch = [doc("a", "x", near(PLAIN, 0.9)), doc("b", "x", near(ODD, 0.9))]
    indexed = [
        doc(f"{name}{i}", "x", near(subject, 0.9, i + 1), zone="serving")
        for name, subject in (("p", PLAIN), ("o", ODD))
        for i in range(30)
    ]
    return make_view([*batch, *indexed])


def measured(seen: CorpusView) -> np.ndarray:
    """Indexed passages on the odd subject score 3, the others 1."""
    return np.array([3.0 if "/o" in seen.labels[d] else 1.0 for d in seen.documents])


def test_what_is_usual_for_its_subject_is_taken_off() -> None:
    seen = view()
    scores = measured(seen)
    found = relative_to_nearby(seen, np.array([5.0, 5.0]), 2.0, 1.0, lambda rows, _: scores[rows])
    assert found == pytest.approx([5.0, 3.0])


def test_what_is_not_in_doubt_stays_and_is_not_measured() -> None:
    asked: list[int] = []

    def measure(rows: np.ndarray, _: Lexicon) -> np.ndarray:
        asked.extend(rows.tolist())
        return np.full(len(rows), 3.0)

    seen = view()
    found = relative_to_nearby(seen, np.array([2.0, 5.0]), 2.0, 1.0, measure)
    assert found.tolist() == [2.0, 3.0]
    assert {seen.labels[seen.documents[row]][:6] for row in asked} == {"wiki/o"}


def test_newcomers_do_not_vouch_for_each_other() -> None:
    batch: list[Doc] = [doc(f"o{i}", "x", near(ODD, 0.9, i)) for i in range(30)]
    indexed = [doc(f"p{i}", "x", near(PLAIN, 0.9, i), zone="serving") for i in range(30)]
    for docs in ([*batch, *indexed], batch):
        seen = make_view(docs)
        scores = measured(seen)
        found = relative_to_nearby(seen, np.full(30, 5.0), 2.0, 1.0, lambda r, _, s=scores: s[r])
        assert found.tolist() == [5.0] * 30


def test_where_the_index_has_nothing_near_nothing_is_said() -> None:
    """Closeness is told of indexed passages: 0.8 within 0.05 of each other."""
    batch = [doc("a", "x", near(PLAIN, 0.9)), doc("far", "x", direction(9))]
    indexed = [doc(f"p{i}", "x", near(PLAIN, 0.9, i + 1), zone="serving") for i in range(30)]
    known = replace(lexicons.empty(), closeness=(0.8, 0.05))
    seen = make_view([*batch, *indexed], lexicon=known)
    ones = np.ones(len(seen.texts))
    found = relative_to_nearby(seen, np.array([5.0, 5.0]), 2.0, 1.0, lambda rows, _: ones[rows])
    assert found == pytest.approx([5.0, 1.0], abs=0.05)
    assert known_subject(seen, np.array([0, 1])) == pytest.approx([1.0, 0.0], abs=0.01)
