from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragguard.embed.encoder import Encoder, open_encoder
from ragguard.model import Chunk
from ragguard.parse.chunk import split

FORMATS = ["md", "txt", "rst", "html", "pdf", "docx"]
SIZE, OVERLAP = 60, 15

# Texts that invite a splitter to err: repetition, headings, fences, runs of white space.
PARTS = [
    "# Head\n", "## Head\n\n", "word ", "aaaa", "a", "ab ab ab ", "\n", "\n\n", " ", "   ", "\t",
    "- item\n", "```\ncode\n```\n", "***\n", "---\n", "=====\n", "The valve is closed. ",
    "\n\n.. note:: x\n", "é", "\u3000", "\U0001f600", "x" * 70, "\x0b", "\u2028", "\x1c",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS), max_size=40).map("".join) | st.text(max_size=300)


def by_characters(texts: Sequence[str]) -> list[int]:
    """A tokenizer that sees one token in each visible character, and two special ones."""
    return [2 + sum(not c.isspace() for c in text) for text in texts]


def chunks_of(text: str, fmt: str, max_tokens: int = 10_000, size: int = SIZE) -> list[Chunk]:
    documents, counts = split(
        [text],
        [fmt],
        size=size,
        overlap=min(OVERLAP, size // 3),
        max_tokens=max_tokens,
        count_tokens=by_characters,
    )
    assert counts == [by_characters([c.text for c in documents[0]])]
    return documents[0]


def uncovered(text: str, chunks: Sequence[Chunk]) -> list[int]:
    """Letters and digits that are in no chunk."""
    seen = bytearray(len(text))
    for chunk in chunks:
        seen[chunk.start : chunk.end] = b"\x01" * (chunk.end - chunk.start)
    return [i for i, c in enumerate(text) if not seen[i] and c.isalnum()]


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(FORMATS), st.sampled_from([10_000, 45, 12, 4]))
@example("ab ab ab " * 40, "txt", 10_000)
@example("aaaa " * 60, "md", 12)
@example("x" * 500, "rst", 4)
@example(
    f"word ## U\n## U\n{'?' * 18}=\n\n{'?' * 17}word word word word {'-' * 29} a\n", "html", 10_000
)
def test_every_letter_is_in_a_chunk_and_every_chunk_is_where_it_says(
    text: str, fmt: str, max_tokens: int
) -> None:
    chunks = chunks_of(text, fmt, max_tokens)
    assert uncovered(text, chunks) == []
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert any(map(str.isalnum, chunk.text))
        assert len(chunk.text) <= SIZE
        assert by_characters([chunk.text]) <= [max_tokens]
    starts = [(c.start, c.end) for c in chunks]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(
    "blank", ["", " ", "\n\n\n", " \t\n" * 500, "---", "***\n\n```\n```\n" * 50, "=" * 500]
)
def test_nothing_worded_gives_no_chunks(fmt: str, blank: str) -> None:
    assert chunks_of(blank, fmt) == []


def test_documents_are_split_apart_and_keep_their_places() -> None:
    texts = ["one. " * 40, "", "two. " * 3]
    documents, counts = split(
        texts,
        ["txt", "md", "md"],
        size=SIZE,
        overlap=0,
        max_tokens=500,
        count_tokens=by_characters,
    )
    assert [len(d) > 0 for d in documents] == [True, False, True]
    assert [len(c) for c in counts] == [len(d) for d in documents]
    assert documents[2] == [Chunk(0, 14, texts[2].strip())]
    assert uncovered(texts[0], documents[0]) == []


def test_sections_of_a_markdown_file_start_chunks() -> None:
    text = "# One\n\n" + "alpha beta gamma. " * 3 + "\n\n# Two\n\n" + "delta epsilon zeta. " * 3
    assert any(c.text.startswith("# Two") for c in chunks_of(text, "md", size=80))


PARAGRAPH = "The pump is checked before noon and its valve is closed by the caretaker. "


@pytest.mark.parametrize("paragraphs", [1, 4, 12, 40])
@pytest.mark.parametrize(
    ("fmt", "title"),
    [
        ("md", "# Pumps"),
        ("md", "Pumps\n====="),
        ("md", "## Pumps\n\n### Valves"),
        ("html", "## Pumps"),
        ("docx", "### Pumps"),
        ("rst", "Pumps\n====="),
        ("rst", "*****\nPumps\n*****"),
        ("rst", ".. _pumps:\n\nPumps\n~~~~~"),
        ("rst", "Pumps\n=====\n\nValves\n------"),
        ("txt", "Pumps\n====="),
    ],
)
def test_a_title_stands_with_what_stands_under_it(fmt: str, title: str, paragraphs: int) -> None:
    body = "\n\n".join([PARAGRAPH.strip()] * paragraphs)
    text = f"{body}\n\n{title}\n\n{body}\n\n{title}\n\n{body}\n"
    chunks = chunks_of(text, fmt, size=300)
    assert uncovered(text, chunks) == []
    with_title = [c.text for c in chunks if "Pumps" in c.text]
    assert with_title
    for piece in with_title:
        assert f"{title}\n\nThe pump is checked before noon" in piece
    assert all(len(c.text) <= 300 for c in chunks)


def test_a_title_with_nothing_under_it_stands_with_what_is_before_it() -> None:
    text = "# Pumps\n\n" + (PARAGRAPH.strip() + "\n\n") * 12 + "## Further reading\n"
    last = chunks_of(text, "md", size=300)[-1].text
    assert last.endswith("caretaker.\n\n## Further reading")
    assert len(last) <= 300


def test_a_title_alone_is_a_passage_where_there_is_nothing_else() -> None:
    assert [c.text for c in chunks_of("# Pumps\n\n---\n", "md")] == ["# Pumps\n\n---"]


@pytest.mark.parametrize("ruler", ["---", "***", "___", "- - -", "\u2014\u2014"])
def test_a_ruler_is_never_a_passage(ruler: str) -> None:
    text = "\n\n".join([PARAGRAPH * 3, ruler] * 6)
    for size in (60, 240, 300):
        chunks = chunks_of(text, "md", size=size)
        assert uncovered(text, chunks) == []
        assert all("pump" in c.text or "noon" in c.text or len(c.text) > 3 for c in chunks)


def test_front_matter_makes_no_passage() -> None:
    text = "---\ntitle: Pumps\n---\n\n" + PARAGRAPH
    documents, _ = split(
        [text],
        ["md"],
        size=SIZE,
        overlap=0,
        max_tokens=500,
        count_tokens=by_characters,
        begins=[text.index("\n\n")],
    )
    assert documents[0][0].start == text.index("The pump")
    assert uncovered(text[text.index("The pump") :], chunks_of(PARAGRAPH, "md")) == []


def test_a_text_of_one_repeated_word_is_covered_with_overlap() -> None:
    text = "drain " * 3_000
    chunks = chunks_of(text, "txt")
    assert uncovered(text, chunks) == []
    ends = [c.end for c in chunks]
    assert all(later.start <= end + 1 for end, later in zip(ends[:-1], chunks[1:], strict=True))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder("all-MiniLM-L6-v2", runtime="openvino", size=1000, overlap=150)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Open the drain valve before the pump is started. " * 120, id="prose"),
        pytest.param("\u4e95\u6238\u6c34\u4f4d" * 900, id="a token a character"),
        pytest.param("a \U0001f6a8" * 800, id="emoji"),
        pytest.param("x" * 5_000, id="one word"),
        pytest.param(" ".join("!@#$%^&*()1" * 200), id="punctuation"),
        pytest.param("0123456789abcdef" * 400, id="a long number"),
        pytest.param("\u0e01\u0e33" * 1200, id="Thai without spaces"),
    ],
)
def test_no_chunk_is_longer_than_the_real_encoder_reads(encoder: Encoder, text: str) -> None:
    limit = encoder.recipe.max_tokens
    documents, counts = split(
        [text],
        ["txt"],
        size=1000,
        overlap=150,
        max_tokens=limit,
        count_tokens=encoder.count_tokens,
    )
    assert max(counts[0]) <= limit
    assert encoder.count_tokens([c.text for c in documents[0]]) == counts[0]
    assert uncovered(text, documents[0]) == []
