"""Support: which passages an answer rests on, against a slow twin."""

from __future__ import annotations

import numpy as np
import pytest

from ragguard.kernels.support import answer_terms, holds, share_out


@pytest.mark.parametrize(
    ("word", "held"),
    [
        *(("episode", True), ("episodes", True), ("epsiode", True), ("episede", True)),
        *(("epsode", True), ("eepisode", True), ("epsd", False), ("epicoda", False)),
    ],
)
def test_one_wrong_letter_in_a_long_word_is_forgiven(word: str, held: bool) -> None:
    assert holds(["episode"], ["the", word]) == [held]


def test_a_short_word_or_a_number_must_be_itself() -> None:
    assert holds(["24", "head"], ["25", "heat"]) == [False, False]


def test_what_the_question_says_is_no_part_of_the_answer() -> None:
    assert answer_terms(["it", "is", "frank", "sinatra"], ["who", "is", "frank"]) == ["sinatra"]
    assert answer_terms(["frank"], ["who", "is", "frank"]) == ["frank"]
    assert answer_terms(["no"], ["may", "i"]) == ["no"]


def test_shares_are_those_of_the_slow_twin() -> None:
    generator = np.random.default_rng(5)
    held = generator.random((7, 4)) < 0.4
    held[:, 3] = False
    close = generator.random(7)
    made = share_out(held, close)
    for i in range(7):
        share = 0.0
        for t in range(4):
            total = sum(close[j] for j in range(7) if held[j, t])
            share += close[i] / total if held[i, t] else 0.0
        assert made.dependence[i] == pytest.approx(share / 4)
        only = [held[i, t] and not held[np.arange(7) != i, t].any() for t in range(4)]
        assert made.alone[i] == pytest.approx(np.mean(only))
    assert made.dependence.sum() <= 1.0


def test_a_passage_far_behind_or_half_empty_is_not_responsible() -> None:
    held = np.array([[True, True], [True, True], [True, True], [False, False]])
    made = share_out(held, np.array([0.8, 0.7, 0.5, 0.9]))
    assert made.responsible.tolist() == [True, True, False, False]


def test_no_passages_and_no_words_support_nothing() -> None:
    assert share_out(np.zeros((0, 2), dtype=bool), np.zeros(0)).dependence.shape == (0,)
    assert not share_out(np.zeros((2, 0), dtype=bool), np.ones(2)).responsible.any()
