"""Build and verify a reviewer's signed decision on a case (`review_statement`).

The subject is the document's digest (for a removal case, the manifest that asks for it), so that
the decision is about these bytes and no others. A release says which findings it covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ragguard.errors import ExpiredError
from ragguard.model import Root
from ragguard.trust.canonical import format_time, parse_time
from ragguard.trust.review_statement import ReviewStatement

PREDICATE_TYPE = "urn:ragguard:decision:v1"
MAX_REASON = 2_000


@dataclass(frozen=True)
class Decision:
    """What a reviewer decided.

    Attributes:
        action: `release` or `reject`.
        subject: Document `source/id`, or the source for a removal.
        digest: Digest of the document, or of the manifest for a removal.
        metadata_digest: Digest of the document's metadata.
        covers: Checks whose findings a release covers.
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


def _write(decision: Decision) -> tuple[str, str, Mapping[str, Any]]:
    predicate = {
        "case": decision.case,
        "action": decision.action,
        "metadata": {"sha256": decision.metadata_digest},
        "covers": sorted(decision.covers),
        "reason": decision.reason,
        "at": format_time(decision.at),
    }
    return decision.subject, decision.digest, predicate


def _read(subject: str, digest: str, predicate: Mapping[str, Any]) -> Decision:
    if predicate["action"] not in ("release", "reject"):
        raise ValueError("another action")
    return Decision(
        case=int(predicate["case"]),
        action=predicate["action"],
        subject=subject,
        digest=digest,
        metadata_digest=str(predicate["metadata"]["sha256"]),
        covers=tuple(str(c) for c in predicate["covers"]),
        reason=str(predicate["reason"]),
        at=parse_time(predicate["at"]),
    )


STATEMENT = ReviewStatement(
    "decision", PREDICATE_TYPE, _write, _read, "Another reviewer has to decide."
)
dump = STATEMENT.dump
sign = STATEMENT.sign
parse = STATEMENT.parse
unverified = STATEMENT.unverified
authenticate = STATEMENT.authenticate


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
