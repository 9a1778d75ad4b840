from __future__ import annotations

import numpy as np
import pytest

from ragguard.detect import checks
from ragguard.text.prose import prose, prose_rows
from ragguard.text.words import words
from tests.support.checks.views import Doc, doc, handbook, handbook_lexicon, make_view, topics

SENTENCE = "The printer on the second floor wants a new drum before the end of the month."


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        "",
        "Ask Ms. Berg (desk 4), or write: she answers within a day; often sooner.",
        "Wer den Drucker benutzt, legt bitte Papier nach. Danke!",
        "\u672c\u793e\u306f\u6771\u4eac\u306b\u3042\u308a\u307e\u3059\u3002",
        "# Printers\n\nThere are two of them. Both are old.\n\n- One is slow.\n- One is not.",
    ],
)
def test_ordinary_writing_is_prose_as_it_stands(text: str) -> None:
    assert prose(text) == text


def test_the_handbook_keeps_nearly_all_its_words() -> None:
    kept = sum(len(words(prose(passage))) for passage in handbook())
    assert kept >= 0.9 * sum(len(words(passage)) for passage in handbook())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Use `pip install drum` to add it.", "Use to add it."),
        ("Set ``PRINTER_HOME`` first.", "Set first."),
        ("See [the guide](https://a.example/b/c.html) for more.", "See the guide for more."),
        ('See [the guide](a/b.md "The title of it") too.', "See the guide too."),
        ("See [the guide][ref] for more.\n\n[ref]: https://a.example/x", "See the guide for more."),
        ("It is at https://a.example/b?c=d&e=f today.", "It is at today."),
        ("It is at <https://a.example> today.", "It is at today."),
        ("![A badge of the build](https://a.example/badge.svg) Builds run nightly.",
         "Builds run nightly."),
        ("[![alt text](a.svg)](https://a.example) Builds run nightly.", "Builds run nightly."),
        ("Read `the guide <https://a.example/x>`_ first.", "Read the guide first."),
        ("Read :doc:`the guide </a/b>` first.", "Read the guide first."),
        ("Call :func:`print_all` first.", "Call first."),
        ("<p align=\"center\">Both floors have <b>one</b>.</p>", "Both floors have one ."),
        ("Both floors have one.[^1]", "Both floors have one."),
        ("Tom &amp; Anna share one.", "Tom & Anna share one."),
        ("It is in /etc/cups/printers.conf and in C_FLAGS.", "It is in and in."),
        ("Run it with --verbose twice.", "Run it with twice."),
        ("<!-- old: three printers --> There are two.", "There are two."),
        ("{% include menu %} There are two.", "There are two."),
    ],
)  # fmt: skip
def test_labels_stay_and_targets_go(text: str, left: str) -> None:
    assert words(prose(text)) == words(left)


@pytest.mark.parametrize(
    "code",
    [
        "```python\nfor drum in drums:\n    print(drum.name)\n```",
        "```\ncp drums.txt /srv/drums\nls -l /srv\n```",
        "~~~ yaml\nprinters:\n  - name: second\n~~~",
        "    for drum in drums:\n        print(drum.name)",
        "for (int i = 0; i < n; i++) {\n    drums[i].print();\n}",
        "    lp drum second floor # prints the drum\n    lp toner first floor # then the toner",
        "$ lpstat -p\nprinter second is idle",
        ">>> drums = load()\n>>> len(drums)\n4",
        '{\n  "name": "second",\n  "colour": true\n}',
        ".. code-block:: python\n   :linenos:\n\n   drums = load()",
        "| Floor | Drum |\n|-------|------|\n| 1 | new |\n| 2 | old |",
        "+-----+-----+\n| one | two |\n+-----+-----+",
        "=====  =====\nFloor  Drum\n=====  =====\n1      new\n=====  =====",
        "Floor | Drum",
        "drwxr-xr-x   2 root   root   4096 Mar  1 12:00   drums",
        ".. image:: drums.png\n   :alt: Two drums",
        ".. _drums: https://a.example/drums",
        "Requires-Dist: drums\n" * 8,
        "---",
        "***\n\n===\n\n***",
    ],
)
def test_code_tables_and_rulers_are_no_prose(code: str) -> None:
    assert words(prose(code)) == []
    both = prose(f"{SENTENCE}\n\n{code}\n\n{SENTENCE}")
    assert words(both) == 2 * words(SENTENCE)


def test_a_passage_that_begins_inside_a_fence_is_read_from_the_end_of_it() -> None:
    tail = "print(drum.name)\n```\n\n" + SENTENCE
    assert words(prose(tail)) == words(SENTENCE)
    between = f"a = 1\n```\n\n{SENTENCE}\n\n```python\nb = 2\n"
    assert words(prose(between)) == words(SENTENCE)


@pytest.mark.parametrize(
    "wrap", ["```\n{}\n```", "```text\n{}\n```", "`{}`", "    {}", "::\n\n   {}", "| {} | ok |"]
)
def test_sentences_declared_to_be_code_stay_prose(wrap: str) -> None:
    assert set(words(SENTENCE)) <= set(words(prose(wrap.format(SENTENCE))))


def test_a_note_of_a_directive_is_prose_and_its_options_are_not() -> None:
    text = ".. note:: Both floors have one.\n   :class: wide\n\n   Ask at the desk for paper."
    assert words(prose(text)) == words("Both floors have one. Ask at the desk for paper.")


@pytest.mark.timeout(60)  # linear takes milliseconds, squares take minutes
@pytest.mark.parametrize(
    "text",
    ["[" * 30_000, "`" * 30_001, "![" * 10_000, "<a " * 10_000, "| " * 20_000, ".. a::\n" * 5_000,
     "[a](" * 8_000, "a.b" * 20_000, "a/" * 20_000, "--a-" * 10_000, "{{" * 10_000, "x_" * 20_000,
     "\n```\n" * 5_000, "- " * 20_000, "(" * 30_000, "&a" * 20_000, "=-" * 20_000],
)  # fmt: skip
def test_hostile_markup_is_read_in_bounded_time(text: str) -> None:
    assert len(prose(text)) <= len(text)


# --- lines that a source repeats --------------------------------------------------------------


def pages(count: int, footer: str) -> list[str]:
    return [f"{passage}\n\n{footer.format(i)}" for i, passage in enumerate(handbook()[:count])]


def test_a_footer_on_every_page_of_a_source_is_no_prose() -> None:
    texts = pages(5, "Last reviewed: 2026-03-0{} by the facilities team")
    found = prose_rows(texts, np.arange(5), ["wiki"] * 5)
    assert found == [prose(text) for text in handbook()[:5]]


@pytest.mark.parametrize(("count", "sources"), [(3, ["wiki"] * 3), (5, ["a", "b", "c", "d", "e"])])
def test_a_line_on_few_pages_or_of_many_sources_stays(count: int, sources: list[str]) -> None:
    texts = pages(count, "Last reviewed by the facilities team")
    found = prose_rows(texts, np.arange(count), sources)
    assert all("Last reviewed" in text for text in found)


def test_a_line_repeated_within_one_document_stays() -> None:
    texts = pages(5, "Last reviewed by the facilities team")
    found = prose_rows(texts, np.zeros(5, dtype=np.int64), ["wiki"])
    assert all("Last reviewed" in text for text in found)


def test_copies_of_a_whole_passage_keep_their_words() -> None:
    found = prose_rows([SENTENCE] * 6, np.arange(6), ["wiki"] * 6)
    assert found == [SENTENCE] * 6


def test_passages_without_prose_say_nothing_to_any_check() -> None:
    bare = ["```python\nx = load()\n```", "| a | b |", "https://a.example/b", "$ ls -l"]
    docs = [doc(f"bare{i}.md", text) for i, text in enumerate(bare)]
    docs += [Doc(f"hand{i}", (text,), zone="serving") for i, text in enumerate(handbook()[:60])]
    view = make_view([*docs, *topics(4, 8)], lexicon=handbook_lexicon())
    assert [view.words[row] for row in range(view.n)] == [[], [], [], []]
    lowest = make_view([doc("plain.md", SENTENCE), *docs[4:]], lexicon=handbook_lexicon())
    for name in (
        "stuffing",
        "surprisal",
        "coherence",
        "unseen",
        "question_lead",
        "foreign_request",
    ):
        check = checks.registry()[name]
        found = check.function(view, check.params()).scores
        plain = check.function(lowest, check.params()).scores
        assert np.isfinite(found).all()
        assert found.max() <= plain.max(), name
