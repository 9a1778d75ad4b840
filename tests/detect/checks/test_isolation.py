from __future__ import annotations

import numpy as np
import pytest

from ragguard.errors import NotApplicable
from tests.support.checks.views import (
    Doc,
    assert_order_is_irrelevant,
    assert_stands_out,
    by_document,
    direction,
    doc,
    make_view,
    measure,
    near,
    scores,
    topics,
)


def honest() -> list[Doc]:
    return [*topics(4, 12, 0.8), *topics(4, 2, 0.8, zone="batch", prefix="new")]


def test_junk_far_from_everything_stands_out() -> None:
    junk = doc("junk.md", "lottery pills casino", direction(4242))
    assert_stands_out(by_document("isolation", [junk, *honest()]), "wiki/junk.md", factor=1.2)


def test_honest_newcomers_on_known_subjects_are_alike() -> None:
    found = list(by_document("isolation", honest()).values())
    assert max(found) - min(found) < 0.3


def test_a_chunk_between_two_subjects_is_farther_out_than_one_inside_a_subject() -> None:
    between = near(direction(1000), 0.3, 1)
    found = by_document("isolation", [doc("odd.md", "x", between), *honest()])
    assert max(found, key=lambda n: found[n]) == "wiki/odd.md"


def test_the_score_is_the_mean_chord_to_the_nearest() -> None:
    view = make_view([doc("junk.md", "x", direction(4242)), *honest()])
    signal = measure("isolation", view, k=3)
    close = np.sort(view.vectors[1:] @ view.vectors[0])[::-1][:3].astype(np.float64)
    assert signal.scores[0] == pytest.approx(np.sqrt(2 - 2 * close).mean(), abs=1e-5)


def test_nearest_come_from_index_batch_and_quarantine_alike() -> None:
    where = direction(4242)
    others = [doc(f"q{i}", f"q{i}", near(where, 0.95, i), zone="quarantine") for i in range(8)]
    alone = by_document("isolation", [doc("a.md", "x", where), *honest()])["wiki/a.md"]
    beside = by_document("isolation", [doc("a.md", "x", where), *others, *honest()])["wiki/a.md"]
    assert beside < 0.5 * alone


def test_a_document_is_no_company_for_itself() -> None:
    where = direction(4242)
    long = Doc("a.md", ("x",) * 9, tuple(near(where, 0.99, i) for i in range(9)))
    found = by_document("isolation", [long, *honest()])
    assert_stands_out(found, "wiki/a.md", factor=1.2)


def test_order_of_documents_is_irrelevant() -> None:
    assert_order_is_irrelevant("isolation", [doc("junk.md", "x", direction(4242)), *honest()])


def test_the_evidence_gives_the_distance() -> None:
    view = make_view([doc("junk.md", "x", direction(4242)), *honest()])
    evidence = measure("isolation", view).explain(0)
    assert "far from everything" in evidence.detail
    assert "2 nearest chunks" in evidence.detail
    assert evidence.facts["distance"] > 1.0


@pytest.mark.parametrize(("chunks", "applies"), [(23, False), (24, True)])
def test_too_few_chunks_say_nothing(chunks: int, applies: bool) -> None:
    view = make_view([doc(f"{i}", f"w{i}", direction(i)) for i in range(chunks)])
    if applies:
        assert np.isfinite(scores("isolation", view)).all()
    else:
        with pytest.raises(NotApplicable, match="fewer than 24"):
            measure("isolation", view)
