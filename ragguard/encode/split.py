"""Text to chunks: structure-aware, and never longer than the encoder reads.

The splitters are langchain-text-splitters.
A splitter measures characters, an encoder tokens. A chunk of more tokens than the encoder takes
would be served whole but embedded only in part, a place to hide: such a chunk is split again until
every character of it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from ragguard.model import Chunk

SPLITTER = "langchain-recursive-1"
_LANGUAGES = {"md": "markdown", "html": "markdown", "docx": "markdown", "rst": "rst"}
_SMALLEST = 32  # characters; below it a chunk is cut by characters alone


@cache
def _splitter(fmt: str, size: int, overlap: int) -> Any:
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    language = _LANGUAGES.get(fmt)
    if language is None:
        return RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap)
    return RecursiveCharacterTextSplitter.from_language(
        Language(language), chunk_size=size, chunk_overlap=overlap
    )


def _pieces(text: str, base: int, fmt: str, size: int, overlap: int) -> list[Chunk]:
    """Split a text that starts at character `base` of its document."""
    if len(text) <= size:
        stripped = text.strip()
        start = base + len(text) - len(text.lstrip())
        return [Chunk(start, start + len(stripped), stripped)] if stripped else []
    chunks: list[Chunk] = []
    position = 0
    for piece in _splitter(fmt, size, overlap).split_text(text):
        # A piece begins after the last one's beginning, at most `overlap` characters before its
        # end; the splitter strips white space around pieces.
        earliest = max(chunks[-1].start - base + 1, position - overlap - 1) if chunks else 0
        start = text.find(piece, earliest)
        if start < 0:  # the splitter changed the text: keep the plain slices instead
            return _slices(text, base, size)
        # In a text that repeats itself a piece may be found too early, which leaves a gap later.
        chunks += _slices(text[position:start], base + position, size)
        chunks.append(Chunk(base + start, base + start + len(piece), piece))
        position = start + len(piece)
    return chunks + _slices(text[position:], base + position, size)


def _slices(text: str, base: int, size: int) -> list[Chunk]:
    cut = (text[i : i + size] for i in range(0, len(text), size))
    return [
        Chunk(base + i * size, base + i * size + len(t), t) for i, t in enumerate(cut) if t.strip()
    ]


def split(
    texts: Sequence[str],
    formats: Sequence[str],
    *,
    size: int,
    overlap: int,
    max_tokens: int,
    count_tokens: Callable[[Sequence[str]], Sequence[int]],
) -> tuple[list[list[Chunk]], list[list[int]]]:
    """Split documents.

    Args:
        texts: Document texts.
        formats: Their formats.
        size: Upper characters of a chunk.
        overlap: Characters repeated between neighbouring chunks.
        max_tokens: Upper tokens of a chunk, special tokens included.
        count_tokens: Tokens of each of many texts, special tokens included, not truncated.

    Returns:
        Per document its chunks in order, and their token counts.
    """
    documents = [
        _pieces(text, 0, fmt, size, overlap) for text, fmt in zip(texts, formats, strict=True)
    ]
    counts = _count(documents, count_tokens)
    limit = size
    while any(n > max_tokens for row in counts for n in row):
        limit = max(limit // 2, 1)
        small = min(overlap, limit // 4)
        for number, row in enumerate(counts):
            if all(n <= max_tokens for n in row):
                continue
            refined: list[Chunk] = []
            for chunk, n in zip(documents[number], row, strict=True):
                if n <= max_tokens:
                    refined.append(chunk)
                elif limit >= _SMALLEST:
                    pieces = _pieces(chunk.text, chunk.start, formats[number], limit, small)
                    refined.extend(pieces)
                else:
                    refined.extend(_slices(chunk.text, chunk.start, limit))
            # Pieces of chunks that overlap may coincide; a span is one point of the index.
            documents[number] = sorted(set(refined), key=lambda c: (c.start, c.end))
            (counts[number],) = _count([documents[number]], count_tokens)
        if limit == 1:
            break
    return documents, counts


def _count(
    documents: Sequence[Sequence[Chunk]], count_tokens: Callable[[Sequence[str]], Sequence[int]]
) -> list[list[int]]:
    flat = iter(count_tokens([chunk.text for chunks in documents for chunk in chunks]))
    return [[next(flat) for _ in chunks] for chunks in documents]
