"""Second opinions: a case is decided when as many reviewers agree as its source's contract asks.

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


def spoken(workspace: Workspace, chosen: Iterable[int]) -> dict[int, list[Signed]]:
    """All opinions on cases that the vault has, oldest first."""
    with workspace.ledger.reading() as conn:
        every = opinions.heard(conn)
    found: dict[int, list[Signed]] = {}
    for case in chosen:
        words = found.setdefault(case, [])
        for _, said in every.get(case, ()):
            with suppress(VaultError):  # the audit names what the vault has lost
                words.append((said.envelope, workspace.vault.get(said.envelope)))
    return found


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
            made = Opinion(
                word.said.case,
                word.said.action,
                word.reviewer.principal,
                word.reviewer.keyid,
                word.said.reason,
                word.envelope,
                format_time(workspace.now),
            )
            workspace.log_act(made.as_entry(), conn)


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
