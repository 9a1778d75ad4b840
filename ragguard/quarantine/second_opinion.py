"""Decide a case when as many reviewers agree as its source's contract asks.

A word that does not decide yet is an *opinion*: verified as a decision is, kept, logged, and
verified again when the one comes that decides (`trust.quorum`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ragguard.errors import DecisionError, VaultError
from ragguard.ledger import opinions
from ragguard.model import PublicKey
from ragguard.stats.agreement import Agreement, cohen
from ragguard.stats.intervals import as_body, wilson
from ragguard.trust import dsse
from ragguard.trust.canonical import format_time
from ragguard.trust.quorum import Opinion, Signed, Word
from ragguard.trust.review_statement import MAX_BYTES
from ragguard.workspace import Workspace

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True)
class DecisionResult:
    """Cases that a reviewer spoke on, and what became of them.

    Attributes:
        commit: Number of the commit; `None` where no case was decided.
        decided: Cases that are closed.
        waiting: Cases that need the word of another reviewer.
    """

    commit: int | None
    decided: tuple[int, ...]
    waiting: tuple[int, ...]


def spoken(workspace: Workspace, chosen: Iterable[int]) -> dict[int, list[Signed]]:
    """Read all opinions on cases that the vault has, oldest first."""
    with workspace.ledger.reading() as conn:
        every = opinions.heard(conn)
    words_by_case: dict[int, list[Signed]] = {}
    for case in chosen:
        words = words_by_case.setdefault(case, [])
        for _, opinion in every.get(case, ()):
            with suppress(VaultError):  # the audit names what the vault has lost
                words.append((opinion.envelope, workspace.vault.get(opinion.envelope)))
    return words_by_case


def check_new(case: int, envelope: bytes, reviewer: PublicKey, words: Iterable[Signed]) -> None:
    """Refuse a word that was given before: who took it back would have it back from anybody.

    Told by what was signed and by which key: an envelope has parts that nobody signed.

    Args:
        case: Its number.
        envelope: With the word; verified.
        reviewer: Whose word it is.
        words: All that were given before.

    Raises:
        DecisionError: It was.
    """
    said = dsse.parse_envelope(envelope, max_bytes=MAX_BYTES).payload
    for _, data in words:
        before = dsse.parse_envelope(data, max_bytes=MAX_BYTES)
        if before.payload == said and dsse.verify(
            before, {reviewer.keyid: reviewer}, payload_type=dsse.IN_TOTO, threshold=1
        ):
            raise DecisionError(
                f"decision: this very word on case {case} was given before",
                hint="Look at the case again and sign anew.",
            )


def keep(workspace: Workspace, words: Sequence[Word]) -> None:
    """Log opinions."""
    with workspace.ledger.writing() as conn:
        for word in words:
            opinion = Opinion(
                word.said.case,
                word.said.action,
                word.reviewer.principal,
                word.reviewer.keyid,
                word.said.reason,
                word.envelope,
                format_time(workspace.now),
            )
            workspace.log_act(opinion.as_entry(), conn)


# --- figures --------------------------------------------------------------------------------------


def reviewers_body(conn: sa.Connection) -> dict[str, Any]:
    """Render what reviewers said and how far they agree, as a JSON object.

    Returns:
        `reviewers`: released and rejected of each, with Wilson's interval of the share released;
        `pairs`: Cohen's kappa of each two who spoke on the same cases, with their number.
    """
    words = opinions.every_word(conn)
    rated: dict[str, dict[int, str]] = {}
    names: dict[str, str] = {}
    for case, by_reviewer in words.items():
        for who, (name, action) in by_reviewer.items():
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


def _rates(name: str, actions: dict[int, str]) -> dict[str, Any]:
    released = sum(action == "release" for action in actions.values())
    return {
        "reviewer": name,
        "released": released,
        "rejected": len(actions) - released,
        "release": as_body(released / len(actions), wilson(released, len(actions))),
        "reject": as_body(
            1 - released / len(actions), wilson(len(actions) - released, len(actions))
        ),
    }


def _agreement(agreement: Agreement) -> dict[str, Any]:
    return {
        "n": agreement.n,
        "agreed": agreement.agreed,
        "kappa": None if agreement.kappa is None else round(agreement.kappa, 4),
        "interval": None
        if agreement.interval is None
        else [round(x, 4) for x in agreement.interval],
    }
