from __future__ import annotations

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
    handbook_lexicon,
    make_view,
    measure,
)

NOISE = "zxqv kjwq pfgh xxzq vbnk qqwx jhzk wvxq zzkj qpwx kvjq xzwq hjkq vvbx qzjw kxqp wqzv jjxk"


def honest(count: int = 30) -> list[Doc]:
    return [doc(f"{i}.md", text) for i, text in enumerate(handbook()[:count])]


def known() -> lexicons.Lexicon:
    """The handbook without the passages that are judged."""
    return handbook_lexicon(30)


@pytest.mark.parametrize(
    "noise",
    [NOISE, "\u0442\u0435\u043a\u0441\u0442 " * 12, "".join(f"{i * i:x}" for i in range(900, 960))],
    ids=["letters", "another script", "digits"],
)
def test_a_burst_of_noise_in_ordinary_prose_stands_out(noise: str) -> None:
    prose = handbook()[40]
    guilty = doc("evil.md", f"{prose[:300]} {noise} {prose[300:]}")
    found = by_document("surprisal", [guilty, *honest()], lexicon=known())
    assert_stands_out(found, "wiki/evil.md", 1.2)


def test_a_burst_does_not_disappear_in_a_long_text() -> None:
    prose = " ".join(handbook()[40:45])
    found = by_document(
        "surprisal", [doc("long.md", prose + NOISE), doc("short.md", NOISE)], lexicon=known()
    )
    assert found["wiki/long.md"] == pytest.approx(found["wiki/short.md"], rel=0.1)


def test_honest_passages_are_likely() -> None:
    assert max(by_document("surprisal", honest(), lexicon=known()).values()) < 6.0


def test_case_makes_no_difference() -> None:
    text = handbook()[3]
    found = by_document("surprisal", [doc("a", text), doc("b", text.upper())], lexicon=known())
    assert found["wiki/a"] == found["wiki/b"]


def test_order_of_documents_is_irrelevant() -> None:
    docs = [doc("evil.md", NOISE), *honest(5)]
    assert_order_is_irrelevant("surprisal", docs, lexicon=known())


def test_the_evidence_shows_the_place() -> None:
    prose = handbook()[40]
    view = make_view([doc("evil.md", f"{prose[:300]} {NOISE} {prose[300:]}")], lexicon=known())
    signal = measure("surprisal", view)
    evidence = signal.explain(0)
    assert "unlikely letters" in evidence.detail
    assert NOISE[30:50] in evidence.detail
    assert 280 < evidence.facts["place"] < 400


def test_an_empty_text_is_no_crash() -> None:
    found = by_document("surprisal", [doc("a", "\u200b"), doc("b", "it")], lexicon=known())
    assert all(score < 10 for score in found.values())


def test_too_little_reference_text_says_nothing() -> None:
    few = lexicons.count(handbook()[:3], 3)
    with pytest.raises(NotApplicable, match="fewer than 20000 characters"):
        measure("surprisal", make_view(honest(2), lexicon=few))
    assert measure("surprisal", make_view(honest(2), lexicon=few), least=100).scores.all()
