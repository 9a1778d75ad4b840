"""Sign a receipt: the statement of what an answer rested on.

An in-toto statement in a DSSE envelope. Its subject is the question, by digest: neither question
nor passage stands in it. It names each passage by document, digest and entry in the log, and the
checkpoint under which they were proved. Signed by the log's key where the workspace is, elsewhere
by a key of the reader's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ragguard.errors import MalformedError, PredicateError
from ragguard.serving.answer import Hit
from ragguard.trust import dsse, strict_json
from ragguard.trust.canonical import canonical, digest_bytes, digest_text, format_time, parse_time
from ragguard.trust.keys import KeyPair
from ragguard.trust.manifest import STATEMENT_TYPE

PREDICATE_TYPE = "urn:ragguard:receipt:v1"
MAX_RECEIPT = 4_000_000
SUBJECT = "question"
_TEXTS = ("document", "digest", "manifest", "point", "text", "similarity")
_NUMBERS = ("rank", "commit", "log_index")
_FIELDS = ("log", "checkpoint", "at", "generation", "scope", "hits", "refused", "abstained")


@dataclass(frozen=True)
class Basis:
    """What an answer was proved under.

    Attributes:
        checkpoint: Its signed tree head.
        generation: Number of the generation that answered.
    """

    log: str
    checkpoint: str
    generation: int

    @property
    def size(self) -> int:
        """Entries of the log under the checkpoint, which was verified."""
        return int(self.checkpoint.split("\n", 2)[1])


@dataclass(frozen=True)
class Receipt:
    """A parsed receipt.

    Attributes:
        question: SHA-256 of the question's UTF-8 text, hex.
        at: When it was answered.
        basis: What it was proved under.
        scope: Whom it was answered for, values by key; `None` for everything.
        hits: `rank`, `document`, `digest`, `manifest`, `point`, `text` (SHA-256 of the passage),
            `similarity` (six decimals, as text), `commit` and `log_index` of each passage.
        refused: Passages that were refused before the last of them.
        abstained: Kind of the abstention where no passage was given; empty where some were.
    """

    question: str
    at: datetime
    basis: Basis
    scope: Mapping[str, Sequence[str]] | None
    hits: Sequence[Mapping[str, Any]]
    refused: int
    abstained: str


def question_digest(question: str) -> str:
    """Return the digest by which a receipt names a question."""
    return digest_text(question)


def hit_body(hit: Hit) -> dict[str, Any]:
    """Return a passage as a receipt has it."""
    return {
        "rank": hit.rank,
        "document": hit.document,
        "digest": hit.proof.digest,
        "manifest": hit.proof.manifest,
        "point": hit.proof.point,
        "text": digest_bytes(hit.text.encode()),
        "similarity": f"{hit.similarity:.6f}",
        "commit": hit.proof.commit,
        "log_index": hit.proof.log_index,
    }


def dump(receipt: Receipt) -> bytes:
    """Payload bytes of a receipt: canonical JSON of the statement."""
    scope = receipt.scope
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": SUBJECT, "digest": {"sha256": receipt.question}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "log": receipt.basis.log,
                "checkpoint": receipt.basis.checkpoint,
                "at": format_time(receipt.at),
                "generation": receipt.basis.generation,
                "scope": None if scope is None else {k: list(v) for k, v in scope.items()},
                "hits": [dict(hit) for hit in receipt.hits],
                "refused": receipt.refused,
                "abstained": receipt.abstained,
            },
        }
    )


def sign(receipt: Receipt, key: KeyPair) -> bytes:
    """Envelope of a receipt."""
    return dsse.sign(dump(receipt), dsse.IN_TOTO, [(key.public.keyid, key.signing_key)])


def parse(payload: bytes) -> Receipt:
    """Read a verified receipt payload.

    Raises:
        PredicateError: Not a receipt, or not one as `dump` writes it.
    """
    try:
        body = strict_json.parse(payload, what="receipt", max_bytes=MAX_RECEIPT, max_depth=8)
        predicate: dict[str, Any] = body["predicate"]
        (subject,) = body["subject"]
        if predicate.keys() != set(_FIELDS):
            raise ValueError("other fields than documented")
        for hit in predicate["hits"]:
            if hit.keys() != {*_TEXTS, *_NUMBERS}:
                raise ValueError("a passage with other fields than documented")
            if not all(isinstance(hit[k], str) for k in _TEXTS):
                raise ValueError("a passage whose names are no texts")
            if not all(type(hit[k]) is int and hit[k] >= 0 for k in _NUMBERS):
                raise ValueError("a passage whose places are no numbers")
        receipt = Receipt(
            question=str(subject["digest"]["sha256"]),
            at=parse_time(predicate["at"]),
            basis=Basis(
                str(predicate["log"]), str(predicate["checkpoint"]), int(predicate["generation"])
            ),
            scope=predicate["scope"],
            hits=tuple(predicate["hits"]),
            refused=int(predicate["refused"]),
            abstained=str(predicate["abstained"]),
        )
        if dump(receipt) != canonical(body):
            raise ValueError("another type, or a field that is not as documented")
        return receipt
    except (KeyError, TypeError, ValueError, AttributeError, MalformedError) as error:
        raise PredicateError(f"receipt: malformed ({error})") from None
