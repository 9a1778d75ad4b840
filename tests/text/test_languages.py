"""Texts of a language that the corpus does not speak."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ragguard.text.languages import Languages
from ragguard.text.tokens import worst_window
from ragguard.text.words import words
from tests.support.checks.views import handbook

GERMAN = (
    "Die Pumpe wird jeden Freitag vor dem Ende der Schicht abgeschaltet. Wer sie morgens wieder "
    "einschaltet, schreibt den Druck auf und meldet sich beim Leiter der Halle."
)
FRENCH = (
    "La pompe est arrêtée chaque vendredi avant la fin du service. Celui qui la remet en marche le "
    "matin note la pression et prévient le responsable de l'atelier."
)
SOUP = (
    "grit nationwide submissions folklore interest bryan paso dexter assumption musical "
    "basilenberg nonhra mixer handling rani street dubbed sheet suenity mag labelled"
)
NOISE = "qxz vkjw pqv zzkq wvx jqk xkcd vbq kqz xvz wqk zjx qvk jzw"
TYPOS = "Teh pmup wil be swithced of evry Firday befor teh edn of teh shfit adn nto latre tahn fvie"


def spoken(*texts: str) -> Languages:
    return Languages(Counter(w for text in texts for w in set(words(text))))


def foreign(to: Languages, text: str) -> bool:
    return to.foreign(words(text))


@pytest.mark.parametrize("text", [GERMAN, FRENCH])
def test_a_page_of_another_language_is_foreign(text: str) -> None:
    assert foreign(spoken(*handbook()), text)


@pytest.mark.parametrize(
    "text", [SOUP, TYPOS, "3, 4, 6, 8, 16, 26, 64, 82", NOISE, "", "x", "{}();"]
)
def test_what_is_of_no_language_is_not(text: str) -> None:
    assert not foreign(spoken(*handbook()), text)


def test_no_page_of_the_corpus_is() -> None:
    known = spoken(*handbook())
    assert [text for text in handbook() if foreign(known, text)] == []


def test_a_corpus_speaks_each_language_that_much_of_it_is_in() -> None:
    both = spoken(*handbook()[:60], *[f"{GERMAN} {n}" for n in range(40)])
    assert not foreign(both, GERMAN)
    assert foreign(both, FRENCH)


def test_a_stretch_of_another_language_in_a_text_is_read_past() -> None:
    known = spoken(*handbook())
    prose = words(handbook()[20])[:60]
    for quoted, passed in ((FRENCH, True), (SOUP, False)):
        text = [*prose[:30], *words(quoted), *prose[30:]]
        odd = np.array(
            [1.0 if 30 <= i < 30 + len(words(quoted)) else 0.0 for i in range(len(text))]
        )
        score, place = known.worst_window(odd, text, 16, 2, 0.2)
        assert (score < 0.6) == passed
        assert passed or 14 <= place <= 30 + len(words(quoted))


def test_a_text_without_foreign_words_keeps_its_worst_window() -> None:
    known = spoken(*handbook())
    text = words(handbook()[20])
    values = np.random.default_rng(0).random(len(text))
    assert known.worst_window(values, text, 12, 3, 0.1) == worst_window(values, 12, 3, 0.1)
