"""Second opinions: a case is decided when as many reviewers agree as its source's contract asks.

A word that does not decide yet is an *opinion*: verified as a decision is, kept, logged, and
verified again when the one comes that decides. Only words of reviewers in force then count, each
person once, his last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ragguard.errors import IntegrityError, VaultError
from ragguard.ledger import opinions
from ragguard.ledger.opinions import Opinion
from ragguard.ledger.writer import append_entry
from ragguard.model import PublicKey, Root
from ragguard.stats.agreement import Agreement, cohen
from ragguard.stats.intervals import as_body, wilson
from ragguard.trust import decision as decisions
from ragguard.trust.canonical import format_time
from ragguard.trust.decision import Decision
from ragguard.trust.person import person
from ragguard.workspace import Workspace

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True)
class Word:
    """A verified word: what was signed, by whom, and the envelope's vault digest."""

    said: Decision
    reviewer: PublicKey
    envelope: str


@dataclass(frozen=True)
class Decided:
    """What became of cases that a reviewer gave his word on.

    Attributes:
        commit: Number of the commit; `None` where no case was decided.
        decided: Cases that are closed.
        waiting: Cases that need the word of another reviewer.
    """

    commit: int | None
    decided: tuple[int, ...]
    waiting: tuple[int, ...]


def needed(root: Root, source: str) -> int:
    """How many reviewers have to agree on a case of a source."""
    known = root.sources.get(source)
    return known.policy.reviewers if known is not None else 1


def earlier(
    workspace: Workspace, words: Sequence[Opinion], now: Word, signers: Sequence[str]
) -> list[Word]:
    """Opinions of others that still stand and say the same as a new word, oldest first.

    Args:
        workspace: Open.
        words: Opinions on the case.
        now: The new word.
        signers: Key ids that signed the document.
    """
    found = []
    for opinion in words:
        if person(opinion.reviewer) == person(now.reviewer.principal):
            continue
        try:
            data = workspace.vault.get(opinion.envelope)
            said, key = decisions.authenticate(data, workspace.root, signers, workspace.now)
        except (IntegrityError, VaultError):
            continue  # of a reviewer who is none any more, or it is gone
        if _what(said) == _what(now.said) and person(key.principal) == person(opinion.reviewer):
            found.append(Word(said, key, opinion.envelope))
    return found


def _what(said: Decision) -> tuple[Any, ...]:
    """All that a decision says but why and when."""
    return said.case, said.action, said.subject, said.digest, said.metadata_digest, said.covers


def keep(workspace: Workspace, words: Sequence[Word]) -> None:
    """Log opinions."""
    with workspace.ledger.writing() as conn:
        for word in words:
            made = Opinion(
                word.said.case,
                word.said.action,
                word.reviewer.principal,
                word.reviewer.keyid,
                word.said.reason,
                word.envelope,
                format_time(workspace.now),
            )
            append_entry(conn, made.as_entry(), workspace.origin, workspace.sign_note)


# --- figures --------------------------------------------------------------------------------------


def reviewers_body(conn: sa.Connection) -> dict[str, Any]:
    """What reviewers said and how far they agree, as a JSON object.

    Returns:
        `reviewers`: released and rejected of each, with Wilson's interval of the share released;
        `pairs`: Cohen's kappa of each two who spoke on the same cases, with their number.
    """
    words = opinions.every_word(conn)
    rated: dict[str, dict[int, str]] = {}
    names: dict[str, str] = {}
    for case, said in words.items():
        for who, (name, action) in said.items():
            rated.setdefault(who, {})[case] = action
            names[who] = name
    return {
        "reviewers": [_rates(names[who], rated[who]) for who in sorted(rated)],
        "pairs": [
            {"reviewers": [names[a], names[b]], **_agreement(cohen(both))}
            for a, b in combinations(sorted(rated), 2)
            if (both := [(rated[a][c], rated[b][c]) for c in sorted(rated[a].keys() & rated[b])])
        ],
    }


def _rates(name: str, said: dict[int, str]) -> dict[str, Any]:
    released = sum(action == "release" for action in said.values())
    return {
        "reviewer": name,
        "released": released,
        "rejected": len(said) - released,
        "release": as_body(released / len(said), wilson(released, len(said))),
        "reject": as_body(1 - released / len(said), wilson(len(said) - released, len(said))),
    }


def _agreement(found: Agreement) -> dict[str, Any]:
    return {
        "n": found.n,
        "agreed": found.agreed,
        "kappa": None if found.kappa is None else round(found.kappa, 4),
        "interval": None if found.interval is None else [round(x, 4) for x in found.interval],
    }
