"""Support: which passages an answer rests on, against a slow twin."""

from __future__ import annotations

import numpy as np
import pytest

from ragguard.lineage.attribution import (
    CHANCE,
    LEAST_KNOWN,
    WINDOW,
    PassageSigns,
    answer_terms,
    chances,
    chances_unasked,
    company_of,
    holds,
    responsible,
    share_out,
    strangeness,
    window,
)


@pytest.mark.parametrize(
    ("word", "held"),
    [
        *(("episode", True), ("episodes", True), ("epsiode", True), ("episede", True)),
        *(("epsode", True), ("eepisode", True), ("epsd", False), ("epicoda", False)),
        *(("episodic", True), ("episodically", False), ("epis", False)),
    ],
)
def test_one_wrong_letter_or_another_ending_of_a_long_word_is_forgiven(
    word: str, held: bool
) -> None:
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


def test_no_passages_and_no_words_support_nothing() -> None:
    assert share_out(np.zeros((0, 2), dtype=bool), np.zeros(0)).dependence.shape == (0,)
    assert not share_out(np.zeros((2, 0), dtype=bool), np.ones(2)).held.any()


def test_the_window_stands_where_the_answer_is_spoken_of() -> None:
    before, after = ["of"] * 50, ["and"] * 50
    text = " ".join([*before, "the", "season", "had", "24", "episodes", *after])
    found = window(text, ["24"], ["how", "many", "episodes"])
    assert len(found.split()) == WINDOW
    assert "had 24 episodes" in found
    assert found.startswith("of of")
    assert found.endswith("and and")
    assert window("only 24", ["24"], []) == "only 24"


def _unit(angles: list[float]) -> np.ndarray:
    radians = np.deg2rad(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_words_that_only_a_passages_own_kind_writes_are_strange() -> None:
    known = {f"w{i}": 9 for i in range(LEAST_KNOWN)} | {"the": 900, "zorb": 3, "rare": 4}
    rows = [["the", "zorb"], ["the", "zorb"], ["the", "zorb"], ["the", "rare"], []]
    names = [[False] * len(row) for row in rows]
    together, apart = _unit([0, 10, 20, 170, 90]), _unit([0, 80, 160, 240, 320])
    assert strangeness(rows, names, together, known).tolist() == [0.5, 0.5, 0.5, 0.0, 0.0]
    # Of three unlike passages each vouches for the words of the others.
    assert strangeness(rows, names, apart, known | {"zorb": 4})[:3].tolist() == [0.0] * 3
    named = [[False, True], *names[1:]]
    assert strangeness(rows, named, together, known)[0] == pytest.approx(0.125)
    few = dict(list(known.items())[: LEAST_KNOWN - 1])
    assert strangeness(rows, names, together, few).tolist() == [0.0] * 5


def _signs(n: int, **changed: list[float]) -> PassageSigns:
    plain = {
        **{"held": [0.0] * n, "states": [0.5] * n, "both": [0.6] * n},
        **{"close": [0.6] * n, "strange": [0.0] * n},
    }
    return PassageSigns(**{k: np.array(v) for k, v in (plain | changed).items()})


@pytest.mark.parametrize("sign", ["held", "states", "both", "close", "strange"])
def test_each_sign_makes_a_passage_more_likely_to_be_responsible(sign: str) -> None:
    made = chances(_signs(3, **{sign: [0.7, 0.6, 0.5]}), 3)
    assert made[0] > made[1] > made[2]
    assert ((made >= 0) & (made <= 1)).all()


def test_reading_on_changes_no_chance() -> None:
    close, both = [0.8, 0.7, 0.9, 0.6], [0.5, 0.6, 0.9, 0.7]
    few, many = _signs(2, close=close[:2], both=both[:2]), _signs(4, close=close, both=both)
    assert chances(few, 2).tolist() == chances(many, 2)[:2].tolist()
    assert chances(many, 2)[0] != chances(many, 4)[0]


def test_what_is_like_a_responsible_passage_needs_less() -> None:
    odds = CHANCE / (1 - CHANCE) * np.exp(-2.0)
    least = odds / (1 + odds)
    vectors = _unit([0, 20, 20, 60])
    found = responsible(np.array([CHANCE, least + 0.01, least - 0.01, least + 0.01]), vectors)
    assert found.tolist() == [True, True, False, False]
    assert not responsible(np.full(4, CHANCE - 0.01), vectors).any()


def test_without_an_answer_company_and_strange_words_lead_the_ranking() -> None:
    vectors = _unit([0, 1, 2, 3, 90])
    made = chances_unasked(np.full(5, 0.7), np.zeros(5), vectors, 5)
    assert made.argmin() == 4
    odd = chances_unasked(np.full(5, 0.7), np.array([0, 0, 0, 0, 0.9]), vectors, 5)
    assert odd.argmax() == 4
    expected = np.mean(np.cos(np.deg2rad([1, 1, 2])))
    assert company_of(vectors)[1] == pytest.approx(expected)
    assert company_of(vectors[:1]).tolist() == [0.0]
