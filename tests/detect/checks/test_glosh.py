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
    return [*topics(1, 40, 0.9), *topics(1, 4, 0.9, zone="batch", prefix="new")]


def stray() -> Doc:
    """Near enough to be in the neighbourhood, in none of its clusters."""
    return doc("stray.md", "stray", near(direction(1000), 0.6, 9))


def test_a_stray_of_a_neighbourhood_stands_out() -> None:
    assert_stands_out(by_document("glosh", [stray(), *honest()]), "wiki/stray.md")


def test_members_of_a_cluster_score_low() -> None:
    assert max(by_document("glosh", honest()).values()) < 1.0


def test_scores_stay_in_their_range() -> None:
    found = scores("glosh", make_view([stray(), *honest(), *topics(3, 20)]))
    assert (found >= 0).all()
    assert (found <= -np.log(0.01) + 1e-9).all()


def test_equal_vectors_are_no_outliers() -> None:
    same = [doc(f"{i}", f"w{i}", direction(5)) for i in range(20)]
    assert (scores("glosh", make_view(same)) == 0).all()


def test_order_of_documents_is_irrelevant() -> None:
    assert_order_is_irrelevant("glosh", [stray(), *honest()])


def test_a_chunk_outside_every_neighbourhood_scores_nothing() -> None:
    lonely = doc("lonely.md", "alone", direction(77))
    view = make_view([lonely, *honest()])
    assert abs(view.vectors[1:] @ view.vectors[0]).max() < 0.6
    assert measure("glosh", view, similarity=0.6).scores[0] == 0.0


def test_the_evidence_gives_the_size_of_the_neighbourhood() -> None:
    evidence = measure("glosh", make_view([stray(), *honest()])).explain(0)
    assert "belongs to no cluster" in evidence.detail
    assert 16 <= evidence.facts["neighbourhood"] <= 45
    assert f"of {evidence.facts['neighbourhood']} chunks" in evidence.detail


def test_a_neighbourhood_is_cut_at_the_cap() -> None:
    signal = measure("glosh", make_view([stray(), *honest()]), cap=20)
    assert signal.explain(0).facts["neighbourhood"] <= 20


def test_small_neighbourhoods_say_nothing() -> None:
    with pytest.raises(NotApplicable, match="no neighbourhood is large enough"):
        measure("glosh", make_view([stray(), *topics(1, 6, 0.9)]))
