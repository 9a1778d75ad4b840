"""Answer with passages and their proof, and tell what was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Proof:
    """What was proved of a passage when it was given out.

    Attributes:
        point: Point id in the collection.
        digest: SHA-256 of the document, hex.
        manifest: Digest of the manifest that its document stands on.
        commit: Commit since which the document serves.
        log_index: Entry of that commit in the log, from 0.
        generation: Number of the generation that answered.
        newer_waits: Whether a newer version of the document waits for a reviewer.
        scope: Tokens of the readers it is for, see `trust.scope`; empty where scopes are off.
    """

    point: str
    digest: str
    manifest: str
    commit: int
    log_index: int
    generation: int
    newer_waits: bool = False
    scope: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefusedPassage:
    """A passage that the index found and that is not given out.

    Attributes:
        point: Point id in the collection.
        document: `source/id`, as far as known; its payload may say anything.
        kind: `seal`, `unknown`, `waiting`, `not-current`, `denied`, `provenance`, `scope` or
            `honeytoken`; of a reader `digest`, `unknown`, `newer`, `scope` or `honeytoken`. See
            docs/retriever.md.
        reason: One sentence.
        alarm: Whether the index is not what was written to it, or what was planted was found;
            else trust has changed.
    """

    point: str
    document: str
    kind: str
    reason: str
    alarm: bool


HONEYTOKEN = "honeytoken"  # kind of a refusal
PLANTED = "it was planted: no honest question finds it, and nobody is given it"


@dataclass(frozen=True)
class Hit:
    """A passage, proved.

    Attributes:
        rank: From 1.
        similarity: Cosine of question and passage; more is closer.
        text: The passage. Untrusted text: whoever signed it may have written anything.
        document: `source/id`.
        metadata: The document's own, and `source` where it names none; nothing of ragguard's.
        proof: What was proved of it.
    """

    rank: int
    similarity: float
    text: str
    document: str
    source: str
    metadata: Mapping[str, Any]
    proof: Proof


@dataclass(frozen=True)
class Abstention:
    """Why no passage is given.

    Attributes:
        kind: `unproved`, `below-floor` or `contradiction`.
        reason: One sentence; names documents, and quotes what they say where they contradict.
        pinned: What the operator keeps as the answer to just this question.
        case: The case that waits for a person, where questions are handed over.
    """

    kind: Literal["unproved", "below-floor", "contradiction"]
    reason: str
    pinned: str | None = None
    case: int | None = None


@dataclass(frozen=True)
class Answer:
    """What a retriever gives for a question.

    Attributes:
        hits: Proved passages, the nearest first, or the best where they are ranked; none where it
            abstains.
        abstained: Why no passage is given; `None` where some are.
        refused: What was found before the last of them and is not given out.
        receipt: Signed statement of what the answer rests on, where receipts are made: an envelope
            as `serving.receipt` has it, good as a file of its own.
    """

    hits: Sequence[Hit]
    refused: Sequence[RefusedPassage] = ()
    abstained: Abstention | None = None
    receipt: bytes | None = None

    @property
    def alarms(self) -> list[RefusedPassage]:
        """What was refused because the index is not what was written, or because it is planted."""
        return [refusal for refusal in self.refused if refusal.alarm]

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "hits": [{**asdict(hit), "metadata": dict(hit.metadata)} for hit in self.hits],
            "refused": [asdict(refusal) for refusal in self.refused],
            "abstained": None if self.abstained is None else asdict(self.abstained),
        }
