from __future__ import annotations

import random
import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragguard.errors import UnreadableError
from ragguard.parse import css, document, html
from ragguard.parse.document import ParsedDocument, read_text
from tests.support.documents import MARK, SECRET, SHOWN, VISIBLE, pdf, word
from tests.support.hanging import ends

TEXTUAL = ["md", "txt", "rst"]


@pytest.mark.parametrize("fmt", sorted(document.TEXT_FORMATS))
def test_every_format_gives_its_visible_text(fmt: str) -> None:
    data = {"pdf": pdf(SHOWN), "docx": word()}.get(fmt, f"{VISIBLE}\n".encode())
    assert document.parse(data, fmt).text.strip() == VISIBLE
    assert document.parse(data, fmt).hidden == ()


@pytest.mark.parametrize("fmt", TEXTUAL)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param("Grüße\nan alle\n".encode(), id="UTF-8"),
        pytest.param("\ufeffGrüße\nan alle\n".encode(), id="UTF-8 with its mark"),
        pytest.param("Grüße\r\nan alle\r".encode(), id="other line ends"),
        pytest.param("Grüße\nan alle\n".encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xfe\xff" + "Grüße\nan alle\n".encode("utf-16-be"), id="UTF-16, big end"),
    ],
)
def test_encodings_and_line_ends_give_the_same_text(fmt: str, data: bytes) -> None:
    assert document.parse(data, fmt).text == "Grüße\nan alle\n"


@pytest.mark.parametrize("fmt", [*TEXTUAL, "html"])
@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"abc\xff\xfeabc", "not valid UTF-8 (byte 3)", id="wrong UTF-8"),
        pytest.param(b"\xc3\x28", "not valid UTF-8 (byte 0)", id="half a character"),
        pytest.param(b"\xff\xfea", "not valid UTF-16 (byte 2)", id="half of UTF-16"),
        pytest.param(b"\xff\xfe\x00\xd8", "not valid UTF-16", id="half a surrogate pair"),
        pytest.param(b"a\x00b", "NUL", id="NUL"),
        pytest.param("text".encode("utf-32"), "NUL", id="UTF-32"),
        pytest.param(b"", "no text", id="empty"),
        pytest.param(b" \n\t\r\n", "no text", id="white space"),
        pytest.param(b"\xef\xbb\xbf", "no text", id="a mark alone"),
    ],
)
def test_what_is_no_text_is_refused_with_the_reason(fmt: str, data: bytes, why: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        document.parse(data, fmt)
    assert why in caught.value.reason


@pytest.mark.parametrize("fmt", ["html", *TEXTUAL])
def test_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    monkeypatch.setattr(document, "MAX_TEXT", 10)
    assert document.parse(b"x" * 10, fmt).text == "x" * 10
    with pytest.raises(UnreadableError, match="more than 10 characters"):
        document.parse(b"x" * 11, fmt)


@given(st.text(), st.sampled_from(TEXTUAL))
@settings(max_examples=300, deadline=None)
def test_text_formats_are_served_as_they_are(text: str, fmt: str) -> None:
    expected = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert read_text(text, fmt).text == expected


# --- what rendering hides, but the index would hold -----------------------------------------------

UNSEEN = {
    "comment": ("md", "<!-- {} -->", "html-comment"),
    "comment in a line": ("md", "See <!-- {} --> there.", "html-comment"),
    "hidden element": ("md", "<div hidden>\n\n{}\n\n</div>", "html-hidden"),
    "hidden in a line": ("md", 'See <span style="display:none">{}</span>.', "css-display"),
    "a style sheet": ("md", "<style>.q{{color:white}}</style>\n<p class=q>{}</p>", "css-colour"),
    "definition as a comment": ("md", "[//]: # ({})", "md-comment"),
    "definition with a mark": ("md", '[#]: # "{}"', "md-comment"),
    "definition of a comment": ("md", "[comment]: <> ({})", "md-comment"),
    "title of a definition": ("md", '[a]: http://x.example "{}"', "md-comment"),
    "second definition": ("md", '[a]: /x\n[a]: /x "{}"', "md-comment"),
    "label of a definition": ("md", "[{}]: http://x.example", "md-comment"),
    "title of a link": ("md", '[here](/x "{}")', "md-comment"),
    "title of an image": ("md", '![pump](/x.png "{}")', "md-comment"),
    "after the language of code": ("md", "```python {}\nx = 1\n```", "md-comment"),
    "after the language, tildes": ("md", "~~~ text {}\nx\n~~~", "md-comment"),
    "rst comment": ("rst", ".. {}", "rst-comment"),
    "rst comment block": ("rst", "..\n   {}\n   and more", "rst-comment"),
    "rst target": ("rst", ".. _{}: http://x.example", "rst-comment"),
    "rst substitution": ("rst", ".. |x| replace:: {}", "rst-comment"),
    "rst metadata": ("rst", ".. meta::\n   :description: {}", "front-matter"),
    "rst condition": ("rst", ".. only:: never\n\n   {}", "rst-comment"),
    "rst raw": ("rst", ".. raw:: html\n\n   <p hidden>{}</p>", "html-hidden"),
    "markup in a record": ("txt", "<p hidden>{}</p>", "html-hidden"),
    "comment in a record": ("txt", "<!-- {} -->", "html-comment"),
    "style sheet in a record": (
        "txt",
        "<style>.q{{display:none}}</style><p class=q>{}</p>",
        "css-display",
    ),
    "font in a record": ("txt", "<font color=white>{}</font>", "css-colour"),
    "template in a record": ("txt", "<template>{}</template>", "html-template"),
}


@pytest.mark.parametrize(("fmt", "source", "kind"), UNSEEN.values(), ids=UNSEEN.keys())
def test_text_that_rendering_hides_is_recorded(fmt: str, source: str, kind: str) -> None:
    text = f"{VISIBLE}\n\n{source.format(SECRET)}\n"
    parsed = read_text(text, fmt)
    assert parsed.text == text
    assert [h.kind for h in parsed.hidden if MARK in h.text.upper()] == [kind]


def test_front_matter_is_handed_over_once_as_what_it_is() -> None:
    front = f"---\ntitle: The pumps of the east hall\ndescription: {SECRET}\n---\n"
    parsed = read_text(f"{front}\n{VISIBLE}\n", "md")
    assert [h.kind for h in parsed.hidden] == ["front-matter"]
    assert parsed.text[parsed.begin :].strip() == VISIBLE.strip()


@pytest.mark.parametrize(
    ("fmt", "source"),
    [
        ("md", "```html\n<!-- {} -->\n```"),
        ("md", "Write `<!-- {} -->` for a comment."),
        ("md", "    <p hidden>{}</p>"),
        ("md", "See [{}].\n\n[{}]: http://x.example"),
        ("md", '[here](/x "Two words")'),
        ("md", "| a | b |\n|---|---|\n| {} | 2 |"),
        ("md", "<details><summary>More</summary>\n\n{}\n\n</details>"),
        ("md", "```python\nx = 1\n```"),
        ("md", "a < b and b > c"),
        ("rst", ".. note:: {}"),
        ("rst", ".. _label:\n\n{}"),
        ("rst", ".. [1] {}"),
        ("rst", ".. code-block:: python\n\n   x = 1"),
        ("rst", "...\n\nAnd so on."),
        ("txt", "The list<template> of C++ {}".replace("<template>", "")),
        ("txt", "a <b> c </b> d, if x < y and y > z"),
    ],
)
def test_honest_look_alikes_hide_nothing(fmt: str, source: str) -> None:
    assert read_text(f"{VISIBLE}\n\n{source.format(SECRET, SECRET)}\n", fmt).hidden == ()


def test_a_huge_markdown_file_is_still_searched() -> None:
    text = "word " * 100_000 + f"<!-- {SECRET} -->\n[//]: # (another secret here)\n"
    kinds = [h.kind for h in read_text(text, "md").hidden]
    assert kinds == ["md-comment", "html-comment"]


# --- time -----------------------------------------------------------------------------------------

HOSTILE = {
    "5 MB of <, md": ("md", "<" * 5_000_000),
    "5 MB of <, txt": ("txt", "<" * 5_000_000),
    "open brackets": ("md", "[" * 49_000 + "<"),
    "open images": ("md", "![" * 24_000 + "<"),
    "open emphasis": ("md", "*a_" * 16_000 + "<"),
    "open CDATA": ("md", "a <![CDATA[" * 4_400),
    "blocks of brackets": ("md", ("![" * 5_000 + "\n\n") * 20),
    "long labels": ("md", "".join(f"[a {i} of many words]: /u\n\n" for i in range(10_000))),
    "definitions": ("md", "".join(f'[a{i}]: /u "a b c d"\n\n' for i in range(10_000))),
    "quotes": ("md", ">" * 50_000),
    "lists": ("md", "".join(" " * i + "- a\n" for i in range(1_000)) + "<"),
    "code spans": ("md", "".join("`" * i + " " for i in range(1, 300)) + "<"),
    "definitions never ended": ("md", ('[//]: # "' + "a " * 100 + "\n") * 5_000),
    "front matter never ended": ("md", "---\n" + "a: b\n" * 200_000 + "\n\n"),
    "rst comments": ("rst", ".. a\n   b\n" * 100_000),
    "rst spaces": ("rst", ".. " + " " * 1_000_000),
    "rst lines of spaces": ("rst", (".." + " " * 1_000 + "\n") * 1_000),
    "rst targets": ("rst", ".. _a: b\n\n" * 100_000),
    "rst substitutions": ("rst", ".. |" + "a" * 190 + "\n" + ".. |x| replace::\n\n   a" * 30_000),
    "rst blank lines": ("rst", ".. meta::" + "\n" * 1_000_000 + "x"),
    "open tags": ("txt", "<a " * 1_000_000),
    "tags with long names": ("txt", ("<a" + "b" * 299) * 10_000),
}


@ends
@pytest.mark.parametrize(("fmt", "text"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_read_or_refused_in_seconds(fmt: str, text: str) -> None:
    with suppress(UnreadableError):
        document.parse(text.encode(), fmt)


PATTERNS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": pattern
    for module in (css, html, document)
    for name, pattern in vars(module).items()
    if isinstance(pattern, re.Pattern)
}
SEEDS = [
    "<", "<a ", "<a style", "a", "a,", "a-", "{", "a{", "[", '[#]: x "', "[//]: a\n", "..\n",
    ".. _", ".. |", ".. |a| replace::", ".. only::\n\n  ", " ", "\n", "\n ", "\\", "/*", "/",
    "rgb(", "hsl(a ", "a(", "(", "((", ":not(", ":has", ":lang(", "var(--a", "var(--a,", "url(",
    '"', "'", '"\\', "0", "0.", "1e", "-", "+1", "data:text/css", "data:text/css;", "---\n", "\t",
]  # fmt: skip


@ends
@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS.keys())
def test_no_pattern_takes_more_than_linear_time(pattern: re.Pattern[str]) -> None:
    """A megabyte of any seed; a pattern that is quadratic in it takes minutes."""
    for seed in SEEDS:
        for _ in pattern.finditer((seed * 1_000_000)[:1_000_000] + "!"):
            pass


def test_any_bytes_are_read_or_refused_in_every_format() -> None:
    rng = random.Random(9)
    seeds = [b"%PDF-1.7\n", b"PK\x03\x04", b"<html>", b"# a\n", b".. a\n", b"\xff\xfe", b""]
    for _ in range(400):
        data = rng.choice(seeds) + rng.randbytes(rng.randrange(200))
        for fmt in document.TEXT_FORMATS:
            with suppress(UnreadableError):
                assert isinstance(document.parse(data, fmt), ParsedDocument)
