from __future__ import annotations

import random
from functools import cache

import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.errors import NotApplicable
from tests.support.checks.views import (
    Doc,
    assert_order_is_irrelevant,
    assert_stands_out,
    by_document,
    doc,
    handbook,
    make_view,
    measure,
)

NEW_SUBJECT = (
    "The bees are kept on the roof of the hall in Porto. In April the colonies are split, and the "
    "honey is spun in July. Whoever wants to help with the hives asks in the canteen, wears a veil "
    "and never stands in front of the entrance. A sting is treated with ice from the kitchen."
)


def rest() -> list[str]:
    return [t for i, t in enumerate(handbook()) if i % 14]


@cache
def known() -> lexicons.Lexicon:
    """The handbook without the passages that are judged, which are from all over it."""
    return lexicons.count(rest(), 132)


def honest(count: int = 99) -> list[Doc]:
    return [doc(f"{i}.md", text) for i, text in enumerate(handbook()[::14][:count])]


def typed_badly(text: str, seed: int = 0) -> str:
    """Two letters changed places in two of three words."""
    found = []
    dice = random.Random(seed)
    for word in text.split():
        if len(word) > 2 and dice.random() < 0.66:
            at = dice.randrange(len(word) - 1)
            word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        found.append(word)
    return " ".join(found)


@pytest.mark.parametrize("number", [21, 28, 42, 56])
def test_typing_errors_stand_out(number: int) -> None:
    typed = doc("typed.md", typed_badly(handbook()[number]))
    found = by_document("unseen", [typed, *honest()], lexicon=known())
    assert_stands_out(found, "wiki/typed.md", 1.3)


def test_a_new_subject_in_good_order_does_not_look_like_typing_errors() -> None:
    docs = [doc("bees.md", NEW_SUBJECT), doc("typed.md", typed_badly(NEW_SUBJECT))]
    found = by_document("unseen", docs, lexicon=known())
    assert found["wiki/typed.md"] > found["wiki/bees.md"] + 0.3
    assert found["wiki/bees.md"] < 1.0


def test_scores_stay_in_their_range() -> None:
    docs = [doc("a", "zxqv " * 100), doc("b", "the of and to " * 100), doc("c", "")]
    found = by_document("unseen", docs, lexicon=known())
    assert all(0.0 <= score <= 2.0 for score in found.values())
    assert found["wiki/a"] > 1.7
    assert found["wiki/b"] < 0.3


def test_numbers_are_no_unseen_words() -> None:
    found = by_document("unseen", [doc("a", "84017 99313 7742 " * 30)], lexicon=known())
    assert found["wiki/a"] <= 1.0


def test_a_batch_counted_in_its_own_lexicon_does_not_vouch_for_itself() -> None:
    typed = typed_badly(handbook()[42])
    counted = lexicons.of_batch([typed, *rest()], 132)
    found = by_document("unseen", [doc("typed.md", typed)], lexicon=counted)
    apart = by_document("unseen", [doc("typed.md", typed)], lexicon=known())
    assert found["wiki/typed.md"] == pytest.approx(apart["wiki/typed.md"], abs=0.05)


def test_another_document_of_the_batch_does_vouch() -> None:
    typed = typed_badly(handbook()[42])
    counted = lexicons.of_batch([typed, typed, *rest()], 133)
    twice = by_document("unseen", [doc("a", typed), doc("b", typed)], lexicon=counted)
    alone = by_document("unseen", [doc("a", typed)], lexicon=known())
    assert twice["wiki/a"] < alone["wiki/a"] - 0.3


def test_order_of_documents_is_irrelevant() -> None:
    docs = [doc("typed.md", typed_badly(handbook()[42])), *honest(5)]
    assert_order_is_irrelevant("unseen", docs, lexicon=known())


def test_the_evidence_lists_words_that_occur_nowhere_else() -> None:
    text = handbook()[42] + " flumblewick snorgle flumblewick"
    evidence = measure("unseen", make_view([doc("a", text)], lexicon=known())).explain(0)
    assert "flumblewick" in evidence.facts["words"]
    assert "occur nowhere else" in evidence.detail
    assert len(evidence.facts["words"]) == len(set(evidence.facts["words"])) <= 8


def test_too_few_known_words_say_nothing() -> None:
    few = lexicons.count(handbook()[:3], 3)
    with pytest.raises(NotApplicable, match="fewer than 2000 distinct words"):
        measure("unseen", make_view(honest(2), lexicon=few))
    assert measure("unseen", make_view(honest(2), lexicon=few), least=10).scores.all()


GERMAN = (
    "Die Bienen stehen auf dem Dach der Halle. Wer im April hilft, meldet sich vorher bei der "
    "Küche und trägt einen Schleier, denn die Völker sind nach dem Winter noch unruhig und stechen."
)
TAGS = "Imkerei Bienenstock Waben Schleuder Honigglas Rähmchen Varroa Drohnen Zarge Flugloch"


@pytest.mark.parametrize("check", ["unseen", "coherence"])
def test_a_cloud_of_tags_is_judged_by_the_language_of_its_page(check: str) -> None:
    at_home = [t for t in handbook() if len(t) > 400][3]
    pages = [
        Doc("abroad.md", (GERMAN, f"{TAGS} {TAGS.lower()}")),
        Doc("at-home.md", (at_home, f"{TAGS} {TAGS.lower()}")),
    ]
    found = by_document(check, [*pages, *honest()], lexicon=known())
    assert found["wiki/abroad.md"] <= sorted(found.values())[len(found) // 2]
    assert found["wiki/at-home.md"] == max(found.values())
