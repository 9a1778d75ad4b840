"""Build and verify a reviewer's signed word on a document of a spot check (`review_statement`).

It says `good` or `bad` about these bytes under this metadata, and covers nothing: who said it was
not told what the checks say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ragguard.trust.canonical import format_time, parse_time
from ragguard.trust.review_statement import ReviewStatement

PREDICATE_TYPE = "urn:ragguard:spot-check:v1"
Word = Literal["good", "bad"]


@dataclass(frozen=True)
class SpotWord:
    """What a reviewer said of a document of a spot check.

    Attributes:
        item: Its name in the draw, such as `2-7`.
        subject: Document, `source/id`.
    """

    item: str
    word: Word
    subject: str
    digest: str
    metadata_digest: str
    reason: str
    at: datetime


def _write(spot_word: SpotWord) -> tuple[str, str, Mapping[str, Any]]:
    predicate = {
        "item": spot_word.item,
        "word": spot_word.word,
        "metadata": {"sha256": spot_word.metadata_digest},
        "reason": spot_word.reason,
        "at": format_time(spot_word.at),
    }
    return spot_word.subject, spot_word.digest, predicate


def _read(subject: str, digest: str, predicate: Mapping[str, Any]) -> SpotWord:
    if predicate["word"] not in ("good", "bad"):
        raise ValueError("another word")
    return SpotWord(
        item=str(predicate["item"]),
        word=predicate["word"],
        subject=subject,
        digest=digest,
        metadata_digest=str(predicate["metadata"]["sha256"]),
        reason=str(predicate["reason"]),
        at=parse_time(predicate["at"]),
    )


STATEMENT = ReviewStatement(
    "spot check", PREDICATE_TYPE, _write, _read, "Another reviewer has to look at it."
)
dump = STATEMENT.dump
sign = STATEMENT.sign
parse = STATEMENT.parse
authenticate = STATEMENT.authenticate
