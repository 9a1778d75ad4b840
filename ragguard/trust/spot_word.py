"""A reviewer's signed word on a document of a spot check: an in-toto statement in a DSSE envelope.

It says `good` or `bad` about these bytes under this metadata, and covers nothing: who said it was
not told what the checks say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from nacl.signing import SigningKey

from ragguard.errors import DecisionError, MalformedError, PredicateError
from ragguard.model import PublicKey, Root
from ragguard.trust import dsse, strict_json
from ragguard.trust import root as roots
from ragguard.trust.canonical import canonical, format_time, parse_time
from ragguard.trust.decision import MAX_DECISION_BYTES
from ragguard.trust.manifest import STATEMENT_TYPE
from ragguard.trust.person import person, persons

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


def dump(said: SpotWord) -> bytes:
    """Payload bytes: canonical JSON of the statement."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": said.subject, "digest": {"sha256": said.digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "item": said.item,
            "word": said.word,
            "metadata": {"sha256": said.metadata_digest},
            "reason": said.reason,
            "at": format_time(said.at),
        },
    }
    return canonical(statement)


def sign(said: SpotWord, key: SigningKey, keyid: str) -> bytes:
    """Envelope of a word."""
    return dsse.sign(dump(said), dsse.IN_TOTO, [(keyid, key)])


def parse(payload: bytes) -> SpotWord:
    """Read a verified payload.

    Raises:
        PredicateError: Not a word of a spot check, or not one as `dump` writes it.
    """
    try:
        body = strict_json.parse(
            payload, what="spot check", max_bytes=MAX_DECISION_BYTES, max_depth=8
        )
        predicate: dict[str, Any] = body["predicate"]
        (subject,) = body["subject"]
        if predicate["word"] not in ("good", "bad"):
            raise ValueError("another word")
        made = SpotWord(
            item=str(predicate["item"]),
            word=predicate["word"],
            subject=str(subject["name"]),
            digest=str(subject["digest"]["sha256"]),
            metadata_digest=str(predicate["metadata"]["sha256"]),
            reason=str(predicate["reason"]),
            at=parse_time(predicate["at"]),
        )
        if dump(made) != canonical(body):
            raise ValueError("another type, or a field that is not as documented")
        return made
    except (KeyError, TypeError, ValueError, MalformedError) as error:
        raise PredicateError(f"spot check: malformed ({error})") from None


def authenticate(
    data: bytes, root: Root, signers: Iterable[str], now: datetime
) -> tuple[SpotWord, PublicKey]:
    """Verify a word: by a reviewer in force who did not sign the document.

    Args:
        data: Envelope JSON.
        root: The trust root in force.
        signers: Key ids that signed the manifest.
        now: The run's time.

    Raises:
        DecisionError: No reviewer's key signed, or the reviewer signed the document.
    """
    envelope = dsse.parse_envelope(data, max_bytes=MAX_DECISION_BYTES)
    reviewers = roots.active(root.reviewers, root, now)
    result = dsse.verify(envelope, reviewers, payload_type=dsse.IN_TOTO, threshold=1)
    if not result:
        raise DecisionError(
            "spot check: not signed by a reviewer in force",
            hint="Make the key a reviewer with `ragguard trust add KEY.pub --role reviewer`.",
        )
    own = persons(roots.principals_of(root, signers))
    independent = [key for key in result.signed if person(key.principal) not in own]
    if not independent:
        raise DecisionError(
            f"spot check: {result.signed[0].principal!r} signed the document and cannot judge it",
            hint="Another reviewer has to look at it.",
        )
    return parse(envelope.payload), independent[0]
