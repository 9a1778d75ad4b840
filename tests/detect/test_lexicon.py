from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.model import Lexicon
from ragguard.store.memory import MemoryStore
from ragguard.text.ngram_model import pair_buckets
from ragguard.text.words import words
from tests.support.batches import SERVING, points, prepared, stored
from tests.support.checks.views import direction, handbook, near

TEXTS = ["The desk opens at nine.", "The desk closes at five, and the lift stops.", "A lift."]

KEY = bytes(range(32))


def same(left: Lexicon, right: Lexicon) -> bool:
    return (
        left.documents == right.documents
        and left.words == right.words
        and np.array_equal(left.bigrams, right.bigrams)
        and np.array_equal(left.trigrams, right.trigrams)
        and np.array_equal(left.closeness, right.closeness, equal_nan=True)
        and left.includes_batch == right.includes_batch
    )


def test_words_are_counted_once_a_chunk() -> None:
    counted = lexicons.count(TEXTS, 2)
    assert counted.documents == 2
    assert (counted.words["the"], counted.words["desk"], counted.words["lift"]) == (2, 2, 2)
    assert "stop" not in counted.words
    pair = pair_buckets(["the", "desk"])[0]
    assert counted.bigrams[pair] == 2


def test_word_pairs_are_counted_once_a_chunk() -> None:
    counted = lexicons.count(["go on go on go on"], 1)
    assert counted.bigrams[pair_buckets(["go", "on"])].tolist() == [1]


def test_disguised_letters_are_counted_as_what_they_show() -> None:
    plain = lexicons.count(["the limit"], 1)
    assert same(lexicons.count(["the li\u200bmit"], 1), plain)
    assert same(lexicons.count(["\uff54\uff48\uff45 limit"], 1), plain)


def test_an_empty_lexicon_knows_nothing() -> None:
    nothing = lexicons.empty()
    assert same(nothing, lexicons.count([], 0))
    assert nothing.words == {}
    assert nothing.bigrams.sum() == nothing.trigrams.sum() == 0
    assert np.isnan(nothing.closeness).all()


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_taking_texts_out_is_never_having_counted_them(taken: int) -> None:
    texts = list(handbook()[:12])
    everything = lexicons.count(texts, 12)
    left = lexicons.without(everything, texts[:taken], taken)
    expected = lexicons.count(texts[taken:], 12 - taken)
    assert left.words == expected.words
    assert left.documents == expected.documents
    np.testing.assert_array_equal(left.bigrams, expected.bigrams)
    np.testing.assert_allclose(left.trigrams, expected.trigrams)


def test_taking_out_what_was_never_counted_leaves_nothing_below_zero() -> None:
    left = lexicons.without(lexicons.count(TEXTS[:1], 1), TEXTS * 3, 9)
    assert left.documents == 0
    assert left.words == {}
    assert left.bigrams.max() == 0
    assert left.trigrams.min() == 0


def test_the_whole_is_not_changed_by_taking_texts_out() -> None:
    everything = lexicons.count(TEXTS, 3)
    lexicons.without(everything, TEXTS[:2], 2)
    assert same(everything, lexicons.count(TEXTS, 3))


def test_a_batchs_own_lexicon_says_so() -> None:
    assert lexicons.of_batch(TEXTS, 3).includes_batch
    assert lexicons.of_batch(TEXTS, 3).words == lexicons.count(TEXTS, 3).words


# --- the index, and the cache beside it -----------------------------------------------------------


def index(count: int = 3) -> MemoryStore:
    return stored([prepared(f"d{i}", [TEXTS[i % 3]]) for i in range(count)])


def test_the_lexicon_of_an_index_is_that_of_its_texts(tmp_path: Path) -> None:
    found = lexicons.of_index(index(), SERVING, 3, tmp_path / "c/lexicon.npz", "one", KEY)
    assert same(found, lexicons.count(TEXTS, 3))


def test_the_cache_serves_the_same_corpus_and_no_other(tmp_path: Path) -> None:
    cache = tmp_path / "lexicon.npz"
    first = lexicons.of_index(index(), SERVING, 3, cache, "one", KEY)
    store = stored([prepared("other", ["Another text altogether."])])
    assert same(lexicons.of_index(store, SERVING, 3, cache, "one", KEY), first)
    second = lexicons.of_index(store, SERVING, 1, cache, "two", KEY)
    assert set(second.words) == {"another", "text", "altogether"}
    assert same(lexicons.of_index(index(), SERVING, 1, cache, "two", KEY), second)


@pytest.mark.parametrize(
    "damage", [b"", b"no archive", None], ids=["empty", "something else", "cut short"]
)
def test_a_damaged_cache_is_counted_anew(tmp_path: Path, damage: bytes | None) -> None:
    cache = tmp_path / "lexicon.npz"
    first = lexicons.of_index(index(), SERVING, 3, cache, "one", KEY)
    whole = cache.read_bytes()
    cache.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert same(lexicons.of_index(index(), SERVING, 3, cache, "one", KEY), first)
    assert cache.read_bytes() == whole


def test_the_cache_leaves_nothing_beside_itself(tmp_path: Path) -> None:
    lexicons.of_index(index(), SERVING, 3, tmp_path / "lexicon.npz", "one", KEY)
    assert [p.name for p in tmp_path.iterdir()] == ["lexicon.npz"]


# --- closeness ------------------------------------------------------------------------------------


def test_closeness_is_that_to_the_four_nearest_of_other_documents() -> None:
    where = direction(8)
    documents = [prepared(f"d{i}", ["x"], [near(where, 0.8, i)]) for i in range(50)]
    found = lexicons.with_closeness(lexicons.empty(), [p for d in documents for p in points(d)])
    vectors = np.concatenate([d.vectors for d in documents]).astype(np.float64)
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -2)
    means = np.sort(similarities, axis=1)[:, -4:].mean(axis=1)
    assert found.closeness == pytest.approx((means.mean(), means.std()), abs=1e-6)


def test_chunks_of_one_document_are_not_each_others_company() -> None:
    where = direction(8)
    long = [prepared("long", ["x"] * 30, [near(where, 0.99, i) for i in range(30)])]
    others = [prepared(f"d{i}", ["x"]) for i in range(30)]
    found = lexicons.with_closeness(
        lexicons.empty(), [p for d in [*long, *others] for p in points(d)]
    )
    assert found.closeness[0] < 0.6


@pytest.mark.parametrize(("count", "known"), [(39, False), (40, True)])
def test_too_few_chunks_have_no_closeness(count: int, known: bool) -> None:
    documents = [prepared(f"d{i}", ["x"]) for i in range(count)]
    found = lexicons.with_closeness(lexicons.empty(), [p for d in documents for p in points(d)])
    assert bool(np.isfinite(found.closeness).all()) is known


def test_closeness_survives_the_cache(tmp_path: Path) -> None:
    store = stored([prepared(f"d{i}", [words_of(i)]) for i in range(45)])
    cache = tmp_path / "lexicon.npz"
    first = lexicons.of_index(store, SERVING, 45, cache, "one", KEY)
    assert np.isfinite(first.closeness).all()
    assert same(lexicons.of_index(store, SERVING, 45, cache, "one", KEY), first)


def words_of(number: int) -> str:
    return " ".join(words(handbook()[number])[:20])


def test_a_cache_that_another_hand_wrote_is_counted_anew(tmp_path: Path) -> None:
    cache = tmp_path / "lexicon.npz"
    first = lexicons.of_index(index(), SERVING, 3, cache, "one", KEY)
    lexicons.of_index(index(), SERVING, 9, cache, "one", bytes(32))
    assert same(lexicons.of_index(index(), SERVING, 3, cache, "one", KEY), first)
