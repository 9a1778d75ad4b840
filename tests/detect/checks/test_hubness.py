from __future__ import annotations

from functools import cache

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

D = 128  # room for passages of a subject to be nearly independent
EACH = 30


def corpus(cosine: float = 0.75) -> list[Doc]:
    """Five subjects of thirty indexed passages and one honest newcomer each."""
    made = []
    for subject in range(5):
        centre = direction(900 + subject, D)
        made += [
            doc(
                f"d{subject}-{i}",
                f"s{subject} w{i}",
                near(centre, cosine, 50 * subject + i),
                zone=z,
            )
            for i, z in enumerate(["serving"] * EACH + ["batch"])
        ]
    return made


@cache
def centre() -> np.ndarray:
    """The middle of the first subject's indexed passages."""
    members = [d.vectors[0] for d in corpus() if d.name.startswith("d0-") and d.zone == "serving"]
    mean = np.mean(members, axis=0)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def middle(jitter: float = 0.05, seed: int = 1) -> Doc:
    """A vector in the middle of the first subject's indexed passages."""
    return doc("hub", "anything at all", near(centre(), float(np.sqrt(1 - jitter**2)), seed))


@pytest.mark.parametrize("jitter", [0.0, 0.05, 0.3])
def test_one_vector_in_the_middle_of_a_region_stands_out(jitter: float) -> None:
    assert_stands_out(by_document("hubness", [*corpus(), middle(jitter)]), "wiki/hub", factor=3.0)


def test_an_honest_newcomer_scores_next_to_nothing() -> None:
    found = by_document("hubness", corpus())
    assert len(found) == 5
    assert max(found.values()) < 0.3


def test_one_more_copy_of_a_boilerplate_is_no_hub() -> None:
    centre = direction(7, D)
    copies = [doc(f"c{i}", "imprint", near(centre, 0.999, i), zone="serving") for i in range(30)]
    found = by_document(
        "hubness", [*corpus(), *copies, doc("copy", "imprint", near(centre, 0.999, 99))]
    )
    assert found["wiki/copy"] < 0.3


def test_a_vector_far_from_everything_is_no_hub() -> None:
    found = by_document("hubness", [*corpus(), doc("noise", "x", direction(4242, D))])
    assert found["wiki/noise"] < 0.3


def test_order_is_irrelevant() -> None:
    assert_order_is_irrelevant("hubness", [*corpus(), middle()])


def test_newcomers_beside_it_change_nothing() -> None:
    alone = by_document("hubness", [*corpus(), middle()])["wiki/hub"]
    others = [doc(f"n{i}", "x", middle(seed=i + 5).vectors[0]) for i in range(4)]
    among = by_document("hubness", [*corpus(), middle(), *others])["wiki/hub"]
    assert among == pytest.approx(alone)


def test_a_chunk_with_too_few_indexed_neighbours_scores_nothing() -> None:
    view = make_view([*corpus(), middle()], k=12)
    assert scores("hubness", view)[-1] > 0.5
    assert (scores("hubness", view, least=12) >= 0.0).all()
    with pytest.raises(NotApplicable, match="fewer than 13"):
        measure("hubness", view, least=13)


def test_an_empty_index_is_not_applicable() -> None:
    docs = topics(2, 8, zone="batch")
    with pytest.raises(NotApplicable, match="fewer than 12"):
        measure("hubness", make_view(docs))


def test_many_rows_are_measured_as_few_are() -> None:
    indexed = [d for d in corpus() if d.zone == "serving"]
    hubs = [doc(f"h{i}", "x", middle(0.1 + 0.001 * i, seed=i).vectors[0]) for i in range(300)]
    together = scores("hubness", make_view([*hubs, *indexed]))
    for i in (0, 255, 256, 299):
        alone = scores("hubness", make_view([hubs[i], *indexed]))
        assert together[i] == pytest.approx(alone[0], rel=1e-5)


def test_the_score_is_the_documented_ratio() -> None:
    docs = [*corpus(), middle()]
    view = make_view(docs, k=16)
    row = 5
    found = view.vectors[view.reference.indices[row]].astype(np.float64)
    own = found @ view.vectors[row].astype(np.float64)
    pairs = found @ found.T
    among = pairs[~np.eye(16, dtype=bool)].mean()
    expected = np.log((1 - among) / (max(1 - own.mean() ** 2 / among, 0.0) + 0.02))
    assert scores("hubness", view)[row] == pytest.approx(expected, rel=1e-4)


def test_the_evidence_gives_both_similarities() -> None:
    view = make_view([*corpus(), middle()])
    evidence = measure("hubness", view).explain(5)
    assert "in the middle of 24 indexed passages" in evidence.detail
    assert evidence.facts["similarity"] > evidence.facts["among_neighbours"]
