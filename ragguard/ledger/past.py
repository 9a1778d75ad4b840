"""The corpus at any commit, and all that the ledger holds about one document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ragguard.kernels import merkle
from ragguard.kernels.canonical import canonical
from ragguard.ledger.corpus import VersionRow
from ragguard.ledger.tables import cases, commits, decisions, membership, versions


def _version(row: Any) -> VersionRow:
    return VersionRow(*(getattr(row, name) for name in VersionRow.__dataclass_fields__))


def members_at(conn: sa.Connection, zone: str, commit: int) -> dict[str, VersionRow]:
    """Versions that were in a zone after a commit, by `source/document`."""
    query = (
        sa.select(versions)
        .join(membership, membership.c.version == versions.c.id)
        .where(
            membership.c.zone == zone,
            membership.c.since <= commit,
            sa.or_(membership.c.until.is_(None), membership.c.until > commit),
        )
    )
    rows = (_version(r) for r in conn.execute(query))
    return {f"{r.source}/{r.document}": r for r in rows}


def digest_of(members: Sequence[VersionRow]) -> str:
    """State of a corpus: Merkle root, hex, over its documents in (source, id) order."""
    rows = sorted((r.source, r.document, r.digest, r.metadata_digest) for r in members)
    return merkle.root([merkle.leaf_hash(canonical(list(r))) for r in rows]).hex()


def moves(conn: sa.Connection, commit: int) -> list[tuple[VersionRow, str, bool]]:
    """Versions that a commit put into a zone (true) or took out of it (false)."""
    query = (
        sa.select(versions, membership.c.zone, membership.c.since, membership.c.until)
        .join(membership, membership.c.version == versions.c.id)
        .where(sa.or_(membership.c.since == commit, membership.c.until == commit))
        .order_by(versions.c.source, versions.c.document, versions.c.id)
    )
    found = []
    for row in conn.execute(query):
        if row.since == commit:
            found.append((_version(row), row.zone, True))
        if row.until == commit:
            found.append((_version(row), row.zone, False))
    return found


def versions_named(conn: sa.Connection, source: str, document: str) -> list[VersionRow]:
    """Every confirmed version of a document, oldest first."""
    query = (
        sa.select(versions)
        .join(commits, commits.c.id == versions.c.commit)
        .where(
            versions.c.source == source,
            versions.c.document == document,
            commits.c.state == "confirmed",
        )
        .order_by(versions.c.id)
    )
    return [_version(r) for r in conn.execute(query)]


def stays_named(conn: sa.Connection, numbers: Sequence[int]) -> list[Any]:
    """Stays of versions in zones, in order: rows with version, zone, since and until."""
    query = (
        sa.select(membership)
        .where(membership.c.version.in_(list(numbers)))
        .order_by(membership.c.since, membership.c.id)
    )
    return list(conn.execute(query))


def decisions_on(conn: sa.Connection, source: str, document: str) -> list[Any]:
    """Decisions on the cases of a document, oldest first: rows with the case's version."""
    query = (
        sa.select(decisions, cases.c.version)
        .join(cases, cases.c.id == decisions.c.case)
        .where(cases.c.source == source, cases.c.document == document)
        .order_by(decisions.c.id)
    )
    return list(conn.execute(query))


def decided_by(conn: sa.Connection, commit: int) -> list[Any]:
    """Decisions that a commit carried out: rows with source and document of their cases."""
    query = (
        sa.select(decisions, cases.c.source, cases.c.document)
        .join(cases, cases.c.id == decisions.c.case)
        .where(decisions.c.commit == commit)
        .order_by(decisions.c.id)
    )
    return list(conn.execute(query))
