from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragguard.detect import lexicon as lexicons
from ragguard.text import ngram_model
from ragguard.text.ngram_model import (
    BIGRAM_BUCKETS,
    TRIGRAM_BUCKETS,
    char_surprisal,
    count_trigrams,
    pair_buckets,
    pair_surprisals,
    trigram_buckets,
)
from ragguard.text.words import words
from tests.support import slow_twins

TEXTS = [
    "Everybody has 27 days of paid leave a year.",
    "Ask your team lead two weeks before you go.",
    "Days that are not taken lapse in March of the next year.",
]


def test_character_bits_agree_with_their_slow_twin_where_no_buckets_collide() -> None:
    counts, expected = count_trigrams(TEXTS), slow_twins.trigram_counts(TEXTS)
    for text in ("paid leave in march", "two weeks", "zzz qq", ""):
        found = char_surprisal(text, counts)
        assert found.shape == (len(text) + 1,)
        np.testing.assert_allclose(found, slow_twins.char_bits(text, expected), rtol=1e-6)


def test_half_of_the_counts_are_trigrams_and_half_their_contexts() -> None:
    counts = count_trigrams(TEXTS)
    characters = sum(len(t) + 1 for t in TEXTS)
    assert counts.shape == (TRIGRAM_BUCKETS,)
    assert counts.dtype == np.float32
    assert counts[: TRIGRAM_BUCKETS // 2].sum() == characters
    assert counts[TRIGRAM_BUCKETS // 2 :].sum() == characters


@given(st.text(max_size=40))
def test_any_text_falls_into_the_buckets(text: str) -> None:
    found = trigram_buckets(text)
    assert found.shape == (2, len(text) + 1)
    assert ((found >= 0) & (found < TRIGRAM_BUCKETS // 2)).all()


def test_text_with_half_a_surrogate_pair_is_measured_and_not_refused() -> None:
    counts = count_trigrams(["broken \ud800 text"])
    assert np.isfinite(char_surprisal("broken \ud800 text", counts)).all()


def test_no_text_has_no_counts() -> None:
    assert count_trigrams([]).sum() == 0


def test_what_was_counted_is_less_surprising_than_what_was_not() -> None:
    counts = count_trigrams(TEXTS * 20)
    usual = char_surprisal("days of paid leave", counts).mean()
    strange = char_surprisal("xqzj wvkk pfffg zx", counts).mean()
    assert strange > usual + 2


@pytest.mark.parametrize("sentence", [[], ["one"], ["one", "two"], ["a", "b", "a", "b", "c"]])
def test_pair_buckets_are_one_fewer_than_the_words(sentence: list[str]) -> None:
    found = pair_buckets(sentence)
    assert found.shape == (max(0, len(sentence) - 1),)
    assert ((found >= 0) & (found < BIGRAM_BUCKETS)).all()


def test_the_order_of_a_pair_decides_its_bucket() -> None:
    there, back = pair_buckets(["paid", "leave"]), pair_buckets(["leave", "paid"])
    assert there != back
    assert pair_buckets(["not", "paid", "leave"])[1] == there


def slow_counts(rows: list[list[str]]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Chunks each word, and each pair, is in."""
    known: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for row in rows:
        known.update(set(row))
        pairs.update(set(pairwise(row)))
    return known, pairs


@pytest.mark.parametrize(
    "text", [*TEXTS, "paid leave a year", "leave paid year a", "unknown words only here", "one"]
)
def test_pair_bits_agree_with_their_slow_twin(text: str) -> None:
    rows = [words(t) for t in TEXTS]
    known, pairs = slow_counts(rows)
    total = sum(known.values())
    found = pair_surprisals(words(text), lexicons.count(TEXTS, 3), total, {}, {})
    np.testing.assert_allclose(found, slow_twins.pair_bits(words(text), known, pairs, total))


def test_what_a_document_added_itself_is_taken_off() -> None:
    rows = [words(t) for t in TEXTS]
    known, pairs = slow_counts(rows)
    total = sum(known.values())
    own_words, own_pairs = slow_counts([rows[0]])
    buckets = {int(pair_buckets(list(pair))[0]): n for pair, n in own_pairs.items()}
    found = pair_surprisals(rows[0], lexicons.count(TEXTS, 3), total, own_words, buckets)
    kept = {w: known[w] - own_words[w] for w in known}
    expected = slow_twins.pair_bits(rows[0], kept, pairs - own_pairs, total)
    np.testing.assert_allclose(found, expected)


def test_words_in_another_order_are_more_surprising() -> None:
    lexicon = lexicons.count(TEXTS * 30, 90)
    total = sum(lexicon.words.values())
    usual = pair_surprisals(words(TEXTS[0]), lexicon, total, {}, {}).mean()
    shuffled = words(TEXTS[0])[::-1]
    assert pair_surprisals(shuffled, lexicon, total, {}, {}).mean() > usual + 3


def test_surprisal_leaves_its_arguments_as_they_were() -> None:
    lexicon = lexicons.count(TEXTS, 3)
    kept = lexicon.bigrams.copy(), lexicon.trigrams.copy(), dict(lexicon.words)
    char_surprisal("paid leave", lexicon.trigrams)
    pair_surprisals(words(TEXTS[0]), lexicon, 10.0, {"days": 1}, {5: 1})
    assert (lexicon.bigrams == kept[0]).all()
    assert (lexicon.trigrams == kept[1]).all()
    assert lexicon.words == kept[2]


def test_a_collision_makes_things_more_usual_never_less(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = slow_twins.char_bits("paid leave", slow_twins.trigram_counts(TEXTS))
    monkeypatch.setattr(ngram_model, "TRIGRAM_BUCKETS", 64)
    crowded = ngram_model.count_trigrams(TEXTS)
    assert crowded.shape == (64,)
    assert ngram_model.char_surprisal("paid leave", crowded).mean() < np.mean(expected)
