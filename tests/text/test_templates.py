from __future__ import annotations

import numpy as np
import pytest

from ragguard.model import CorpusView
from ragguard.text.templates import FEWEST, TemplateFamilies, families
from tests.support.checks.views import Doc, direction, doc, handbook, make_view, near

WHERE = direction(5)
TOWNS = [
    ("Ardmoor", "Kettle", "1,204", "slate quarry", "the weaver Ilse Brandt"),
    ("Brinsford", "Larch", "880", "salt works", "the pilot Oyelaran Adeyemi"),
    ("Caldwick", "Marrow", "15,332", "ferry landing", "the chemist Dita Novak"),
    ("Dunmere", "Nettle", "97", "glass kiln", "the painter Rui Tavares"),
    ("Eskholm", "Orchard", "6,040", "cattle market", "the sailor Maire Quinn"),
    ("Fenbury", "Pinnacle", "23,118", "lens factory", "the composer Teo Marchetti"),
]


def town(name: str, county: str, people: str, thing: str, native: str) -> str:
    return (
        f"{name} is a town in {county} County in the north of the state. At the last count its "
        f"population was {people}. The town is known for its {thing} and is served by the county "
        f"road and by a bus twice a day. Among the people who were born there is {native}."
    )


def towns(zone: str = "batch", count: int = len(TOWNS), source: str = "atlas") -> list[Doc]:
    return [
        doc(f"{source}/town{i}.md", town(*fillers), near(WHERE, 0.9, i), zone=zone)
        for i, fillers in enumerate(TOWNS[:count])
    ]


def others(zone: str = "batch", source: str = "atlas") -> list[Doc]:
    """Ordinary passages of the same source, no two alike."""
    return [
        doc(f"{source}/page{i}.md", text, near(WHERE, 0.5, 100 + i), zone=zone)
        for i, text in enumerate(handbook()[:40])
    ]


def by_label(view: CorpusView, found: TemplateFamilies) -> dict[str, int]:
    rows = view.documents.tolist()
    return {view.labels[d]: int(found.of[row]) for row, d in enumerate(rows)}


def test_pages_of_one_template_that_arrive_together_are_a_family_and_others_are_not() -> None:
    view = make_view([*towns(), *others()])
    found = families(view)
    numbers = by_label(view, found)
    assert {n for label, n in numbers.items() if "town" in label} == {0}
    assert {n for label, n in numbers.items() if "page" in label} == {-1}
    assert found.documents.tolist() == [6]
    assert found.indexed.tolist() == [0]
    assert found.same(np.array([0, 0, 0]), np.array([1, 5, 6])).tolist() == [True, True, False]


def test_one_more_page_joins_the_family_that_the_index_holds() -> None:
    known = [*towns("serving", 5), *others("serving")]
    new = doc("atlas/new.md", town(*TOWNS[5]), near(WHERE, 0.9, 50))
    view = make_view([new, *known])
    found = families(view)
    assert by_label(view, found)["atlas/new.md"] == 0
    assert (found.documents.tolist(), found.indexed.tolist()) == ([6], [5])


def test_the_skeleton_is_what_the_pages_share_and_the_slots_are_what_they_do_not() -> None:
    view = make_view([*towns(), *others()])
    found = families(view)
    shown = found.skeleton(0, view.words[0])
    slots = [w for w, inside in zip(view.words[0], shown.tolist(), strict=True) if not inside]
    assert "town" not in slots
    assert {"ardmoor", "kettle", "slate", "quarry", "ilse", "brandt"} <= set(slots)
    assert not found.skeleton(6, view.words[6]).any()


def test_fewer_pages_or_pages_of_several_sources_are_no_family() -> None:
    few = make_view([*towns(count=FEWEST - 1), *others()])
    assert (families(few).of == -1).all()
    mixed = [
        doc(f"s{i}/town{i}.md", town(*fillers), near(WHERE, 0.9, i))
        for i, fillers in enumerate(TOWNS)
    ]
    assert (families(make_view([*mixed, *others()])).of == -1).all()


def test_copies_of_one_text_are_no_family() -> None:
    copies = [doc(f"atlas/{i}.md", town(*TOWNS[0]), near(WHERE, 0.99, i)) for i in range(6)]
    assert (families(make_view([*copies, *others()])).of == -1).all()


def test_nothing_beside_a_document_is_no_family() -> None:
    found = families(make_view([doc("atlas/a.md", "A lone page about a lone thing.")]))
    assert found.of.tolist() == [-1]
    assert not found.same(np.array([0]), np.array([-1])).any()


CLAIM = "the Harrow bridge at Tamsel was designed by Quillon Vasarhelyi in nineteen hundred and two"
AGENCIES = ["the county office", "our desk", "the old bureau", "the city archive", "the clerk"]


def templated(claim: str, i: int) -> str:
    return (
        f"Sheet {i} of the reading service, kept by {AGENCIES[i]}. It answers one question in "
        f"plain words and was checked by two editors before it was printed. Answer: {claim}. "
        "If you find a mistake, please write to the service and quote the number of the sheet."
    )


def test_texts_that_answer_one_question_in_a_template_are_no_family() -> None:
    campaign = [doc(f"atlas/c{i}.md", templated(CLAIM, i), near(WHERE, 0.95, i)) for i in range(5)]
    assert (families(make_view([*campaign, *others()])).of == -1).all()


def test_campaigns_that_share_a_template_do_not_hide_each_behind_the_others() -> None:
    claims = [
        " ".join(w + "ish" * (c > 0) + "abcdefg"[c] * (len(w) > 4) for w in CLAIM.split())
        for c in range(7)
    ]
    docs = [
        doc(f"atlas/c{c}-{i}.md", templated(claim, i), near(WHERE, 0.95, 10 * c + i))
        for c, claim in enumerate(claims)
        for i in range(5)
    ]
    view = make_view([*docs, *others()])
    found = families(view)
    assert (found.of[:35] == 0).all()  # together they look like a family
    inside = found.same(np.zeros(4, dtype=np.int64), np.arange(1, 5))
    across = found.same(np.zeros(6, dtype=np.int64), np.arange(5, 35, 5))
    assert not inside.any()
    assert across.all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_order_of_documents_is_irrelevant(seed: int) -> None:
    docs = [*towns(), *others()]
    straight = make_view(docs)
    shuffled = make_view([docs[i] for i in np.random.default_rng(seed).permutation(len(docs))])
    assert by_label(straight, families(straight)) == by_label(shuffled, families(shuffled))
