from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragguard.encode.encoder import Encoder, open_encoder
from ragguard.encode.split import split
from ragguard.model import Chunk

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
    seen = bytearray(len(text))
    for chunk in chunks:
        seen[chunk.start : chunk.end] = b"\x01" * (chunk.end - chunk.start)
    return [i for i, c in enumerate(text) if not seen[i] and not c.isspace()]


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(FORMATS), st.sampled_from([10_000, 45, 12, 4]))
@example("ab ab ab " * 40, "txt", 10_000)
@example("aaaa " * 60, "md", 12)
@example("x" * 500, "rst", 4)
def test_every_visible_character_is_in_a_chunk_and_every_chunk_is_where_it_says(
    text: str, fmt: str, max_tokens: int
) -> None:
    chunks = chunks_of(text, fmt, max_tokens)
    assert uncovered(text, chunks) == []
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip()
        assert len(chunk.text) <= SIZE
        assert by_characters([chunk.text]) <= [max_tokens]
    starts = [(c.start, c.end) for c in chunks]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("blank", ["", " ", "\n\n\n", " \t\n" * 500])
def test_nothing_gives_no_chunks(fmt: str, blank: str) -> None:
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
        pytest.param("\U0001f6a8" * 1500, id="emoji"),
        pytest.param("x" * 5_000, id="one word"),
        pytest.param(" ".join("!@#$%^&*()" * 200), id="punctuation"),
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
