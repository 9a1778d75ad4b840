"""A reviewer's signed word on a case: an in-toto statement in a DSSE envelope.

The subject is the document's digest (for a removal case, the manifest that asks for it), so that
the decision is about these bytes and no others. A release says which findings it covers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from nacl.signing import SigningKey

from ragguard.errors import DecisionError, ExpiredError, MalformedError, PredicateError
from ragguard.model import PublicKey, Root
from ragguard.trust import dsse, strict_json
from ragguard.trust import root as roots
from ragguard.trust.canonical import canonical, format_time, parse_time
from ragguard.trust.manifest import STATEMENT_TYPE
from ragguard.trust.person import person, persons

PREDICATE_TYPE = "urn:ragguard:decision:v1"
MAX_DECISION_BYTES = 200_000
MAX_REASON = 2_000


@dataclass(frozen=True)
class Decision:
    """What a reviewer decided.

    Attributes:
        case: Case number.
        action: `release` or `reject`.
        subject: Document `source/id`, or the source for a removal.
        digest: Digest of the document, or of the manifest for a removal.
        metadata_digest: Digest of the document's metadata.
        covers: Checks whose findings a release covers.
        reason: In the reviewer's words.
        at: When.
    """

    case: int
    action: Literal["release", "reject"]
    subject: str
    digest: str
    metadata_digest: str
    covers: tuple[str, ...]
    reason: str
    at: datetime


def dump(decision: Decision) -> bytes:
    """Payload bytes of a decision: canonical JSON of the statement."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": decision.subject, "digest": {"sha256": decision.digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "case": decision.case,
            "action": decision.action,
            "metadata": {"sha256": decision.metadata_digest},
            "covers": sorted(decision.covers),
            "reason": decision.reason,
            "at": format_time(decision.at),
        },
    }
    return canonical(statement)


def sign(decision: Decision, key: SigningKey, keyid: str) -> bytes:
    """Envelope of a decision."""
    return dsse.sign(dump(decision), dsse.IN_TOTO, [(keyid, key)])


def parse(payload: bytes) -> Decision:
    """Read a verified decision payload.

    Raises:
        PredicateError: Not a decision, or not one as `dump` writes it.
    """
    try:
        body = strict_json.parse(
            payload, what="decision", max_bytes=MAX_DECISION_BYTES, max_depth=8
        )
        predicate: dict[str, Any] = body["predicate"]
        (subject,) = body["subject"]
        if predicate["action"] not in ("release", "reject"):
            raise ValueError("another action")
        made = Decision(
            case=int(predicate["case"]),
            action=predicate["action"],
            subject=str(subject["name"]),
            digest=str(subject["digest"]["sha256"]),
            metadata_digest=str(predicate["metadata"]["sha256"]),
            covers=tuple(str(c) for c in predicate["covers"]),
            reason=str(predicate["reason"]),
            at=parse_time(predicate["at"]),
        )
        if dump(made) != canonical(body):
            raise ValueError("another type, or a field that is not as documented")
        return made
    except (KeyError, TypeError, ValueError, MalformedError) as error:
        raise PredicateError(f"decision: malformed ({error})") from None


def check_time(root: Root, now: datetime) -> None:
    """Refuse to decide under a trust root whose time is over.

    Raises:
        ExpiredError: It is.
    """
    if root.expires <= now:
        raise ExpiredError(
            f"trust root: version {root.version} expired {format_time(root.expires)}, nobody is a "
            "reviewer by it",
            hint="Renew it with `ragguard trust rotate --renew` and the root key.",
        )


def authenticate(
    data: bytes, root: Root, signers: Iterable[str], now: datetime
) -> tuple[Decision, PublicKey]:
    """Verify a decision: by a reviewer in force who did not sign the document.

    Args:
        data: Envelope JSON.
        root: The trust root in force.
        signers: Key ids that signed the manifest.
        now: The run's time.

    Returns:
        The decision and the reviewer's key.

    Raises:
        DecisionError: No reviewer's key signed, or the reviewer signed the document.
    """
    envelope = dsse.parse_envelope(data, max_bytes=MAX_DECISION_BYTES)
    reviewers = roots.active(root.reviewers, root, now)
    result = dsse.verify(envelope, reviewers, payload_type=dsse.IN_TOTO, threshold=1)
    if not result:
        raise DecisionError(
            "decision: not signed by a reviewer in force",
            hint="Make the key a reviewer with `ragguard trust add KEY.pub --role reviewer`.",
        )
    own = persons(roots.principals_of(root, signers))
    independent = [key for key in result.signed if person(key.principal) not in own]
    if not independent:
        raise DecisionError(
            f"decision: {result.signed[0].principal!r} signed the document and cannot judge it",
            hint="Another reviewer has to decide.",
        )
    return parse(envelope.payload), independent[0]
