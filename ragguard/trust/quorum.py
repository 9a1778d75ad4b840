"""Decide a case by as many persons as its source's contract asks for, who say the same.

The one rule of all who count: the desk that takes a word, `log verify`, the audit, and whoever
verifies an export or restores from it.

1. A word counts when a reviewer signed it by the trust root, and at the time, of the decision, and
   did not sign the document.
2. Each person counts once, however many keys or names that look alike, and by his last word alone.
3. Only words that say all that the deciding one says, but why and when, count with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ragguard.errors import DecisionError, IntegrityError
from ragguard.model import PublicKey, Root
from ragguard.trust import decision as decisions
from ragguard.trust.decision import Decision
from ragguard.trust.person import person

About = tuple[str, str, str, str]  # source, document id, digest, digest of the metadata
Action = Literal["release", "reject"]
OPINION = "opinion"  # what the log calls a word that decided nothing alone
Signed = tuple[str, bytes]  # digest of an envelope, and the envelope


@dataclass(frozen=True)
class Opinion:
    """One reviewer's word on a case.

    Attributes:
        envelope: Vault digest of the signed decision.
        at: When, as text.
    """

    case: int
    action: Action
    reviewer: str
    keyid: str
    reason: str
    envelope: str
    at: str

    def as_entry(self) -> dict[str, Any]:
        """As the log has it."""
        return {"act": OPINION, **vars(self)}


@dataclass(frozen=True)
class Word:
    """A verified word: what was signed, by whom, and the envelope's digest."""

    said: Decision
    reviewer: PublicKey
    envelope: str


@dataclass(frozen=True)
class Quorum:
    """The words that count for a decision; true where they are enough.

    Attributes:
        words: One a person, oldest first; the deciding one last.
        needed: How many the contract asks for.
        others: Why the other words do not count, a sentence each.
    """

    words: tuple[Word, ...]
    needed: int
    others: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return len(self.words) >= self.needed

    @property
    def lacking(self) -> str:
        """What is lacking, and why the words that do not count do not."""
        who = ", ".join(word.reviewer.principal for word in self.words)
        more = "".join(f"; {other}" for other in self.others)
        return (
            f"{len(self.words)} of the {self.needed} reviewers that its contract asks for said so "
            f"({who}){more}"
        )


def by_case(
    entries: Iterable[tuple[int, Mapping[str, Any]]],
) -> dict[int, list[tuple[int, Opinion]]]:
    """List all opinions on each case, oldest first, each with the index of its entry.

    Args:
        entries: Of a log, with their indices; those that are no opinions are passed over.
    """
    opinions: dict[int, list[tuple[int, Opinion]]] = {}
    for index, body in entries:
        if body.get("act") != OPINION:
            continue
        values = {name: body.get(name) for name in Opinion.__dataclass_fields__}
        case = values.pop("case")
        if type(case) is not int:
            continue
        if all(isinstance(value, str) for value in values.values()):
            opinions.setdefault(case, []).append((index, Opinion(case, **values)))  # type: ignore[arg-type]
    return opinions


def needed(root: Root, source: str) -> int:
    """Count how many reviewers have to agree on a case of a source."""
    known = root.sources.get(source)
    return known.policy.reviewers if known is not None else 1


def count(
    signed: Sequence[Signed], root: Root, source: str, signers: Sequence[str], at: datetime
) -> Quorum:
    """Count who decided.

    Args:
        signed: All words on one case, the oldest first, the deciding one last.
        root: The trust root in force then.
        signers: Key ids of all who signed the document.
        at: Time of the decision.

    Raises:
        DecisionError: The deciding word is no reviewer's in force, or of one who signed the
            document.
    """
    last: dict[str, Word] = {}
    others = []
    for number, (name, data) in enumerate(signed, start=1):
        try:
            decision, key = decisions.authenticate(data, root, signers, at)
        except IntegrityError as error:
            if number == len(signed):
                raise
            others.append(f"{name[:12]}…: {error.message}")
            continue
        who = person(key.principal)
        if (before := last.pop(who, None)) is not None:
            others.append(f"{before.envelope[:12]}…: {key.principal!r} spoke again")
        last[who] = Word(decision, key, name)
    *earlier, deciding = last.values()
    agreed = [word for word in earlier if _what(word.said) == _what(deciding.said)]
    others += [
        f"{word.envelope[:12]}…: {word.reviewer.principal!r} said something else"
        for word in earlier
        if word not in agreed
    ]
    return Quorum((*agreed, deciding), needed(root, source), tuple(others))


def decided(
    signed: Sequence[Signed],
    trusted: Iterable[Root],
    about: About,
    action: str,
    signers: Sequence[str],
    at: datetime | None = None,
) -> Quorum:
    """Verify that enough reviewers decided just this.

    Args:
        signed: As for `count`.
        trusted: The trust root in force then; where that is not known any more, all that may have
            been, of which one must do. The likeliest first.
        about: The document.
        action: `release` or `reject`.
        signers: Key ids of all who signed the document.
        at: Time of the decision; `None` where nothing tells but the words: the latest that they
            name.

    Raises:
        IntegrityError: Why it is not decided; by the likeliest root.
    """
    refused: IntegrityError | None = None
    time = at or max(decisions.unverified(data).at for _, data in signed)
    for root in trusted:
        try:
            quorum = count(signed, root, about[0], signers, time)
            decision = quorum.words[-1].said
            named = (decision.subject, decision.digest, decision.metadata_digest, decision.action)
            if named != (f"{about[0]}/{about[1]}", about[2], about[3], action):
                raise DecisionError("it is about something else")
            if not quorum:
                raise DecisionError(quorum.lacking)
            return quorum
        except IntegrityError as error:
            refused = refused or error
    raise refused or DecisionError("no trust root knows its reviewer")


def _what(decision: Decision) -> tuple[object, ...]:
    """List all that a decision says but why and when."""
    return (
        decision.case,
        decision.action,
        decision.subject,
        decision.digest,
        decision.metadata_digest,
        decision.covers,
    )
