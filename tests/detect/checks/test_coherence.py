from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.errors import NotApplicable
from ragguard.text.words import words
from tests.support.checks.views import (
    Doc,
    assert_order_is_irrelevant,
    by_document,
    doc,
    handbook,
    make_view,
    measure,
)


@cache
def known() -> lexicons.Lexicon:
    """The handbook without the passages that are judged, which are from all over it."""
    return lexicons.count([t for i, t in enumerate(handbook()) if i % 14], 132)


def honest(count: int = 99) -> list[Doc]:
    return [doc(f"{i}.md", text) for i, text in enumerate(handbook()[::14][:count])]


def soup(seed: int = 0, length: int = 60) -> str:
    """Words of the corpus, the rare ones too, in an order nobody writes."""
    vocabulary = sorted({w for w in known().words if w.isalpha()})
    return " ".join(random.Random(seed).choices(vocabulary, k=length))


def test_words_in_an_order_nobody_writes_stand_out() -> None:
    guilty = [doc(f"soup{i}.md", soup(i)) for i in range(5)]
    found = by_document("coherence", [*guilty, *honest()], lexicon=known())
    soups = [score for name, score in found.items() if "soup" in name]
    others = sorted(score for name, score in found.items() if "soup" not in name)
    assert min(soups) > others[-2]  # the last is a list of what is not refunded
    assert min(soups) > 2.0 + sum(others) / len(others)


def test_a_short_stretch_of_soup_is_found_in_ordinary_prose() -> None:
    prose = handbook()[56]
    mixed = f"{prose[:250]} {soup(1, 24)} {prose[250:500]}"
    docs = [doc("mixed", mixed), doc("plain", prose[:500])]
    found = by_document("coherence", docs, lexicon=known())
    assert found["wiki/mixed"] > 2.0 + found["wiki/plain"]


def test_a_text_the_corpus_holds_is_likelier_than_its_words_shuffled() -> None:
    text = handbook()[100]
    shuffled = words(text)
    random.Random(0).shuffle(shuffled)
    found = by_document(
        "coherence", [doc("a", text), doc("b", " ".join(shuffled))], lexicon=known()
    )
    assert found["wiki/b"] > 1.3 * found["wiki/a"]


def test_a_batch_counted_in_its_own_lexicon_does_not_vouch_for_itself() -> None:
    rest = [t for i, t in enumerate(handbook()) if i % 14]
    counted = lexicons.of_batch([soup(), *rest], 133)
    with_itself = by_document("coherence", [doc("soup.md", soup())], lexicon=counted)
    apart = by_document("coherence", [doc("soup.md", soup())], lexicon=known())
    naive = by_document(
        "coherence", [doc("soup.md", soup())], lexicon=replace(counted, includes_batch=False)
    )
    assert with_itself == pytest.approx(apart, abs=0.05)
    assert naive["wiki/soup.md"] < apart["wiki/soup.md"] - 2.0


def test_numbers_and_pages_of_another_language_are_no_more_than_usual() -> None:
    numbers = ", ".join(str(7 * n * n % 9_973) for n in range(60))
    german = (
        "Freitags wird die Pumpe vor dem Ende der Schicht abgeschaltet; wer sie morgens wieder "
        "einschaltet, schreibt den Druck auf und meldet sich beim Leiter der Halle, bevor er geht."
    )
    docs = [doc("numbers", numbers), doc("german", german), doc("soup", soup())]
    found = by_document("coherence", docs, lexicon=known())
    assert max(found["wiki/numbers"], found["wiki/german"]) <= 9.0 < 12.0 < found["wiki/soup"]


def test_order_of_documents_is_irrelevant() -> None:
    docs = [doc("soup.md", soup()), *honest(5)]
    assert_order_is_irrelevant("coherence", docs, lexicon=known())


def test_the_evidence_shows_the_stretch() -> None:
    prose = " ".join(words(handbook()[56])[:60])
    mixed = f"{prose} {soup(1, 24)}"
    evidence = measure("coherence", make_view([doc("a", mixed)], lexicon=known())).explain(0)
    assert "words in an order nobody writes" in evidence.detail
    assert 55 <= evidence.facts["place"] <= 70
    shown = words(mixed)[evidence.facts["place"] :][:3]
    assert " ".join(shown) in evidence.detail


@pytest.mark.parametrize("text", ["", "one", "\u200b", "```\nrm -r a/b\n```"])
def test_texts_too_short_for_a_pair_say_nothing(text: str) -> None:
    assert by_document("coherence", [doc("a", text)], lexicon=known()) == {"wiki/a": 0.0}


def test_a_single_pair_is_usual() -> None:
    (found,) = by_document("coherence", [doc("a", "two words")], lexicon=known()).values()
    assert 8.0 <= found <= 11.0


def test_too_few_known_words_say_nothing() -> None:
    few = lexicons.count(handbook()[:5], 5)
    with pytest.raises(NotApplicable, match="fewer than 20000 words"):
        measure("coherence", make_view(honest(2), lexicon=few))
    assert measure("coherence", make_view(honest(2), lexicon=few), least=10).scores.all()
