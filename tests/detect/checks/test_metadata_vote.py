from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ragguard.errors import NotApplicable
from ragguard.text.words import stable_hash
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
)

DEPARTMENTS = ("legal", "finance", "support")


def placed(subject: int, i: int, zone: str = "serving", **metadata: Any) -> Doc:
    """A document of a department, near the department's other documents."""
    where = near(direction(500 + subject), 0.8, 100 * subject + i)
    given = {"department": DEPARTMENTS[subject], "access": "internal", **metadata}
    return doc(f"{zone[0]}{subject}-{i}", f"s{subject}w{i}", where, zone=zone, metadata=given)


def index(**metadata: Any) -> list[Doc]:
    return [placed(s, i, **metadata) for s in range(3) for i in range(12)]


def newcomers() -> list[Doc]:
    return [placed(s, 50 + i, "batch") for s in range(3) for i in range(2)]


def guilty(**metadata: Any) -> Doc:
    return replace(placed(0, 99, "batch", **metadata), name="guilty.md")


def test_a_document_filed_under_another_department_stands_out() -> None:
    found = by_document("metadata_vote", [guilty(department="support"), *index(), *newcomers()])
    assert_stands_out(found, "wiki/guilty.md")
    assert found["wiki/guilty.md"] > 2.0


def test_documents_filed_where_their_neighbours_are_score_nothing() -> None:
    found = by_document("metadata_vote", [*index(), *newcomers()])
    assert set(found.values()) == {0.0}


def test_a_confidential_text_called_public_stands_out() -> None:
    docs = [guilty(access="public"), *index(), *newcomers()]
    assert_stands_out(by_document("metadata_vote", docs), "wiki/guilty.md")


def test_the_score_is_the_surprise_and_the_log_odds_of_the_neighbours_value() -> None:
    view = make_view([guilty(department="support"), *index()])
    found = measure("metadata_vote", view, keys=["department"], regression=0.0, k=11)
    # Its eleven nearest are all of legal. A quarter of the indexed ones at hand are its peers, and
    # none of them has odds against it; those of support count with four that stand for all.
    known = {view.labels[int(view.documents[i])] for i in view.reference.indices[0]}
    peers = sorted((stable_hash(label), label) for label in known)[: len(known) // 4]
    alike = sum(label.startswith("wiki/s2-") for _, label in peers)
    rare = -np.log(4.0 * (1 / (len(peers) + 1)) / (alike + 4.0))
    expected = rare + np.log(1.05 / 0.05)
    assert found.scores[0] == pytest.approx(expected)


def test_a_key_on_which_neighbours_disagree_convicts_nobody() -> None:
    mixed = [
        replace(d, metadata={**d.metadata, "access": ("public", "internal", "secret")[i % 3]})
        for i, d in enumerate(index())
    ]
    docs = [guilty(access="public"), *mixed, *newcomers()]
    clean = by_document("metadata_vote", [guilty(access="public"), *index(), *newcomers()])
    assert max(by_document("metadata_vote", docs).values()) < 0.25 * clean["wiki/guilty.md"]


def test_a_document_that_claims_nothing_is_not_judged() -> None:
    silent = replace(guilty(), metadata={})
    assert by_document("metadata_vote", [silent, *index()]) == {"wiki/guilty.md": 0.0}


def test_newcomers_and_the_quarantine_have_no_vote() -> None:
    waiting = [placed(0, 70 + i, "quarantine", department="support") for i in range(12)]
    batch = [placed(0, 90 + i, "batch", department="support") for i in range(6)]
    found = by_document("metadata_vote", [guilty(department="support"), *batch, *waiting, *index()])
    assert min(found.values()) > 2.0


def test_one_long_document_is_not_four_voters() -> None:
    where = direction(500)
    long = Doc(
        "long.md",
        tuple(f"part {i}" for i in range(12)),
        tuple(near(where, 0.8, i) for i in range(12)),
        "serving",
        {"department": "legal"},
    )
    rest = [placed(1, i) for i in range(2)]
    for documents, votes in (([long, *rest], False), ([long, *rest, placed(2, 0)], True)):
        view = make_view([guilty(department="support"), *documents])
        found = measure("metadata_vote", view, keys=["department"])
        assert bool(found.scores[0] > 0) is votes


@pytest.mark.parametrize(("documents", "votes"), [(3, False), (4, True)])
def test_few_voters_decide_nothing(documents: int, votes: bool) -> None:
    docs = [guilty(department="support"), *[placed(0, i) for i in range(documents)]]
    assert (by_document("metadata_vote", docs)["wiki/guilty.md"] > 0) is votes


def test_nearer_neighbours_weigh_more() -> None:
    where = guilty().placed()[0]
    close = [
        doc(f"c{i}", f"c{i}", near(where, 0.97, i), zone="serving", metadata={"label": "guide"})
        for i in range(3)
    ]
    far = [
        doc(
            f"f{i}", f"f{i}", near(where, 0.5, 50 + i), zone="serving", metadata={"label": "policy"}
        )
        for i in range(8)
    ]
    for label, convicted in (("policy", True), ("guide", False)):
        found = by_document(
            "metadata_vote", [replace(guilty(), metadata={"label": label}), *close, *far]
        )
        assert (found["wiki/guilty.md"] > 1.0) is convicted


def test_lists_are_compared_without_their_order() -> None:
    docs = [replace(d, metadata={"access": ["b", "a"]}) for d in index()]
    same = replace(guilty(), metadata={"access": ["a", "b"]})
    other = replace(guilty(), metadata={"access": ["a"]})
    assert by_document("metadata_vote", [same, *docs])["wiki/guilty.md"] == 0.0
    assert by_document("metadata_vote", [other, *docs])["wiki/guilty.md"] > 2.0


def test_order_of_documents_is_irrelevant() -> None:
    docs = [guilty(department="support"), *index(), *newcomers()]
    assert_order_is_irrelevant("metadata_vote", docs)


def test_the_evidence_says_what_it_claims_and_what_the_others_say() -> None:
    view = make_view([guilty(department="support"), *index()])
    evidence = measure("metadata_vote", view, k=11).explain(0)
    assert evidence.detail.startswith("says department = 'support', but 100% of its nearest")
    assert evidence.detail.endswith("say 'legal'")
    assert evidence.facts == {
        "key": "department",
        "value": "support",
        "neighbours": "legal",
        "share": 1.0,
    }


def test_any_key_that_few_values_share_has_a_vote_and_one_that_names_documents_has_none() -> None:
    named = [
        replace(d, metadata={**d.metadata, "desk": f"desk {i // 12}", "title": f"title {i}"})
        for i, d in enumerate(index())
    ]
    wrong_desk = guilty(desk="desk 2", title="title 5")
    found = measure("metadata_vote", make_view([wrong_desk, *named, *newcomers()]))
    assert found.scores[0] > 2.0
    assert found.explain(0).facts["key"] == "desk"
    right_desk = guilty(desk="desk 0", title="title 30")
    assert by_document("metadata_vote", [right_desk, *named])["wiki/guilty.md"] == 0.0


def test_a_value_that_is_always_at_odds_with_its_neighbours_is_held_against_its_own_kind() -> None:
    scattered = [
        replace(d, metadata={**d.metadata, "access": "public" if i % 4 == 0 else "internal"})
        for i, d in enumerate(index())
    ]
    public = by_document("metadata_vote", [guilty(access="public"), *scattered])
    alone = by_document("metadata_vote", [guilty(access="public"), *index()])
    assert public["wiki/guilty.md"] < 0.3 * alone["wiki/guilty.md"]


def test_metadata_is_judged_once_a_document_by_all_of_its_chunks() -> None:
    where = [near(direction(500), 0.8, 300 + i) for i in range(3)]
    long = Doc("long.md", ("a", "b", "c"), where, metadata={"department": "support"})
    found = measure("metadata_vote", make_view([long, *index()])).scores
    assert found[0] > 2.0
    assert found[1:].tolist() == [0.0, 0.0]


def test_an_index_without_metadata_says_nothing() -> None:
    silent = [replace(d, metadata={}) for d in index()]
    with pytest.raises(NotApplicable, match="no metadata key"):
        measure("metadata_vote", make_view([guilty(), *silent]))


def test_without_an_index_nobody_votes() -> None:
    with pytest.raises(NotApplicable, match="no indexed neighbours"):
        measure("metadata_vote", make_view(newcomers()))


def test_what_a_page_says_of_itself_has_no_vote() -> None:
    # Front matter as documentation has it: near neighbours do not know a page's weight or author.
    def said(i: int) -> dict[str, Any]:
        return {
            "title": f"Page {i}",
            "weight": (7 * i) % 5,
            "author": ("ana", "ben", "cho")[(5 * i + i // 4) % 3],
            "description": ("How to begin with the tool on your own machine", "More")[i % 2],
        }

    known = [placed(subject, i) for subject in range(3) for i in range(60)]
    docs = [replace(d, metadata=said(i)) for i, d in enumerate(known)]
    batch = [replace(d, metadata=said(100 + 3 * i)) for i, d in enumerate(newcomers())]
    assert set(by_document("metadata_vote", [*batch, *docs]).values()) == {0.0}
