from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.text.ngram_model import (
    char_surprisal,
    char_surprisals,
    count_trigrams,
    pair_buckets,
    pair_surprisal_rows,
    pair_surprisals,
)
from ragguard.text.tokens import own_counts, tokens
from ragguard.text.words import words

TEXTS = [
    "paid leave a year",
    "a year of paid leave a year",
    "",
    "badges",
    "badges for a year, and caf\u00e9 \U0001f642 leave",
]
ROWS = [words(text) for text in TEXTS]
OWNERS = np.array([0, 0, 1, 2, 2])


def beside(row: int) -> list[int]:
    """Texts of the same document."""
    return [other for other, owner in enumerate(OWNERS.tolist()) if owner == OWNERS[row]]


def test_words_are_numbered_in_order_of_appearance_and_can_be_read_back() -> None:
    made = tokens(ROWS)
    assert made.vocabulary[:4] == ["paid", "leave", "a", "year"]
    assert made.lengths.tolist() == [len(row) for row in ROWS]
    for row, expected in enumerate(ROWS):
        assert [made.vocabulary[i] for i in made.ids[made.rows == row]] == expected


def test_nothing_has_no_words() -> None:
    made = tokens([])
    assert (len(made.ids), len(made.lengths), made.vocabulary) == (0, 0, [])


def test_a_word_is_counted_once_for_each_text_of_its_own_document() -> None:
    made = tokens(ROWS)
    found = own_counts(made.ids, made.rows, OWNERS, len(made.vocabulary))
    for place, (word, row) in enumerate(zip(made.ids, made.rows, strict=True)):
        assert found[place] == sum(made.vocabulary[word] in ROWS[i] for i in beside(int(row)))


def test_characters_of_many_texts_are_as_likely_as_one_by_one() -> None:
    counts = count_trigrams(TEXTS * 3)
    many = TEXTS * 150  # more than one block
    rows = [
        found
        for bits, lengths in char_surprisals(many, counts)
        for found in np.split(bits, np.cumsum(lengths)[:-1])
    ]
    assert len(rows) == len(many)
    for text, row in zip(many, rows, strict=True):
        assert row == pytest.approx(char_surprisal(text, counts), abs=1e-12)


@pytest.mark.parametrize("cold", [False, True])
def test_word_pairs_of_many_texts_are_as_likely_as_one_by_one(cold: bool) -> None:
    count = lexicons.of_batch if cold else lexicons.count
    lexicon = count([*TEXTS, "a year of leave for a badge"], 4)
    total = sum(lexicon.words.values())
    bits, lengths = pair_surprisal_rows(tokens(ROWS), lexicon, total, OWNERS)
    found = np.split(bits, np.cumsum(lengths)[:-1])
    for row, text in enumerate(ROWS):
        own_words: Counter[str] = Counter()
        own_pairs: Counter[int] = Counter()
        for other in beside(row) if cold else ():
            own_words.update(set(ROWS[other]))
            own_pairs.update(set(pair_buckets(ROWS[other]).tolist()))
        expected = pair_surprisals(text, lexicon, total, own_words, own_pairs)
        assert found[row].tolist() == expected.tolist()


def test_what_a_document_added_is_taken_off_so_that_its_own_words_are_unknown() -> None:
    alone = lexicons.of_batch(["zebra crossing ahead"], 1)
    held, _ = pair_surprisal_rows(tokens([["zebra", "crossing"]]), alone, 3, np.array([0]))
    known = lexicons.count(["zebra crossing ahead"], 1)
    kept, _ = pair_surprisal_rows(tokens([["zebra", "crossing"]]), known, 3, np.array([0]))
    assert held[0] > kept[0] + 2
