from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.detect.campaign import FLAGRANT_RATIO
from ragguard.errors import NotApplicable
from tests.support.checks.views import (
    Doc,
    assert_order_is_irrelevant,
    by_document,
    direction,
    doc,
    make_view,
    measure,
    near,
    scores,
    topics,
)

CENTRE = near(direction(1000), 0.6, 999)  # where honest documents of subject 0 are


def campaign(count: int, zone: str = "batch", cosine: float = 0.97, first: int = 0) -> list[Doc]:
    """Documents for one question, each in words of its own."""
    return [
        doc(
            f"evil-{i}",
            " ".join(f"evil{i}word{j}" for j in range(20)),
            near(CENTRE, cosine, 300 + i),
            zone=zone,
        )
        for i in range(first, first + count)
    ]


def corpus() -> list[Doc]:
    return [*topics(4, 12), *topics(4, 2, zone="batch", prefix="new")]


def test_a_campaign_in_one_batch_stands_out_from_honest_newcomers() -> None:
    found = by_document("collusion", [*campaign(5), *corpus()])
    guilty = [s for name, s in found.items() if "evil" in name]
    honest = [s for name, s in found.items() if "evil" not in name]
    assert len(guilty) == 5
    assert min(guilty) > 1.0 + max(honest)


def test_honest_newcomers_on_known_subjects_score_next_to_nothing() -> None:
    assert max(by_document("collusion", corpus()).values()) < 0.1


def test_a_drip_feed_is_found_against_the_undecided_that_are_judged_beside_it() -> None:
    waiting = campaign(4, "quarantine", first=1)
    view = make_view([*campaign(1), *waiting, *corpus()])
    found = scores("collusion", view)
    assert view.labels[view.documents[0]] == "wiki/evil-0"
    honest = [s for s, d in zip(found, view.documents, strict=False) if "new" in view.labels[d]]
    assert found[0] > 1.0 + max(honest)
    evidence = measure("collusion", view).explain(0)
    assert "4 of them waiting in quarantine" in evidence.detail
    assert set(evidence.facts["companions"]) <= {d.label for d in waiting}


@pytest.mark.parametrize("zone", ["quarantine", "recent"])
def test_companions_that_wait_or_came_lately_count_as_newcomers_and_for_no_more(zone: str) -> None:
    together = by_document("collusion", [*campaign(5), *corpus()])["wiki/evil-0"]
    docs = [*campaign(1), *campaign(4, zone, first=1), *corpus()]
    assert by_document("collusion", docs)["wiki/evil-0"] == pytest.approx(together, rel=0.15)


def test_an_honest_newcomer_near_an_undecided_campaign_is_not_taken_for_one_of_it() -> None:
    """What waits is judged too, and its own companions are elsewhere."""
    honest = doc("gold", " ".join(f"gold{j}" for j in range(20)), near(CENTRE, 0.8, 55))
    found = by_document("collusion", [honest, *campaign(5, "quarantine"), *corpus()])
    assert found["wiki/gold"] < 0.1 * min(s for name, s in found.items() if "evil" in name)


def test_the_same_document_without_its_companions_is_innocent() -> None:
    found = by_document("collusion", [*campaign(1), *corpus()])
    assert found["wiki/evil-0"] < 0.1


def test_copies_are_left_to_other_checks() -> None:
    texts = [replace(d, texts=("the very same words in all of them",)) for d in campaign(5)]
    found = by_document("collusion", [*texts, *corpus()])
    assert max(s for name, s in found.items() if "evil" in name) == 0.0


def test_a_subject_the_reference_is_as_dense_about_does_not_stand_out() -> None:
    known = [
        doc(f"k{i}", " ".join(f"k{i}w{j}" for j in range(20)), near(CENTRE, 0.97, 700 + i), zone=z)
        for i, z in enumerate(["serving"] * 6)
    ]
    alone = by_document("collusion", [*campaign(3), *corpus()])["wiki/evil-0"]
    beside = by_document("collusion", [*campaign(3), *known, *corpus()])["wiki/evil-0"]
    assert beside < 0.1 < alone


def test_in_a_region_the_reference_hardly_knows_only_the_flagrant_counts() -> None:
    """A batch on a new subject is dense among itself for an honest reason."""
    docs = [*campaign(4), *corpus()]
    unknown = replace(lexicons.empty(), closeness=(0.9, 0.05))
    plain = by_document("collusion", docs)["wiki/evil-0"]
    damped = by_document("collusion", docs, lexicon=unknown)["wiki/evil-0"]
    assert 0.0 < damped < plain - FLAGRANT_RATIO + 0.05
    loose = [*campaign(4, cosine=0.8), *corpus()]
    assert by_document("collusion", loose)["wiki/evil-0"] > 0.2
    assert by_document("collusion", loose, lexicon=unknown)["wiki/evil-0"] < 0.01


def test_order_of_documents_is_irrelevant() -> None:
    assert_order_is_irrelevant("collusion", [*campaign(4), *corpus()])


def test_the_evidence_names_the_companions_and_how_close_they_are() -> None:
    view = make_view([*campaign(5), *corpus()])
    evidence = measure("collusion", view).explain(0)
    assert "other newcomers in different words" in evidence.detail
    assert all(name.startswith("wiki/evil-") for name in evidence.facts["companions"])
    assert evidence.facts["companions"][0] in evidence.detail
    for name, close in zip(
        evidence.facts["companions"], evidence.facts["similarities"], strict=True
    ):
        row = view.labels.index(name)
        assert close == pytest.approx(float(view.vectors[0] @ view.vectors[row]), abs=1e-3)


def test_a_lone_newcomer_with_an_empty_quarantine_has_nobody_to_collude_with() -> None:
    with pytest.raises(NotApplicable, match="no other newcomer"):
        measure("collusion", make_view([*campaign(1), *topics(2, 8)]))


def test_identical_vectors_do_not_divide_by_zero() -> None:
    same = [replace(d, vectors=(CENTRE,)) for d in campaign(8)]
    found = scores("collusion", make_view([*same, *topics(2, 8)]))
    assert np.isfinite(found).all()


def test_an_honest_document_beside_a_campaign_is_not_taken_for_one_of_it() -> None:
    """It has the campaign for company, but the campaign's company is elsewhere."""
    honest = doc("gold", " ".join(f"gold{j}" for j in range(20)), near(CENTRE, 0.8, 55))
    found = by_document("collusion", [*campaign(5), honest, *corpus()])
    guilty = min(s for name, s in found.items() if "evil" in name)
    assert guilty > 1.0
    assert found["wiki/gold"] < 0.1 * guilty


def test_a_stand_out_that_is_next_to_nothing_is_nothing() -> None:
    view = make_view([*campaign(4, cosine=0.4), *corpus()])
    weak = scores("collusion", view, noise=0.0)
    assert (scores("collusion", view, noise=float(weak.max()) + 1e-9) == 0.0).all()


@pytest.mark.parametrize("check", ["collusion", "accord"])
@pytest.mark.parametrize("zone", ["batch", "recent", "quarantine"])
def test_paraphrases_of_a_source_of_low_tier_are_nobody_elses_company(
    check: str, zone: str
) -> None:
    """Who may sign for a source that is hardly trusted writes four texts around each fresh one."""
    fresh = doc("fresh.md", " ".join(f"fresh{j}" for j in range(20)), near(CENTRE, 0.97, 299))
    around = [replace(d, name=f"forum/{d.name}") for d in campaign(4, zone)]
    honest = by_document("collusion", corpus())
    docs = [fresh, *around, *corpus()]
    if check == "collusion":
        assert by_document(check, docs)["wiki/fresh.md"] > max(honest.values()) + 0.5
    alone = by_document(check, [fresh, *corpus()])["wiki/fresh.md"]
    assert by_document(check, docs, low=["forum"])["wiki/fresh.md"] <= alone + 1e-6
    if check == "collusion" and zone == "batch":  # they are found all the same
        assert by_document(check, docs, low=["forum"])["forum/evil-0"] > 0.5
