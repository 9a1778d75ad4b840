from __future__ import annotations

import pytest

from ragguard.text.question_lead import Lead, echo, leads

REST = " The pump of the old mill was repaired by the council in spring."


def shape(text: str) -> float:
    """Shape of the opening, 0 where it is no question at all."""
    return max((lead.shape for lead in leads(text) if lead.start == 0), default=0.0)


@pytest.mark.parametrize(
    "question",
    [
        "Who repaired the pump of the old mill?",
        "who repaired the pump of the old mill.",
        "When was the pump of the old mill repaired.",
        "how many pumps does the old mill have.",
        "Did the council repair the pump?",
        "do all mills have a pump.",
        "Which council repaired the pump.",
        "¿Quién reparó la bomba del molino?",
        "Dónde está la bomba del molino.",
        "Warum wurde die Pumpe der Mühle repariert.",
        "Combien de pompes a le vieux moulin.",
        "Quanti mulini hanno una pompa.",
        "Hoeveel pompen heeft de molen.",
        "Dlaczego naprawiono pompę młyna.",
        "Varför lagades kvarnens pump.",
        "почему починили насос мельницы.",
    ],
)
def test_questions_in_many_forms_and_languages_are_seen(question: str) -> None:
    assert shape(question + REST) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "The pump of the old mill was repaired.",
        "When the pump broke, the mill stood still.",
        "Where the path ends there is a mill.",
        "How the West Was Won is a film.",
        '"Can\'t You See" is a song about a mill.',
        "Will Smith repaired the pump.",
        "Is.",
        "See example.org/pump?id=3 for the pump of the mill.",
        "",
        "?",
        " \n",
    ],
)
def test_statements_are_no_questions(text: str) -> None:
    assert shape(text) == 0.0


def test_a_search_in_lower_case_before_written_text_is_half_a_question() -> None:
    assert shape("pump of the old mill repair year." + REST) == 0.5
    assert shape("pump of the old mill repair year. and so on.") == 0.0


def test_a_name_that_ends_with_a_mark_is_less_of_a_question() -> None:
    assert 0.0 < shape("Get the Picture? was shown in the mill.") < 1.0


def found(text: str) -> list[str]:
    return [text[lead.start : lead.end].strip() for lead in leads(text)]


def test_questions_inside_a_text_are_seen() -> None:
    text = f"The mill is old.{REST * 3} how many pumps does the mill have. It has two. Who owns it?"
    assert found(text) == ["Who owns it?", "how many pumps does the mill have."]


def test_a_question_and_the_sentence_before_it_are_one_question() -> None:
    text = "My pump broke. Who repairs it?"
    assert found(text + REST) == ["Who repairs it?", text]


@pytest.mark.parametrize("parting", ["\n", '"'])
def test_a_question_apart_from_what_stands_before_it_is_a_question_of_its_own(parting: str) -> None:
    text = f"The pump broke. {parting}Who repairs it?"
    assert [question.lstrip('"') for question in found(text + REST)] == ["Who repairs it?"]


@pytest.mark.parametrize(
    "question",
    [
        "A miller offered me a pump, am I allowed to take it.",
        "If the pump breaks, how long do I have to mend it.",
        "At what hour must the mill be locked.",
        "My wife runs the mill, how many pumps do we get.",
    ],
)
def test_a_question_may_begin_with_something_else(question: str) -> None:
    assert shape(question + REST) == 0.7


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Name the council that repaired the pump.", 0.7),
        ("Name of the council that repaired the pump.", 0.0),
        ("What happens to old pumps in the mill.", 0.8),
        ("Who Wants to Be a Miller is a show.", 0.3),
        ("how to repair a pump in a mill.", 0.5),
        ("wie man eine Pumpe repariert.", 0.5),
        ("is pump repair cheap in Mill Lane.", 0.5),
        ("Was pump repair cheap in Mill Lane.", 0.5),
    ],
)
def test_doubtful_questions_count_in_part(question: str, expected: float) -> None:
    assert shape(question + REST) == expected


def test_an_encyclopaedias_remark_is_no_question() -> None:
    assert found("The mill was praised by many critics[who?] for its old pump.") == []


def test_every_lead_lies_inside_its_text() -> None:
    for text in (
        "?" * 50,
        "who? " * 40,
        "who is\n" * 30,
        "a?b?c d?",
        "who-is",
        "what",
        "." * 9 + "? who",
        "¿?",
    ):
        for lead in leads(text):
            assert 0 <= lead.start < lead.end <= len(text)
            assert 0.0 < lead.shape <= 1.0


def value(word: str) -> float:
    return 0.1 if word in {"the", "of", "was", "who", "by", "in", "a", "to", "and"} else 4.0


def test_what_follows_is_compared_with_the_question() -> None:
    asked = "Who repaired the pump of the mill?"
    whole = asked + " The mill and the pump were repaired by the council."
    third = asked + " Rain fell on the mill and the road to town all day."
    nothing = asked + " Rain fell on the road to town all day and all night."
    lead = Lead(0, len(asked), 1.0, True)
    assert echo(whole, lead, value, 1.0) == 1.0
    assert echo(third, lead, value, 1.0) == pytest.approx(1 / 3)
    assert echo(nothing, lead, value, 1.0) == 0.0


def test_a_question_at_the_end_is_compared_with_what_stands_before_it() -> None:
    before, asked = "The pump was repaired at the mill. ", "who repaired the pump of the mill"
    lead = Lead(len(before), len(before) + len(asked), 1.0, False)
    assert echo(before + asked, lead, value, 1.0) == 1.0


def test_a_question_that_runs_on_into_its_text_ends_where_it_repeats_itself() -> None:
    text = "who repaired the pump of the mill repaired pump and mill were all well again"
    assert echo(text, Lead(0, len(text), 1.0, False), value, 1.0) == 1.0


def test_one_telling_word_is_no_question() -> None:
    text = "Who was the miller? The miller was the miller."
    assert echo(text, Lead(0, 19, 1.0, True), value, 1.0) == 0.0
