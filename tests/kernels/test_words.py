from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

from ragguard import lexicon as lexicons
from ragguard.kernels.surprisal import pair_buckets
from ragguard.kernels.words import OwnCounts, common_words
from tests.checks.views import Doc, doc, make_view

DOCS = [
    Doc("leave", ("paid leave a year", "a year of paid leave a year")),
    doc("badges", "badges for a year"),
    doc("known", "paid leave", zone="serving"),
]


def test_the_commonest_words_are_taken_and_ties_go_by_the_alphabet() -> None:
    counts = {"the": 9, "of": 7, "b": 3, "a": 3, "c": 3}
    assert common_words(counts, 3) == {"the", "of", "a"}
    assert common_words(counts, 0) == frozenset()
    assert common_words({}, 5) == frozenset()


def cold(docs: list[Doc]) -> OwnCounts:
    texts = [t for d in docs for t in d.texts]
    return OwnCounts(make_view(docs, lexicon=lexicons.of_batch(texts, len(docs))))


def test_a_document_s_own_words_are_counted_once_a_chunk() -> None:
    own = cold(DOCS)
    expected = Counter(["paid", "leave", "a", "year", "a", "year", "of", "paid", "leave"])
    assert own.words(0) == own.words(1) == expected
    assert own.words(2) == Counter(["badges", "for", "a", "year"])


def test_a_document_s_own_pairs_are_counted_once_a_chunk() -> None:
    own = cold(DOCS)
    expected: Counter[int] = Counter()
    for text in DOCS[0].texts:
        pairs = set(pairwise(text.split()))
        expected.update(int(pair_buckets(list(pair))[0]) for pair in pairs)
    assert own.pairs(0) == own.pairs(1) == expected


def test_taking_off_what_a_document_added_leaves_what_the_others_wrote() -> None:
    texts = [t for d in DOCS for t in d.texts]
    lexicon = lexicons.of_batch(texts, 3)
    own = OwnCounts(make_view(DOCS, lexicon=lexicon))
    others = lexicons.count(["badges for a year", "paid leave"], 2)
    left = {w: n - own.words(0).get(w, 0) for w, n in lexicon.words.items()}
    assert {w: n for w, n in left.items() if n} == dict(others.words)


def test_a_lexicon_without_the_batch_holds_nothing_of_it() -> None:
    counted = lexicons.count(["paid leave a year"], 1)
    own = OwnCounts(make_view(DOCS, lexicon=replace(counted, includes_batch=False)))
    assert own.words(0) == {}
    assert own.pairs(0) == {}
