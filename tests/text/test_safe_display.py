from __future__ import annotations

import pytest

from ragguard.text.safe_display import cut, line, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb\u200bc", "a\\u{202e}b\\u{200b}c"),
        ("tag\U000e0041", "tag\\u{e0041}"),
        ("half \ud800", "half \\u{d800}"),
        ("caf\u00e9 \u4f60\u597d", "caf\u00e9 \u4f60\u597d"),
        ("line\u2028end\r", "line\\u{2028}end\\x0d"),
    ],
)
def test_what_deceives_becomes_a_visible_escape(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_line_has_no_breaks() -> None:
    assert line(" a\n\tb  c\r\n") == "a b c\\x0d"


def test_a_cut_says_that_it_cut() -> None:
    assert cut("abcd", 4) == "abcd"
    assert cut("abcde", 4) == "abc\N{HORIZONTAL ELLIPSIS}"
    assert cut("abc", 0) == "\N{HORIZONTAL ELLIPSIS}"
