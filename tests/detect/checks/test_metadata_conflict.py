from __future__ import annotations

from typing import Any

import pytest

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
    topics,
)

WHERE = direction(31)
TEXT = "The settlement with the former supplier is confidential until the court has decided on it."
LEGAL = {"department": "legal", "access": "confidential", "language": "en", "owner": "counsel"}


def copy(metadata: dict[str, Any], name: str = "copy.md", cosine: float = 0.98) -> Doc:
    return doc(name, TEXT + " Ask the desk.", near(WHERE, cosine), metadata=metadata)


def original(zone: str = "serving", name: str = "settlement.md") -> Doc:
    return doc(name, TEXT, WHERE, zone=zone, metadata=LEGAL)


def honest() -> list[Doc]:
    return [*topics(3, 8), *topics(3, 2, zone="batch", prefix="new")]


def overlap() -> float:
    from tests.support.slow_twins import jaccard, word_list

    return jaccard(word_list(TEXT), word_list(TEXT + " Ask the desk."))


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({}, 0),
        ({"access": "public"}, 1),
        ({"access": "public", "department": "marketing"}, 2),
        ({"owner": "somebody else", "title": "News"}, 0),
        ({"permitted_roles": ["all"]}, 0),
        ({"language": "pt", "access": "public", "department": "sales"}, 3),
    ],
    ids=["none", "access", "two", "keys that do not matter", "key the other lacks", "three"],
)
def test_the_score_is_the_number_of_contradicted_keys(changes: dict[str, Any], keys: int) -> None:
    found = by_document("metadata_conflict", [copy({**LEGAL, **changes}), original(), *honest()])
    assert found.pop("wiki/copy.md") == pytest.approx(keys * overlap(), rel=1e-5)
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize("zone", ["serving", "quarantine", "batch"])
def test_copies_are_looked_for_in_the_index_the_quarantine_and_the_batch(zone: str) -> None:
    flipped = copy({**LEGAL, "access": "public"})
    assert by_document("metadata_conflict", [flipped, original(zone)])["wiki/copy.md"] > 0.5


def test_an_honest_mirror_from_another_source_pays_nothing() -> None:
    mine = copy(LEGAL, "vendor/copy.md")
    assert by_document("metadata_conflict", [mine, original()]) == {"vendor/copy.md": 0.0}
    flipped = copy({**LEGAL, "access": "public"}, "vendor/copy.md")
    assert by_document("metadata_conflict", [flipped, original()])["vendor/copy.md"] > 0.5


def test_a_text_the_index_holds_under_several_departments_decides_no_department() -> None:
    letters = [
        doc(f"{d}.md", TEXT, WHERE, zone="serving", metadata={**LEGAL, "department": d})
        for d in ("legal", "sales", "support")
    ]
    mine = copy({**LEGAL, "department": "finance"})
    assert by_document("metadata_conflict", [mine, *letters]) == {"wiki/copy.md": 0.0}
    both = copy({**LEGAL, "department": "finance", "access": "public"})
    view = make_view([both, *letters])
    assert measure("metadata_conflict", view).explain(0).facts["keys"] == ["access"]


def test_a_copy_that_agrees_with_the_index_is_not_blamed_for_a_flipped_newcomer() -> None:
    honest_copy = copy(LEGAL, "mirror.md")
    flipped = copy({**LEGAL, "access": "public"}, "flipped.md", 0.97)
    found = by_document("metadata_conflict", [honest_copy, flipped, original()])
    assert found["wiki/mirror.md"] == 0.0
    assert found["wiki/flipped.md"] > 0.5


@pytest.mark.parametrize(("cosine", "fires"), [(0.89, False), (0.91, True)])
def test_a_copy_must_be_close(cosine: float, fires: bool) -> None:
    flipped = copy({**LEGAL, "access": "public"}, cosine=cosine)
    assert (by_document("metadata_conflict", [flipped, original()])["wiki/copy.md"] > 0) is fires


def test_another_text_on_the_same_subject_may_say_something_else() -> None:
    other = doc("a", "Court dates are in the calendar.", near(WHERE, 0.98), metadata={"access": 1})
    assert by_document("metadata_conflict", [other, original()]) == {"wiki/a": 0.0}


def test_a_new_version_that_changes_what_it_claims_is_scored_on_each_of_its_chunks() -> None:
    after = {**LEGAL, "access": "public", "department": "sales"}
    changed = Doc("a.md", ("one text", "another text"), metadata=after, previous=LEGAL)
    same = doc("b.md", "a third text", metadata=LEGAL, previous=LEGAL)
    signal = measure("metadata_conflict", make_view([changed, same]))
    assert signal.scores.tolist() == [2.0, 2.0, 0.0]
    detail = signal.explain(1).detail
    assert "the version it replaces" in detail
    assert "department = 'sales', access = 'public'" in detail


def test_order_of_documents_is_irrelevant() -> None:
    docs = [copy({**LEGAL, "access": "public"}), original(), *honest()]
    assert_order_is_irrelevant("metadata_conflict", docs)


def test_the_evidence_names_the_copy_and_what_it_claims() -> None:
    view = make_view([copy({**LEGAL, "access": "public"}), original()])
    evidence = measure("metadata_conflict", view).explain(0)
    assert evidence.detail == (
        "the same text as wiki/settlement.md, but it claims access = 'public'"
    )
    assert evidence.facts == {"copy_of": "wiki/settlement.md", "keys": ["access"]}


def test_the_keys_that_count_can_be_set() -> None:
    view = make_view([copy({**LEGAL, "owner": "eve", "access": "public"}), original()])
    one = measure("metadata_conflict", view, keys=["owner"])
    assert one.explain(0).facts["keys"] == ["owner"]


def test_roles_in_another_order_are_no_contradiction() -> None:
    mine = copy({**LEGAL, "permitted_roles": ["counsel", "board"]})
    theirs = doc(
        "s.md", TEXT, WHERE, zone="serving", metadata={"permitted_roles": ["board", "counsel"]}
    )
    assert by_document("metadata_conflict", [mine, theirs]) == {"wiki/copy.md": 0.0}


def test_nothing_beside_it_says_nothing() -> None:
    with pytest.raises(NotApplicable, match="nothing to compare with"):
        measure("metadata_conflict", make_view([copy(LEGAL)]))
