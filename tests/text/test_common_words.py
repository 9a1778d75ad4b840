from __future__ import annotations

from ragguard.text.words import common_words


def test_the_commonest_words_are_taken_and_ties_go_by_the_alphabet() -> None:
    counts = {"the": 9, "of": 7, "b": 3, "a": 3, "c": 3}
    assert common_words(counts, 3) == {"the", "of", "a"}
    assert common_words(counts, 4) == {"the", "of", "a", "b"}
    assert common_words(counts, 0) == frozenset()
    assert common_words({}, 5) == frozenset()


def test_fewer_words_than_asked_for_are_all_common() -> None:
    assert common_words({"the": 9, "of": 1}, 2) == {"the", "of"}
    assert common_words({"the": 9, "of": 1}, 5) == {"the", "of"}
