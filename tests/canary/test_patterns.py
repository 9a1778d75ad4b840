"""Patterns find what must not appear, in linear time, however it is disguised."""

from __future__ import annotations

import pytest

from ragguard.canary.patterns import MAX_PATTERN, MAX_PATTERNS, Patterns
from ragguard.errors import UsageError
from tests.support.hanging import ends


@pytest.mark.parametrize(
    ("pattern", "text", "quote"),
    [
        (r"door code .{0,20}\d{4}", "The DOOR CODE is 4711.", "DOOR CODE is 4711"),
        ("a/b", "see a/b", "a/b"),
        (r"a\/b", "see a/b", "a/b"),
        ("schlüssel", "der schlüssel", "schlüssel"),
        ("4711", "the \uff14\uff17\uff11\uff11 code", "4711"),
        ("secret", "se\u200bcret", "secret"),
        ("secret", "s\u0435cret", "secret"),
    ],
)
def test_a_pattern_is_found_in_what_a_reader_reads(pattern: str, text: str, quote: str) -> None:
    assert Patterns([pattern]).search(text) == {0: quote}


def test_each_pattern_answers_for_itself() -> None:
    found = Patterns(["alpha", "beta", "gamma"]).search("gamma and alpha")
    assert found == {0: "alpha", 2: "gamma"}
    assert Patterns([]).search("anything") == {}


@ends
def test_a_pattern_that_backtracks_for_ever_elsewhere_is_quick_here() -> None:
    assert Patterns([r"(x+x+)+y"]).search("x" * 2000) == {}


@pytest.mark.parametrize("pattern", ["", "x" * (MAX_PATTERN + 1), "(", ".*", "z\\", "two\nlines"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        Patterns([pattern])


@pytest.mark.parametrize("pattern", ["x/ condition: true // ", "x\\\\/ condition: true // "])
def test_a_pattern_cannot_leave_the_rule_it_is_put_in(pattern: str) -> None:
    assert Patterns([pattern]).search("an innocent text") == {}


def test_too_many_patterns_are_refused() -> None:
    with pytest.raises(UsageError, match="at most"):
        Patterns(["x"] * (MAX_PATTERNS + 1))
