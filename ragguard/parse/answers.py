"""Check what a worker answers about a document before it is believed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ragguard.model import Chunk, Hidden
from ragguard.parse.document import ParsedDocument


@dataclass(frozen=True)
class Read:
    """A document as read: what `parse` found, and its chunks by characters."""

    parsed: ParsedDocument
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Unread:
    """Why a document could not be read."""

    reason: str


def checked(answer: bytes) -> Read | Unread:
    """Check an answer, of a worker that may have been taken over, and return it as values."""
    try:
        body: dict[str, Any] = json.loads(answer.decode("utf-8", "surrogatepass"))
        if "reason" in body:
            return Unread(str(body["reason"]))
        text, begin = body["text"], body["begin"]
        hidden = tuple(Hidden(_as(str, kind), _as(str, words)) for kind, words in body["hidden"])
        spans = [(_as(int, start), _as(int, end)) for start, end in body["spans"]]
        if not 0 <= _as(int, begin) <= len(_as(str, text)):
            raise ValueError("begin")
        chunks = tuple(Chunk(start, end, text[start:end]) for start, end in spans)
        if not all(begin <= c.start < c.end <= len(text) for c in chunks):
            raise ValueError("spans")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return Unread(f"the process that read it answered nonsense ({type(error).__name__})")
    return Read(ParsedDocument(text, hidden, begin), chunks)


def _as(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(kind.__name__)
    return value
