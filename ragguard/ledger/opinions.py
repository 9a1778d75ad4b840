"""Read the opinions of reviewers on cases that need the word of more than one.

Each is a signed decision that took no effect yet: the vault keeps it, an entry of the log
(`opinion`) names it, and no table does. Who speaks again on a case takes the earlier word back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ragguard.ledger.cases import open_numbers
from ragguard.ledger.tables import decisions, log_entries
from ragguard.trust.person import person
from ragguard.trust.quorum import OPINION, Action, Opinion, by_case


def acts(conn: sa.Connection, act: str) -> list[dict[str, Any]]:
    """List entries of the log of one act, oldest first."""
    return [body for _, body in _acts(conn, act)]


def _acts(conn: sa.Connection, act: str) -> list[tuple[int, dict[str, Any]]]:
    query = (
        sa.select(log_entries.c.index, log_entries.c.body)
        .where(log_entries.c.body.like(f'%"act":"{act}"%'))
        .order_by(log_entries.c.index)
    )
    logged = ((index, json.loads(text)) for index, text in conn.execute(query))
    return [(n, body) for n, body in logged if isinstance(body, dict) and body.get("act") == act]


def heard(conn: sa.Connection) -> dict[int, list[tuple[int, Opinion]]]:
    """List all opinions on each case, see `by_case`."""
    return by_case(_acts(conn, OPINION))


def given(conn: sa.Connection) -> dict[int, list[Opinion]]:
    """List opinions by case, the last word of each reviewer, oldest first."""
    latest: dict[int, dict[str, Opinion]] = {}
    for case, words in heard(conn).items():
        mine = latest.setdefault(case, {})
        for _, opinion in words:
            mine.pop(person(opinion.reviewer), None)
            mine[person(opinion.reviewer)] = opinion
    return {case: list(words.values()) for case, words in latest.items()}


def disagree(words: Sequence[Opinion]) -> bool:
    """Tell whether two of the opinions are not the same."""
    return len({opinion.action for opinion in words}) > 1


def told(words: Sequence[Opinion], *, closed: bool) -> list[dict[str, Any]]:
    """List opinions as JSON objects, their content left out while it could sway who comes next.

    Who has spoken is told at once. What he said is told when two disagree or the case is closed:
    an opinion that knows the one before is none.
    """
    open_book = closed or disagree(words)
    return [
        {
            "reviewer": opinion.reviewer,
            "at": opinion.at,
            "action": opinion.action if open_book else None,
            "reason": opinion.reason if open_book else None,
        }
        for opinion in words
    ]


def every_word(conn: sa.Connection) -> dict[int, dict[str, tuple[str, Action]]]:
    """Return the last word of each reviewer on each case, opinions and decisions together.

    Without what `told` does not tell: opinions on an open case while all agree. Figures that grow
    by one tell the next reviewer what the last one said.

    Returns:
        Case to person to the reviewer's name and what he said.
    """
    last_words: dict[int, dict[str, tuple[str, Action]]] = {}
    waiting = open_numbers(conn)
    for case, words in given(conn).items():
        if case not in waiting or disagree(words):
            last_words[case] = {
                person(opinion.reviewer): (opinion.reviewer, opinion.action) for opinion in words
            }
    query = sa.select(decisions.c.case, decisions.c.reviewer, decisions.c.action)
    for case, reviewer, action in conn.execute(query.order_by(decisions.c.id)):
        last_words.setdefault(case, {})[person(reviewer)] = (reviewer, action)
    return last_words
