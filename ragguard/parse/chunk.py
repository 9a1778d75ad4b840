"""Split text into chunks: structure-aware, and never longer than the encoder reads.

The splitters are langchain-text-splitters; sections are found here, so that no title is cut from
what stands under it, and nothing without a letter or a digit becomes a chunk.
A splitter measures characters, an encoder tokens. A chunk of more tokens than the encoder takes
would be served whole but embedded only in part, a place to hide: such a chunk is split again until
every character of it is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ragguard.model import Chunk

SPLITTER = "langchain-recursive-2"
_LANGUAGES = {"md": "markdown", "html": "markdown", "docx": "markdown", "rst": "rst"}
_SMALLEST = 32  # characters; below it a chunk is cut by characters alone
_LONGEST_TITLE = 200  # characters of a line that may be a title

_WORDED = re.compile(r"[^\W_]")
_ATX = re.compile(r" {0,3}#{1,6}(?:[ \t].*)?")
_FENCE = re.compile(r"[ \t>]*(?:`{3,}[^`]*|~{3,}.*)")
_RULE = re.compile(r"(?P<mark>[!-/:-@\[-`{-~])(?P=mark){2,}[ \t]*")
_ANCHOR = re.compile(r"\.\.[ \t]+_[^\n]{1,200}:[ \t]*|<a\b[^<>]{0,200}>(?:</a>)?[ \t]*")


@cache
def _splitter(fmt: str, size: int, overlap: int) -> Any:
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    language = _LANGUAGES.get(fmt)
    if language is None:
        return RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap)
    return RecursiveCharacterTextSplitter.from_language(
        Language(language), chunk_size=size, chunk_overlap=overlap
    )


@dataclass(frozen=True)
class _Section:
    """A title, or several that follow one another, and what stands under it.

    Attributes:
        start: Where its first title begins.
        body: Where the text under its last title begins; `start` where it has no title.
        end: Where the next section begins.
    """

    start: int
    body: int
    end: int


def _titles(text: str, fmt: str) -> Iterator[tuple[int, int]]:
    """Tell where titles begin and end, with their rules and the anchors right before them."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    marked = _LANGUAGES.get(fmt) == "markdown"
    fenced = False
    at = 0
    while at < len(lines):
        line = lines[at]
        first = last = -1
        if marked and _FENCE.fullmatch(line):
            fenced = not fenced
        elif not fenced and marked and _ATX.fullmatch(line):
            first = last = at
        elif not fenced and _underlined(lines, at, fmt):
            first, last = at, at + 1
            if (
                at
                and _RULE.fullmatch(lines[at - 1])
                and lines[at - 1].strip() == lines[last].strip()
            ):
                first = at - 1
        if first < 0:
            at += 1
            continue
        while first and (not lines[first - 1].strip() or _ANCHOR.fullmatch(lines[first - 1])):
            first -= 1
        yield starts[first], min(starts[last + 1], len(text))
        at = last + 1


def _underlined(lines: Sequence[str], at: int, fmt: str) -> bool:
    """Tell whether a line is a title by the rule under it."""
    title = lines[at].strip()
    if at + 1 >= len(lines) or not _WORDED.search(title) or len(title) > _LONGEST_TITLE:
        return False
    rule = _RULE.fullmatch(lines[at + 1])
    if rule is None or (fmt != "rst" and rule["mark"] not in "=-"):
        return False
    return not at or not _WORDED.search(lines[at - 1])  # else it is a paragraph's last line


def _sections(text: str, fmt: str) -> list[_Section]:
    """Return a text as sections; only the last may be a title with nothing under it."""
    sections: list[_Section] = []
    if fmt != "pdf":
        for start, end in _titles(text, fmt):
            if sections and not _WORDED.search(text, sections[-1].body, start):
                sections[-1] = replace(sections[-1], body=end)  # a title right under a title
                continue
            if sections:
                sections[-1] = replace(sections[-1], end=start)
            elif _WORDED.search(text, 0, start):
                sections.append(_Section(0, 0, start))
            sections.append(_Section(start if sections else 0, end, len(text)))
    if not sections:
        return [_Section(0, 0, len(text))]
    return sections


def _pieces(text: str, base: int, fmt: str, size: int, overlap: int) -> list[Chunk]:
    """Split a text that starts at character `base` of its document."""
    if len(text) <= size:
        return _whole(text, base)
    sections = _sections(text, fmt)
    bare = sections[-1].start  # of a title with nothing under it
    if len(sections) > 1 and not _WORDED.search(text, sections[-1].body):
        sections[-2:] = [replace(sections[-2], end=len(text))]
    else:
        bare = len(text)
    chunks: list[Chunk] = []
    start = end = 0  # of short sections that go into one chunk
    for section in sections:
        if section.end - start <= size:
            end = section.end
            continue
        chunks += _whole(text[start:end], base + start)
        start, end = section.start, section.end
        if end - start > size:
            chunks += _section(text, section, base, fmt, size, overlap)
            start = end
    chunks += _whole(text[start:end], base + start)
    if len(chunks) > 1 and chunks[-1].start >= base + bare:
        chunks[-1] = _led(text, base, chunks[-2], chunks[-1], size)
    return chunks


def _led(text: str, base: int, before: Chunk, last: Chunk, size: int) -> Chunk:
    """Return a last title with as much of the text before it as there is room for."""
    start = max(before.start + 1, last.end - size) - base
    while start < last.start - base and not text[start - 1].isspace():
        start += 1
    while text[start].isspace():
        start += 1
    return Chunk(base + start, last.end, text[start : last.end - base])


def _whole(text: str, base: int) -> list[Chunk]:
    stripped = text.strip()
    start = base + len(text) - len(text.lstrip())
    return [Chunk(start, start + len(stripped), stripped)] if _WORDED.search(stripped) else []


def _section(
    text: str, section: _Section, base: int, fmt: str, size: int, overlap: int
) -> list[Chunk]:
    """Split a section that is too long for a chunk; its title stays with the first piece."""
    body = text[section.body : section.end]
    lead = len(body) - len(body.lstrip()) + section.body - section.start
    if not section.start < section.body or lead > size // 2:
        return _cut(text[section.start : section.end], base + section.start, fmt, size, overlap)
    room = size - lead
    chunks = _cut(body, base + section.body, fmt, room, min(overlap, room // 3))
    title = text[section.start : section.body]
    start = base + section.start + len(title) - len(title.lstrip())
    if not chunks:
        return _whole(title, base + section.start)
    if chunks[0].end - start > size:  # something without words parts them
        parted = _slices(text[start - base : chunks[0].end - base], start, size)
        # The next piece may begin in the last of these, before what is left over, or be that.
        apart = {(chunk.start, chunk.end): chunk for chunk in parted + chunks[1:]}
        return [apart[place] for place in sorted(apart)]
    first = Chunk(start, chunks[0].end, text[start - base : chunks[0].end - base])
    return [first, *chunks[1:]]


def _cut(text: str, base: int, fmt: str, size: int, overlap: int) -> list[Chunk]:
    """Split a text without titles."""
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
    chunks += _slices(text[position:], base + position, size)
    return [chunk for chunk in chunks if _WORDED.search(chunk.text)]


def _slices(text: str, base: int, size: int) -> list[Chunk]:
    cut = (text[i : i + size] for i in range(0, len(text), size))
    return [
        Chunk(base + i * size, base + i * size + len(t), t)
        for i, t in enumerate(cut)
        if _WORDED.search(t)
    ]


def split(
    texts: Sequence[str],
    formats: Sequence[str],
    *,
    size: int,
    overlap: int,
    max_tokens: int,
    count_tokens: Callable[[Sequence[str]], Sequence[int]],
    begins: Sequence[int] = (),
) -> tuple[list[list[Chunk]], list[list[int]]]:
    """Split documents.

    Args:
        formats: Their formats.
        size: Upper characters of a chunk.
        overlap: Characters repeated between neighbouring chunks of a section.
        max_tokens: Upper tokens of a chunk, special tokens included.
        count_tokens: Tokens of each of many texts, special tokens included, not truncated.
        begins: Where each text begins, what is before being front matter; 0 when not given.

    Returns:
        Per document its chunks in order, and their token counts. A chunk has a letter or a digit;
        all of a text that has any is in a chunk.
    """
    documents = [
        cut(text[begin:], begin, fmt, size=size, overlap=overlap)
        for text, fmt, begin in zip(texts, formats, begins or [0] * len(texts), strict=True)
    ]
    return refine(
        documents,
        formats,
        size=size,
        overlap=overlap,
        max_tokens=max_tokens,
        count_tokens=count_tokens,
    )


def warm() -> None:
    """Import the splitters, for a process that cannot do it later."""
    _splitter("md", 1000, 100)


def cut(text: str, base: int, fmt: str, *, size: int, overlap: int) -> list[Chunk]:
    """Split one text by characters alone, as `split` does first.

    Args:
        text: From its beginning in the document on.
        base: That beginning, a character offset.
        fmt: The document's format.
        size: Upper characters of a chunk.
        overlap: Characters repeated between neighbouring chunks of a section.

    Returns:
        Chunks in order; whether an encoder reads them whole is for `refine` to see.
    """
    return _pieces(text, base, fmt, size, overlap)


def refine(
    documents: list[list[Chunk]],
    formats: Sequence[str],
    *,
    size: int,
    overlap: int,
    max_tokens: int,
    count_tokens: Callable[[Sequence[str]], Sequence[int]],
) -> tuple[list[list[Chunk]], list[list[int]]]:
    """Split chunks of more tokens than the encoder takes until every character is seen.

    Args:
        documents: Chunks of each document by characters, as of `cut`; changed in place.
        formats: Their formats.
        size: Upper characters of a chunk.
        overlap: Characters repeated between neighbouring chunks of a section.
        max_tokens: Upper tokens of a chunk, special tokens included.
        count_tokens: Tokens of each of many texts, special tokens included, not truncated.

    Returns:
        As `split`.
    """
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
