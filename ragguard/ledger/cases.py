"""Read and write cases: what waits for a person, and what a person decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragguard.ledger.tables import cases, commits, decisions
from ragguard.model import Labelled


@dataclass(frozen=True)
class CaseRow(Labelled):
    """A case.

    Attributes:
        kind: `document`, `removal` (a source asks to drop more than its share at once), or
            `question` (nothing answered it).
        document: Document id; empty for a removal or a question.
        version: The quarantined version; `None` for a removal or a question.
        detail: For a removal: the versions that would go, and the manifest that asks. For a
            question: its text and digest, and why it was not answered.
    """

    id: int
    kind: str
    state: str
    source: str
    document: str
    version: int | None
    detail: Mapping[str, Any]
    opened: int
    closed: int | None
    opened_at: str


@dataclass(frozen=True)
class NewCase:
    """A case to be opened; see `CaseRow`."""

    id: int
    kind: str
    source: str
    document: str
    version: int | None
    detail: Mapping[str, Any]
    opened: int


@dataclass(frozen=True)
class DecisionRow:
    """What a reviewer decided about a case.

    Attributes:
        action: `release` or `reject`.
        covers: What it covers, see docs/formats.md.
        envelope: Vault digest of the signed decision.
    """

    case: int
    action: str
    reviewer: str
    keyid: str
    reason: str
    covers: Sequence[str]
    envelope: str
    commit: int


def _query() -> sa.Select[Any]:
    return sa.select(cases, commits.c.at.label("opened_at")).join(
        commits, commits.c.id == cases.c.opened
    )


def _row(row: sa.Row[*tuple[Any, ...]]) -> CaseRow:
    return CaseRow(*(getattr(row, name) for name in CaseRow.__dataclass_fields__))


def listed(conn: sa.Connection, *, state: str | None = "open") -> list[CaseRow]:
    """List cases in a state (`None`: all), oldest first."""
    query = _query().order_by(cases.c.id)
    if state is not None:
        query = query.where(cases.c.state == state)
    return [_row(r) for r in conn.execute(query)]


def open_numbers(conn: sa.Connection) -> set[int]:
    """List numbers of open cases."""
    return set(conn.execute(sa.select(cases.c.id).where(cases.c.state == "open")).scalars())


def get(conn: sa.Connection, number: int) -> CaseRow | None:
    """Return a case by number."""
    row = conn.execute(_query().where(cases.c.id == number)).first()
    return _row(row) if row else None


def open_for(conn: sa.Connection, source: str) -> dict[str, CaseRow]:
    """Open document cases of a source by document id."""
    query = _query().where(
        cases.c.source == source, cases.c.state == "open", cases.c.kind == "document"
    )
    return {r.document: _row(r) for r in conn.execute(query)}


def open_by_label(conn: sa.Connection) -> dict[str, CaseRow]:
    """Open document cases by `source/id`, a source after the other."""
    query = _query().where(cases.c.state == "open", cases.c.kind == "document")
    rows = map(_row, conn.execute(query.order_by(cases.c.source, cases.c.id)))
    return {row.label: row for row in rows}


def open_removals(conn: sa.Connection, source: str) -> list[CaseRow]:
    """Open removal cases of a source."""
    query = _query().where(
        cases.c.source == source, cases.c.state == "open", cases.c.kind == "removal"
    )
    return [_row(r) for r in conn.execute(query)]


def asks_removal(conn: sa.Connection, commit: int) -> bool:
    """Tell whether a commit asked a reviewer to remove documents instead of doing it."""
    query = sa.select(cases.c.id).where(cases.c.opened == commit, cases.c.kind == "removal")
    return conn.execute(query).first() is not None


def add(conn: sa.Connection, row: NewCase) -> None:
    """Open a case."""
    conn.execute(sa.insert(cases), dict(vars(row), state="open"))


def close(conn: sa.Connection, number: int, state: str, commit: int) -> None:
    """Close a case."""
    conn.execute(sa.update(cases).where(cases.c.id == number).values(state=state, closed=commit))


def add_decision(conn: sa.Connection, row: DecisionRow) -> None:
    """Record a decision."""
    conn.execute(sa.insert(decisions), vars(row))


def counts(conn: sa.Connection) -> dict[tuple[str, str], int]:
    """List cases by (source, state)."""
    query = sa.select(cases.c.source, cases.c.state, sa.func.count()).group_by(
        cases.c.source, cases.c.state
    )
    return {(source, state): count for source, state, count in conn.execute(query)}
