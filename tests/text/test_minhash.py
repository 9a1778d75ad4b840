from __future__ import annotations

import random

import numpy as np
import pytest

from ragguard.text.minhash import PERMUTATIONS, resemblance, shared_words, sketch_rows
from tests.support import slow_twins


def test_a_sketch_is_the_same_every_time_and_depends_on_the_words_alone() -> None:
    rows = [["paid", "leave", "a", "year"], ["badges", "for", "guests"]]
    first, again = sketch_rows(rows), sketch_rows(rows[::-1])[::-1]
    assert first.shape == (2, PERMUTATIONS)
    assert first.dtype == np.uint64
    assert (first == again).all()
    assert not (first[0] == first[1]).all()


def test_no_texts_have_no_sketches() -> None:
    assert sketch_rows([]).shape == (0, PERMUTATIONS)


@pytest.mark.parametrize("words", [[], ["one"], ["one", "two"], ["half", "\ud800", "pair"]])
def test_texts_below_three_words_and_broken_ones_have_sketches_of_their_own(
    words: list[str],
) -> None:
    mine, other = sketch_rows([words, ["something", "else"]])
    assert resemblance(mine, np.stack([mine, other])).tolist()[0] == 1.0
    assert resemblance(mine, np.stack([other]))[0] < 0.2


def test_resemblance_estimates_the_share_of_common_word_triples() -> None:
    rng = random.Random(1)
    errors = []
    for kept in (10, 40, 70, 100):
        base = [f"w{rng.randrange(5000)}" for _ in range(120)]
        other = base[:kept] + [f"v{rng.randrange(5000)}" for _ in range(120 - kept)]
        mine, others = sketch_rows([base]), sketch_rows([other, base])
        found = resemblance(mine[0], others)
        a, b = slow_twins.triples(base), slow_twins.triples(other)
        errors.append(abs(found[0] - len(a & b) / len(a | b)))
        assert found[1] == 1.0
    # The standard error of 64 permutations is at most 0.0625; four of them.
    assert max(errors) < 0.25
    assert np.mean(errors) < 0.1


def test_resemblance_of_nothing_is_empty() -> None:
    mine = sketch_rows([["a", "b", "c"]])
    assert resemblance(mine[0], np.empty((0, PERMUTATIONS), dtype=np.uint64)).shape == (0,)


@pytest.mark.parametrize(
    ("left", "right"),
    [([], []), (["a"], []), (["a", "b"], ["b", "c"]), (["a", "a", "b"], ["b", "a"])],
)
def test_shared_words_agree_with_their_slow_twin(left: list[str], right: list[str]) -> None:
    assert shared_words(left, right) == slow_twins.jaccard(left, right)
