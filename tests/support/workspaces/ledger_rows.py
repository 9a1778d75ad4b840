"""Rows for tests of the ledger: commits and versions with only what a test names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from ragguard.ledger import commits, tables
from ragguard.ledger import versions as version_rows
from ragguard.ledger.cases import DecisionRow, NewCase
from ragguard.ledger.commits import ManifestRow
from ragguard.ledger.versions import PointRow, VersionRow

AT = "2026-03-01T12:00:00Z"


def version_row(number: int, document: str, commit: int, **changes: Any) -> VersionRow:
    """A version of a document of the wiki, admitted unless told."""
    row: dict[str, Any] = {
        "id": number,
        "source": "wiki",
        "document": document,
        "digest": f"{number:064x}",
        "metadata": {"department": "it"},
        "metadata_digest": "cd" * 32,
        "policy_digest": "ef" * 32,
        "recipe": "r1",
        "subject": document,
        "subject_digest": f"{number:064x}",
        "manifest": "ab" * 32,
        "outcome": "admit",
        "score": 0.25,
        "p_value": None,
        "findings": [],
        "hidden": [["css", "psst"]],
        "chunks": 1,
        "commit": commit,
    }
    return VersionRow(**row | changes)


def point_row(version: int, ordinal: int, point: str) -> PointRow:
    """A point of a version."""
    return PointRow(version, ordinal, point, 10 * ordinal, 10 * ordinal + 10, "12" * 32)


def case_row(number: int, document: str = "a.md", **changes: Any) -> NewCase:
    """A case about the first version of a document of the wiki."""
    return replace(NewCase(number, "document", "wiki", document, 1, {}, 1), **changes)


def manifest_row(version: int, source: str = "wiki", **changes: Any) -> ManifestRow:
    """A manifest that the first commit accepted."""
    signers = [["9a" * 32, "alice"]]
    row = ManifestRow(f"{version:032x}{source:0>32}", source, version, "78" * 32, signers, AT, 1)
    return replace(row, **changes)


def begin(
    conn: sa.Connection,
    number: int,
    versions: Sequence[VersionRow] = (),
    points: Sequence[PointRow] = (),
    **changes: Any,
) -> None:
    """A pending commit."""
    row = {
        "id": number,
        "kind": "ingest",
        "at": AT,
        "actor": "alice",
        "source": "wiki",
        "manifest": "ab" * 32,
        "plan": "34" * 32,
        "counts": {"admit": 1},
        **changes,
    }
    commits.record_pending(conn, row, versions, points)


def commit(
    conn: sa.Connection,
    number: int,
    versions: Sequence[VersionRow] = (),
    points: Sequence[PointRow] = (),
    enter: Sequence[tuple[int, str]] = (),
    leave: Sequence[tuple[int, str]] = (),
    **changes: Any,
) -> None:
    """A confirmed commit."""
    begin(conn, number, versions, points, **changes)
    version_rows.leave(conn, leave, number)
    version_rows.enter(conn, enter, number)
    commits.confirm(conn, number, version_rows.corpus_digest(conn), number)


def decision_on(conn: sa.Connection, case: int) -> DecisionRow | None:
    """The decision about a case, if there is one."""
    columns = [tables.decisions.c[name] for name in DecisionRow.__dataclass_fields__]
    row = conn.execute(sa.select(*columns).where(tables.decisions.c.case == case)).first()
    return DecisionRow(*row) if row else None
