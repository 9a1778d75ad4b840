"""Rows for tests of the ledger: commits and versions with only what a test names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ragguard.ledger import commits
from ragguard.ledger import versions as version_rows

AT = "2026-03-01T12:00:00Z"


def version_row(number: int, document: str, commit: int, **changes: Any) -> dict[str, Any]:
    """A version of a document of the wiki, admitted unless told."""
    return {
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
        **changes,
    }


def point_row(version: int, ordinal: int, point: str) -> dict[str, Any]:
    """A point of a version."""
    return {
        "version": version,
        "ordinal": ordinal,
        "point": point,
        "start": 10 * ordinal,
        "end": 10 * ordinal + 10,
        "text_digest": "12" * 32,
    }


def begin(
    conn: sa.Connection,
    number: int,
    versions: Sequence[Mapping[str, Any]] = (),
    points: Sequence[Mapping[str, Any]] = (),
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
    versions: Sequence[Mapping[str, Any]] = (),
    points: Sequence[Mapping[str, Any]] = (),
    enter: Sequence[tuple[int, str]] = (),
    leave: Sequence[tuple[int, str]] = (),
    **changes: Any,
) -> None:
    """A confirmed commit."""
    begin(conn, number, versions, points, **changes)
    version_rows.leave(conn, leave, number)
    version_rows.enter(conn, enter, number)
    commits.confirm(conn, number, version_rows.corpus_digest(conn), number)
