"""Count totals of the ledger in the database: what is watched over time."""

from __future__ import annotations

import sqlalchemy as sa

from ragguard.ledger.tables import cases, commits, manifests, membership, versions


def documents(conn: sa.Connection) -> dict[tuple[str, str], int]:
    """List documents that are in a zone now, by (source, zone)."""
    query = (
        sa.select(versions.c.source, membership.c.zone, sa.func.count())
        .join(versions, versions.c.id == membership.c.version)
        .where(membership.c.until.is_(None))
        .group_by(versions.c.source, membership.c.zone)
    )
    return {(source, zone): count for source, zone, count in conn.execute(query)}


def verdicts(conn: sa.Connection) -> dict[tuple[str, str], int]:
    """List versions of documents that arrived, by (source, outcome)."""
    query = (
        sa.select(versions.c.source, versions.c.outcome, sa.func.count())
        .join(commits, commits.c.id == versions.c.commit)
        .where(commits.c.state == "confirmed")
        .group_by(versions.c.source, versions.c.outcome)
    )
    return {(source, outcome): count for source, outcome, count in conn.execute(query)}


def commits_by_kind(conn: sa.Connection) -> dict[str, tuple[int, str]]:
    """Count how many confirmed commits of each kind there are, and when the last was."""
    query = (
        sa.select(commits.c.kind, sa.func.count(), sa.func.max(commits.c.at))
        .where(commits.c.state == "confirmed")
        .group_by(commits.c.kind)
    )
    return {kind: (count, at) for kind, count, at in conn.execute(query)}


def oldest_open_case(conn: sa.Connection) -> str:
    """Tell when the open case was opened that waits longest; empty where none waits."""
    query = (
        sa.select(sa.func.min(commits.c.at))
        .join(cases, cases.c.opened == commits.c.id)
        .where(cases.c.state == "open")
    )
    return str(conn.execute(query).scalar() or "")


def expiries(conn: sa.Connection) -> dict[str, str]:
    """Tell when the last manifest of each source expires."""
    last = (
        sa.select(manifests.c.source, sa.func.max(manifests.c.version).label("version"))
        .group_by(manifests.c.source)
        .subquery()
    )
    query = sa.select(manifests.c.source, manifests.c.expires).join(
        last, (last.c.source == manifests.c.source) & (last.c.version == manifests.c.version)
    )
    return {source: expires for source, expires in conn.execute(query)}
