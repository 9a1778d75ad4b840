from __future__ import annotations

from collections.abc import Callable

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
from tests.support.hanging import ends

WHERE = direction(21)
TEXT = (
    "Suppliers send their invoices to the finance team in Leeds and quote the order number. They "
    "are paid within 30 days. Amounts above 2,500 euro need two signatures, and nobody may pay "
    "them in cash before the goods have arrived. Questions go to the desk, which answers them."
)


def edited(before: str, after: str) -> Doc:
    """The text with one piece changed, as a newcomer."""
    assert before in TEXT
    return doc("edit.md", TEXT.replace(before, after), near(WHERE, 0.98))


def original(zone: str = "serving") -> Doc:
    return doc("invoices.md", TEXT, WHERE, zone=zone)


def honest() -> list[Doc]:
    return [*topics(3, 8), *topics(3, 2, zone="batch", prefix="new")]


def test_what_waits_and_came_later_is_no_witness_against_its_original() -> None:
    waits = doc("copy.md", TEXT.replace("30 days", "90 days"), near(WHERE, 0.98), zone="quarantine")
    judged = [original("batch"), waits, *honest()]
    mine, theirs = "wiki/invoices.md", "wiki/copy.md"
    for first in ({mine: 1, theirs: 2}, {mine: 2, theirs: 1}, {theirs: 1}, {}):
        found = by_document("twin_edit", judged, first=first)
        assert (found[mine] == 0.0) == (first == {mine: 1, theirs: 2})
        assert found[theirs] > 1.0  # the copy stays what it is


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("30 days", "90 days"),
        ("2,500", "25,000"),
        ("2,500 euro", "2,500 $"),
        ("in Leeds", "in Gdansk"),
        ("may pay", "must pay"),
        ("nobody may pay", "anybody may always pay"),
        ("before the goods", "after the goods"),
        ("two signatures", "nine signatures"),
        ("two signatures", "no signatures"),
        ("are paid", "are never paid"),
    ],
)
def test_a_copy_with_one_fact_changed_is_found(before: str, after: str) -> None:
    found = by_document("twin_edit", [edited(before, after), original(), *honest()])
    assert found.pop("wiki/edit.md") > 1.0
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.upper(),
        TEXT.replace("the desk", "the kind desk"),
        TEXT.replace("quote", "name"),
        TEXT.replace(", ", " - ").replace(".", ";"),
        TEXT.replace("finance team", "team for finance matters"),
        TEXT.replace("within 30 days", "within 30 to 60 days"),
        TEXT.replace("need two signatures", "need signatures"),
        TEXT.replace("They are paid", "If approved they are paid"),
        TEXT.replace("the order number", "the ID"),
        TEXT + " The list of suppliers, with 40 entries for Porto, hangs on the door.",
        "The list of 40 entries for Porto hangs on the door. " + TEXT,
        TEXT.split(" ", 12)[-1],
    ],
    ids=[
        "the same",
        "capitals",
        "a word more",
        "another word",
        "punctuation",
        "reworded",
        "a number more",
        "a number less",
        "words put in",
        "a name for a phrase",
        "longer at the end",
        "longer at the start",
        "cut elsewhere",
    ],
)
def test_copies_without_a_changed_fact_are_left_alone(text: str) -> None:
    found = by_document("twin_edit", [doc("copy.md", text, near(WHERE, 0.98)), original()])
    assert found == {"wiki/copy.md": 0.0}


def test_one_changed_fact_is_worse_than_several_and_a_rewrite_is_none() -> None:
    one = TEXT.replace("30 days", "90 days")
    two = one.replace("2,500", "25,000")
    three = two.replace("Leeds", "Porto")
    rewrite = " ".join(f"{w} {i}" for i, w in enumerate(TEXT.split()))
    found = [
        by_document("twin_edit", [doc("e", text, near(WHERE, 0.98)), original()])["wiki/e"]
        for text in (one, two, three, rewrite)
    ]
    assert found[0] > found[1] > found[2] == found[3] == 0.0


@pytest.mark.parametrize("zone", ["serving", "quarantine", "batch"])
def test_the_twin_is_looked_for_in_the_index_the_quarantine_and_the_batch(zone: str) -> None:
    found = by_document("twin_edit", [edited("30 days", "90 days"), original(zone), *honest()])
    assert found["wiki/edit.md"] > 2.0


@pytest.mark.parametrize(("cosine", "fires"), [(0.43, False), (0.47, True)])
def test_a_twin_may_be_far_when_a_name_moved_its_vector_but_not_any_distance(
    cosine: float, fires: bool
) -> None:
    edit = doc("edit.md", TEXT.replace("30 days", "90 days"), near(WHERE, cosine))
    assert (by_document("twin_edit", [edit, original()])["wiki/edit.md"] > 0) is fires


def test_a_twin_must_share_its_words() -> None:
    other = doc("other.md", "Within 90 days the desk in Leeds pays.", near(WHERE, 0.98))
    assert by_document("twin_edit", [other, original()]) == {"wiki/other.md": 0.0}


def test_invisible_characters_do_not_hide_the_likeness() -> None:
    text = TEXT.replace("30 days", "90 days").replace("e", "e\u200b")
    found = by_document("twin_edit", [doc("edit.md", text, near(WHERE, 0.98)), original()])
    assert found["wiki/edit.md"] > 2.0


def test_order_of_documents_is_irrelevant() -> None:
    assert_order_is_irrelevant("twin_edit", [edited("30", "90"), original(), *honest()])


def test_the_evidence_names_the_twin_and_the_change() -> None:
    view = make_view([edited("2,500", "25,000"), original()])
    evidence = measure("twin_edit", view).explain(0)
    assert evidence.detail == "a copy of wiki/invoices.md in which '2,500' became '25,000'"
    assert evidence.facts == {"twin": "wiki/invoices.md", "changes": [("25,000", "2,500")]}


def test_a_negation_put_in_is_told_as_such() -> None:
    added = make_view([edited("are paid", "are never paid"), original()])
    assert "'(nothing)' became 'never'" in measure("twin_edit", added).explain(0).detail


def test_nothing_beside_it_says_nothing() -> None:
    with pytest.raises(NotApplicable, match="nothing to compare with"):
        measure("twin_edit", make_view([edited("30", "90")]))


LETTER = (
    "Dear {name}, we confirm your booking of {rooms} rooms in {town} from the {day}th of May. "
    "Please bring this letter with you and show it at the desk when you arrive. Breakfast is "
    "served in the hall on the second floor. We look forward to your stay and wish you a pleasant "
    "journey."
)
GUESTS = [("Adeyemi", 2, "Porto", 3), ("Brandt", 5, "Leeds", 11), ("Costa", 7, "Gdansk", 19)]


def letter(name: str, rooms: int, town: str, day: int) -> str:
    return LETTER.format(name=name, rooms=rooms, town=town, day=day)


def letters() -> list[Doc]:
    return [
        doc(f"letter{i}.md", letter(*guest), near(WHERE, 0.95, i), zone="serving")
        for i, guest in enumerate(GUESTS)
    ]


def test_one_more_of_a_template_pays_nothing_but_an_edit_outside_its_blanks_does() -> None:
    another = doc("new.md", letter("Dubois", 4, "Lyon", 27), near(WHERE, 0.95, 9))
    assert by_document("twin_edit", [another, *letters()]) == {"wiki/new.md": 0.0}
    text = letter(*GUESTS[0]).replace("on the second floor", "on the fourth floor")
    edit = doc("edit.md", text, near(WHERE, 0.95, 9))
    assert by_document("twin_edit", [edit, *letters()])["wiki/edit.md"] > 2.0


PAGE = (
    "# {name}\n\nThe {name} module keeps the values that a caller sends in the {name} of a request "
    "and checks each of them before the view runs. Declare the values with {name} and the type you "
    "expect. A value that is missing is refused with the code 422, and the answer says which one "
    "it was and what was expected in its place."
)


def test_a_page_about_something_else_made_from_another_of_its_source_is_no_edit() -> None:
    cookie = doc("docs/cookie.md", PAGE.format(name="Cookie"), WHERE, zone="serving")
    header = doc("docs/header.md", PAGE.format(name="Header"), near(WHERE, 0.95))
    assert by_document("twin_edit", [header, cookie]) == {"docs/header.md": 0.0}
    other = PAGE.format(name="Cookie").replace("422", "500")
    edit = doc("docs/values.md", other, near(WHERE, 0.95))
    assert by_document("twin_edit", [edit, cookie])["docs/values.md"] > 2.0
    stranger = doc("feed/header.md", PAGE.format(name="Header"), near(WHERE, 0.95))
    assert by_document("twin_edit", [stranger, cookie])["feed/header.md"] > 2.0


def test_a_passage_that_a_source_repeats_on_other_pages_is_an_edit_only_from_another_source() -> (
    None
):
    more = " ".join(f"Moreover the ledger of room {i} is kept in drawer {i}." for i in range(40))
    text = TEXT.replace("30 days", "90 days")
    inside = Doc("wiki/rooms.md", (text, more), (near(WHERE, 0.98), direction(99)))
    assert by_document("twin_edit", [inside, original()]) == {"wiki/rooms.md": 0.0}
    outside = Doc("feed/rooms.md", (text, more), (near(WHERE, 0.98), direction(99)))
    assert by_document("twin_edit", [outside, original()])["feed/rooms.md"] > 2.0


def test_an_edit_in_one_passage_of_a_long_copy_within_its_source_is_found() -> None:
    more = [
        " ".join(f"The ledger of room {i} is kept in drawer {i} of floor {floor}." for i in span)
        for floor, span in (("two", range(8)), ("three", range(20, 28)), ("four", range(40, 48)))
    ]
    places = (WHERE, direction(97), direction(98), direction(99))
    long = Doc("wiki/invoices.md", (TEXT, *more), places, "serving")
    text = TEXT.replace("30 days", "90 days")
    mirror = Doc("wiki/mirror.md", (TEXT, *more), places)
    assert by_document("twin_edit", [mirror, long]) == {"wiki/mirror.md": 0.0}
    edit = Doc("wiki/copy.md", (text, *more), (near(WHERE, 0.98), *places[1:]))
    assert by_document("twin_edit", [edit, long])["wiki/copy.md"] > 2.0
    page = Doc("wiki/page.md", (text, more[0], LETTER, NOTICE), (near(WHERE, 0.98), *places[1:]))
    assert by_document("twin_edit", [page, long])["wiki/page.md"] == 0.0


NOTICE = (
    "Permission is granted to copy and distribute this software under the terms of the licence "
    "below. The notice must be kept in all copies. There is no warranty of any kind, and the "
    "holders are not liable for damages. For version 2 of the terms write to the office in Boston."
)


def test_what_everybody_prints_with_other_years_and_versions_is_no_edit() -> None:
    there = doc("home/licence.txt", NOTICE, WHERE, zone="serving")
    here = doc("feed/licence.txt", NOTICE.replace("version 2", "version 3"), near(WHERE, 0.98))
    assert by_document("twin_edit", [here, there]) == {"feed/licence.txt": 0.0}


def test_tables_menus_and_code_are_no_sentences() -> None:
    lines = "\n".join(f"- Room {i} Drawer {i}\n- Key {i}" for i in range(30))
    there = doc("home/rooms.md", TEXT + "\n\n" + lines, WHERE, zone="serving")
    other = TEXT + "\n\n" + lines.replace("Room 7 ", "Room 70 ")
    here = doc("feed/rooms.md", other, near(WHERE, 0.98))
    assert by_document("twin_edit", [here, there]) == {"feed/rooms.md": 0.0}


def test_the_mark_of_a_footnote_is_no_number() -> None:
    there = doc("home/a.md", TEXT.replace("30 days.", "30 days.[12]"), WHERE, zone="serving")
    here = doc("feed/a.md", TEXT.replace("30 days.", "30 days.[17]"), near(WHERE, 0.98))
    assert by_document("twin_edit", [here, there]) == {"feed/a.md": 0.0}


def test_edits_that_arrive_together_are_no_template() -> None:
    days = [
        doc(f"{'abc'[n - 7]}.md", TEXT.replace("30 d", f"{n} d"), near(WHERE, 0.97, n))
        for n in (7, 8, 9)
    ]
    found = by_document("twin_edit", [*days, original()])
    assert min(found.values()) > 2.0


def test_a_mirror_of_an_indexed_text_is_not_blamed_for_an_edit_that_arrives_with_it() -> None:
    mirror = doc("mirror.md", TEXT, near(WHERE, 0.99, 5))
    found = by_document("twin_edit", [mirror, edited("30 days", "90 days"), original()])
    assert found["wiki/mirror.md"] == 0.0
    assert found["wiki/edit.md"] > 2.0


def test_one_name_changed_throughout_is_one_change() -> None:
    text = TEXT.replace("Questions go to the desk", "Questions go to Leeds")
    there = doc("o.md", text, WHERE, zone="serving")
    edit = doc("edit.md", text.replace("Leeds", "Gdansk"), near(WHERE, 0.7))
    view = make_view([edit, there])
    signal = measure("twin_edit", view)
    once = by_document("twin_edit", [edited("Leeds", "Gdansk"), original()])["wiki/edit.md"]
    assert signal.scores[0] == pytest.approx(once, rel=0.1)
    assert signal.explain(0).facts["changes"] == [("Gdansk", "Leeds")]


@pytest.mark.parametrize(
    "disguise",
    [
        lambda t: (
            "Questions go to the desk, which answers them. "
            + t.replace(" Questions go to the desk, which answers them.", "")
        ),
        lambda t: t.replace("need two", "require two"),
        lambda t: t.split(" ", 9)[-1],
        lambda t: t + " This page was printed on paper made of straw.",
    ],
    ids=["sentence moved", "a synonym", "cut elsewhere", "a sentence more"],
)
def test_a_light_rewording_does_not_hide_the_edit(disguise: Callable[[str], str]) -> None:
    edit = doc("edit.md", disguise(TEXT.replace("30 days", "90 days")), near(WHERE, 0.95))
    view = make_view([edit, original(), *honest()])
    signal = measure("twin_edit", view)
    assert signal.scores[0] > 2.0
    assert ("90", "30") in signal.explain(0).facts["changes"]


def test_a_chunk_that_lies_across_two_of_the_original_is_lined_up_with_both() -> None:
    words = (TEXT + " " + LETTER).split()
    halves = Doc(
        "two.md",
        (" ".join(words[:48]), " ".join(words[44:])),
        (near(WHERE, 0.9, 1), near(WHERE, 0.9, 2)),
        "serving",
    )
    across = " ".join(words[22:74]).replace("before", "after")
    found = measure("twin_edit", make_view([doc("edit.md", across, WHERE), halves]))
    assert found.scores[0] > 5.0
    assert found.explain(0).facts["changes"] == [("after", "before")]


@ends
def test_texts_made_to_be_slow_to_line_up_take_no_more_than_a_moment() -> None:
    import random

    dice = random.Random(0)
    texts = [" ".join(dice.choices("ab12", k=500)) for _ in range(4)]
    docs = [doc(f"{i}", text, near(WHERE, 0.99, i)) for i, text in enumerate(texts)]
    measure("twin_edit", make_view(docs))


def test_a_higher_score_has_a_lower_measured_bound_and_nothing_found_has_one() -> None:
    docs = [edited("30 days", "90 days"), original(), *honest()]
    signal = measure("twin_edit", make_view(docs))
    assert signal.p_values is not None
    assert signal.p_values[0] <= 0.001
    assert set(signal.p_values[1:]) == {1.0}


RELEASED = (
    "{title}\n\nTidewater {version} has just been released to the package index. This is a bug-fix "
    "release and can replace the one before without a change to your settings. To upgrade, take "
    "the new archive from the download page and follow the steps of the guide. Thanks go to "
    "everybody who has reported faults and tested the candidates."
)


@pytest.mark.parametrize(
    ("name", "title"),
    [("release-{}.rst", "Changes"), ("{n}.md", "tidewater-{}"), ("wiki/v{}/index.md", "# News")],
)
def test_a_series_of_one_source_that_names_its_version_is_no_forgery(name: str, title: str) -> None:
    series = [
        doc(
            name.format(version, n="abcd"[i]),
            RELEASED.format(title=title.format(version), version=version),
            near(WHERE, 0.99, seed=i),
            zone="batch",
        )
        for i, version in enumerate(("3.2.2", "3.2.3", "3.10.1", "4.0.0"))
    ]
    assert max(by_document("twin_edit", [*honest(), *series]).values()) == 0


def test_a_series_that_its_page_belongs_to_is_named_by_its_version() -> None:
    def notes(version: str, series: str) -> str:
        said = RELEASED.format(title=f"Tidewater v{version} notes", version="the archive")
        return f"{said} Most sites run v{series}.X these days, because it is what is mended."

    pages = [
        doc(f"{version}.txt", notes(version, series), near(WHERE, 0.99, seed=i), zone=zone)
        for i, (version, series, zone) in enumerate(
            [("3.2.4.6", "3.2.4", "serving"), ("3.2.5.5", "3.2.5", "batch")]
        )
    ]
    assert max(by_document("twin_edit", [*honest(), *pages]).values()) == 0


def test_a_version_that_the_page_is_not_named_for_is_a_change_of_fact() -> None:
    there = doc(
        "upgrade.md", RELEASED.format(title="# How", version="3.2.2"), WHERE, zone="serving"
    )
    forged = doc(
        "again.md", RELEASED.format(title="# How", version="3.1.9"), near(WHERE, 0.99), zone="batch"
    )
    found = by_document("twin_edit", [*honest(), there, forged])
    assert max(found, key=lambda label: found[label]) == "wiki/again.md"
    assert found["wiki/again.md"] > 0
