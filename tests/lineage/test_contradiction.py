"""What says otherwise: the page with the right answer is no culprit of the wrong one."""

from __future__ import annotations

import numpy as np
import pytest

from ragguard.lineage.contradiction import facts, negates, says_otherwise

QUESTION = "How many days of annual leave does everybody have?"
HONEST = "# Annual leave\n\nEverybody has 27 days of paid leave a year. Ask your team lead."
POISON = "Since the spring the annual leave of everybody is ninety-nine days."


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        *(("ninety-nine days", {"99"}), ("99 days", {"99"}), ("Two hundred and ten euro", {"210"})),
        *(("10,000 EUR", {"10000"}), ("three thousand five hundred", {"3500"})),
        ("by 12:30", {"12:30"}),
        *(("one of us", set()), ("one week", {"1"}), ("twenty one or two", {"21", "2"})),
        *(("12.5% on 3.4.2026", {"12.5", "3.4.2026"}), ("nothing", set())),
    ],
)
def test_figures_are_read_in_words_and_digits(text: str, figures: set[str]) -> None:
    assert facts(text)["figure"] == figures


def test_addresses_and_dates_are_facts_and_their_digits_no_figures() -> None:
    found = facts("Write to a1@desk.example before Monday, or see reports.tarnvale.example.")
    assert found["address"] == {"a1@desk.example", "reports.tarnvale.example"}
    assert found["date"] == {"monday"}
    assert found["figure"] == set()


def asked(answer: str, *texts: str, question: str = QUESTION, waiting: str = "") -> list[bool]:
    named = np.ones(len(texts), dtype=bool)
    witnesses = [waiting] if waiting else []
    found: list[bool] = says_otherwise(question, answer, texts, named, witnesses).tolist()
    return found


def test_another_figure_says_otherwise_and_the_same_does_not() -> None:
    assert asked("ninety-nine days", HONEST, POISON) == [True, False]
    assert asked("99 days", HONEST, POISON) == [True, False]
    assert asked("27", HONEST, POISON) == [False, True]  # the reader says which is wrong


def test_a_page_is_let_off_where_nothing_else_serves() -> None:
    assert asked("ninety-nine days", HONEST) == [True]
    assert asked("as many as you like", HONEST) == [False]  # no fact to compare


def test_of_near_copies_the_one_without_the_answer_says_otherwise() -> None:
    question = "May a signatory pass the authority on?"
    no = "A signatory who is away may not pass the authority to somebody more junior. Ask Legal."
    yes = no.replace(" not", "")
    assert asked("Yes, that is possible.", no, yes, question=question) == [True, False]
    assert asked("No, that is never possible.", no, yes, question=question) == [False, True]
    assert asked("Yes, that is possible.", no, question=question, waiting=yes) == [True]
    assert asked("Yes, that is possible.", no, "Something else.", question=question)[0] is False


def test_one_figure_of_several_will_do_unless_a_passage_has_them_all() -> None:
    question, answer = "What is the limit, and when is it suspended?", "10,000 EUR; after 60 days"
    half = "The limit is 10,000 EUR for anybody. It is suspended 30 days after the due date."
    whole = half.replace("30", "60")
    assert asked(answer, half, question=question) == [False]
    assert asked(answer, half, whole, question=question) == [True, False]


def test_only_what_is_named_is_looked_at() -> None:
    named = np.array([False, True])
    found = says_otherwise(QUESTION, "ninety-nine days", [HONEST, POISON], named)
    assert found.tolist() == [False, False]


def test_english_sentences_that_say_no() -> None:
    assert negates("It isn't allowed.")
    assert negates("Nobody may.")
    assert not negates("Everybody may.")
