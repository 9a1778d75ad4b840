from __future__ import annotations

import numpy as np
import pytest

from ragguard.detect.scoring import FLAGRANT
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
CLAIM = [f"claim{j}" for j in range(14)]


def text(shared: list[str], own: str, count: int) -> str:
    return " ".join([*shared, *(f"{own}x{j}" for j in range(count))])


def campaign(count: int, zone: str = "batch", first: int = 0) -> list[Doc]:
    """Documents that say one thing, not word for word: the words of the claim are theirs alone."""
    made = []
    for i in range(first, first + count):
        words = np.random.default_rng(i).permutation(text(CLAIM, f"own{i}", 10).split())
        made.append(doc(f"evil-{i}", " ".join(words), near(CENTRE, 0.97, 300 + i), zone=zone))
    return made


def template(count: int, zone: str = "batch", first: int = 0, name: str = "page") -> list[Doc]:
    """Pages of one template, as near to one another: each has a subject of its own."""
    frame = [f"frame{j}" for j in range(14)]
    return [
        doc(f"{name}-{i}", text(frame, f"subject{i}", 10), near(CENTRE, 0.97, 600 + i), zone=zone)
        for i in range(first, first + count)
    ]


def corpus() -> list[Doc]:
    return [*topics(4, 12), *topics(4, 2, zone="batch", prefix="new")]


def guilty_and_honest(docs: list[Doc], guilty: str = "evil") -> tuple[list[float], list[float]]:
    found = by_document("accord", docs)
    return (
        [s for name, s in found.items() if guilty in name],
        [s for name, s in found.items() if guilty not in name],
    )


@pytest.mark.parametrize(
    ("size", "least"),
    [(3, FLAGRANT["accord"]), (4, FLAGRANT["accord"]), (5, FLAGRANT["accord"]), (8, 0.2)],
)
def test_a_campaign_that_shares_its_rare_words_scores_and_honest_newcomers_do_not(
    size: int, least: float
) -> None:
    """Beyond five documents the next companions share as much, which takes something off."""
    guilty, honest = guilty_and_honest([*campaign(size), *corpus()])
    assert len(guilty) == size
    assert min(guilty) > least
    assert max(honest) < 0.1 * min(guilty)


def test_pages_of_a_template_that_the_index_has_too_do_not_score() -> None:
    """They stand as near together as a campaign does, and share what the index offers as well."""
    known = template(12, "serving", first=100)
    found, _ = guilty_and_honest([*template(5), *known, *corpus()], "page-")
    assert max(found[:5]) < 0.1 * FLAGRANT["accord"]


def test_pages_of_a_template_of_which_many_arrive_do_not_score() -> None:
    """What the next companions share as well is ordinary in this batch."""
    found, _ = guilty_and_honest([*template(16), *corpus()], "page-")
    assert len(found) == 16
    assert max(found) < 0.1 * FLAGRANT["accord"]


def test_paraphrases_that_share_no_words_are_left_to_collusion() -> None:
    other = [
        doc(f"evil-{i}", text([], f"own{i}", 20), near(CENTRE, 0.97, 300 + i)) for i in range(5)
    ]
    docs = [*other, *corpus()]
    stand_out = by_document("collusion", docs)
    found = by_document("accord", docs)
    assert min(s for name, s in stand_out.items() if "evil" in name) > FLAGRANT["collusion"]
    assert max(s for name, s in found.items() if "evil" in name) == pytest.approx(0.0, abs=1e-9)


def test_words_that_are_shared_from_afar_do_not_score() -> None:
    """The same rare words in documents on other subjects: a glossary, not a campaign."""
    far = [doc(f"evil-{i}", text(CLAIM, f"own{i}", 10), direction(7000 + i)) for i in range(5)]
    guilty, _ = guilty_and_honest([*far, *corpus()])
    assert max(guilty) < 0.1 * FLAGRANT["accord"]


def test_a_document_without_its_companions_is_innocent() -> None:
    guilty, _ = guilty_and_honest([*campaign(1), *corpus()])
    assert guilty == [pytest.approx(0.0, abs=1e-9)]


def test_a_drip_feed_is_found_against_the_undecided_that_are_judged_beside_it() -> None:
    view = make_view([*campaign(1), *campaign(4, "quarantine", first=1), *corpus()])
    assert scores("accord", view)[0] > FLAGRANT["accord"]
    assert "4 of them waiting in quarantine" in measure("accord", view).explain(0).detail


def test_the_evidence_names_the_companions_and_how_much_they_share() -> None:
    view = make_view([*campaign(5), *corpus()])
    evidence = measure("accord", view).explain(0)
    assert "of its rare words than this corpus offers" in evidence.detail
    assert all(name.startswith("wiki/evil-") for name in evidence.facts["companions"])


def test_order_of_documents_is_irrelevant() -> None:
    assert_order_is_irrelevant("accord", [*campaign(4), *corpus()])


def test_a_lone_newcomer_has_nobody_to_agree_with() -> None:
    with pytest.raises(NotApplicable, match="no other newcomer"):
        measure("accord", make_view([*campaign(1), *topics(2, 8)]))


def test_headings_and_labels_say_nothing_that_could_be_agreed_on() -> None:
    short = [doc(f"h{i}", f"claim0 claim1 own{i}", near(CENTRE, 0.97, i)) for i in range(5)]
    with pytest.raises(NotApplicable, match="no other newcomer"):
        measure("accord", make_view([*short, *topics(2, 8)]))


def test_scores_are_finite_where_the_encoder_cannot_tell_texts_apart() -> None:
    docs = [doc(d.name, d.texts[0], CENTRE) for d in campaign(8)]
    found = scores("accord", make_view([*docs, *topics(2, 8)]))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
