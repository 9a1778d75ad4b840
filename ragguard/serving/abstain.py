"""Abstain: give no passage where none is near enough, and say so.

A retriever gives nothing where nothing that was found is proved, where the nearest proved passage
is further from the question than passages that answer questions are, and where passages of two
sources contradict each other. It says which. What the operator has pinned for just this question
stands in the answer then; an unproved passage never does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ragguard.errors import ConfigError, MalformedError
from ragguard.serving.answer import Abstention, Hit
from ragguard.serving.contradiction import contradiction
from ragguard.text.words import normalise, words
from ragguard.trust import strict_json

MAX_PINNED = 4_000_000  # bytes of the file
Kind = Literal["unproved", "below-floor", "contradiction"]


@dataclass(frozen=True)
class Rules:
    """When to abstain.

    Attributes:
        floor: Cosine of question and nearest proved passage below which nothing is given; 0: off.
        contradictions: Give nothing where passages of two sources tell one fact in two ways.
        pinned: Answers that the operator keeps, by question (see `key_of`).
    """

    floor: float = 0.0
    contradictions: bool = False
    pinned: Mapping[str, str] = field(default_factory=dict)

    def judge(self, hits: Sequence[Hit], question: str) -> Abstention | None:
        """Say whether to abstain, and why.

        Args:
            hits: Proved passages, the best first.
            question: Its text; empty where it is not known.
        """
        cause = self._why(hits)
        if cause is None:
            return None
        kind, reason = cause
        pinned = self.pinned.get(key_of(question)) if question else None
        return Abstention(kind, reason, pinned)

    def _why(self, hits: Sequence[Hit]) -> tuple[Kind, str] | None:
        if not hits:
            return "unproved", "nothing that was found is proved"
        nearest = max(hit.similarity for hit in hits)  # the first may stand there by its merit
        if self.floor and nearest < self.floor:
            near = f"the nearest passage has similarity {nearest:.2f}"
            return "below-floor", f"{near}, below the floor of {self.floor:.2f}"
        if self.contradictions:
            conflict = contradiction([h.text for h in hits], [h.source for h in hits])
            if conflict is not None:
                first, other = hits[conflict.first].document, hits[conflict.second].document
                wordings = (
                    f"{conflict.ours or '(nothing)'!r} and {conflict.theirs or '(nothing)'!r}"
                )
                return (
                    "contradiction",
                    f"{first} and {other} differ in a {conflict.kind}: {wordings}",
                )
        return None


def key_of(question: str) -> str:
    """Tell what questions are the same by: their words."""
    return " ".join(words(normalise(question)))


def read_pinned(path: Path) -> dict[str, str]:
    """Read what the operator has pinned: JSON lines of `question` and `answer`.

    Returns:
        Answer by the key of the question.

    Raises:
        ConfigError: Not such a file, or one question with two answers.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"[retriever] pinned {path}: {error.strerror}") from None
    answers: dict[str, str] = {}
    for number, row in enumerate(data[: MAX_PINNED + 1].splitlines(), 1):
        if len(data) > MAX_PINNED:
            raise ConfigError(f"[retriever] pinned {path}: more than {MAX_PINNED} bytes")
        if row.strip():
            key, answer = _pinned(row, f"{path}:{number}")
            if answers.setdefault(key, answer) != answer:
                raise ConfigError(f"{path}:{number}: its question stands twice, with two answers")
    return answers


def _pinned(row: bytes, where: str) -> tuple[str, str]:
    try:
        body: Any = strict_json.parse(row, what="pinned answer", max_bytes=MAX_PINNED, max_depth=2)
    except MalformedError as error:
        raise ConfigError(f"{where}: {error.message}") from None
    if not isinstance(body, dict) or body.keys() != {"question", "answer"}:
        raise ConfigError(f"{where}: expected an object of question and answer")
    question, answer = body["question"], body["answer"]
    if not isinstance(question, str) or not isinstance(answer, str) or not key_of(question):
        raise ConfigError(f"{where}: question and answer are texts, the question with a word in it")
    return key_of(question), answer
