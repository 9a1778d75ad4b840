"""Look points of the serving collection up: whose they are, and whether they may be served now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragguard.ledger.tables import (
    commits,
    denials,
    log_entries,
    membership,
    points,
    seals,
    versions,
)
from ragguard.ledger.versions import BATCH, ZoneStay, stay_of
from ragguard.model import Labelled


@dataclass(frozen=True)
class ServingPoint(Labelled):
    """A point of a document that serves now.

    Attributes:
        seal: Its current seal in the collection.
        version: Number of the document's version.
        since: Commit that the version's stay in the serving zone began with.
        log_index: Entry of that commit in the log.
        commit: Commit that made the version.
        denied: Whether a reviewer denied these bytes.
        newer_waits: Whether another version of the document waits for a reviewer.
    """

    point: str
    seal: str
    version: int
    source: str
    document: str
    digest: str
    manifest: str
    commit: int
    since: int
    log_index: int
    denied: bool
    newer_waits: bool


def _open(stay: sa.FromClause) -> sa.ColumnElement[bool]:
    """Tell whether a stay goes on, said so that no index on its end is used.

    Nearly every stay goes on: a planner that begins there reads the whole table for ten points.
    """
    return sa.func.coalesce(stay.c.until, 0) == 0


def _query() -> sa.Select[Any]:
    other, stay = versions.alias(), membership.alias()
    denied = sa.select(denials.c.id).where(denials.c.digest == versions.c.digest).exists()
    waits = (
        sa.select(stay.c.id)
        .join(other, other.c.id == stay.c.version)
        .where(
            other.c.source == versions.c.source,
            other.c.document == versions.c.document,
            stay.c.zone == "quarantine",
            _open(stay),
        )
        .exists()
    )
    return (
        sa.select(
            points.c.point,
            seals.c.seal,
            versions.c.id,
            versions.c.source,
            versions.c.document,
            versions.c.digest,
            versions.c.manifest,
            versions.c.commit,
            membership.c.since,
            commits.c.log_index,
            denied,
            waits,
        )
        .join(seals, sa.and_(seals.c.point == points.c.point))
        .join(versions, versions.c.id == points.c.version)
        .join(membership, membership.c.version == versions.c.id)
        .join(commits, commits.c.id == membership.c.since)
        .where(
            points.c.point.in_(sa.bindparam("ids", expanding=True)),
            seals.c.collection == sa.bindparam("collection"),
            membership.c.zone == "serving",
            _open(membership),
            commits.c.state == "confirmed",
        )
    )


_SERVING = _query()


def serving_points(
    conn: sa.Connection, collection: str, ids: Sequence[str]
) -> dict[str, ServingPoint]:
    """Look up points of documents that serve now, by id; others are left out."""
    by_id: dict[str, ServingPoint] = {}
    for start in range(0, len(ids), BATCH):
        values = {"collection": collection, "ids": list(ids[start : start + BATCH])}
        for row in conn.execute(_SERVING, values):
            by_id[row[0]] = ServingPoint(*row)
    return by_id


def stays_of(conn: sa.Connection, numbers: Sequence[int]) -> dict[int, ZoneStay]:
    """List versions that serve now, each with its stay, by number."""
    stays: dict[int, ZoneStay] = {}
    for start in range(0, len(numbers), BATCH):
        for row in conn.execute(_STAYS, {"numbers": list(numbers[start : start + BATCH])}):
            stays[row.id] = stay_of(row)
    return stays


_STAYS = (
    sa.select(versions, membership.c.since)
    .join(membership, membership.c.version == versions.c.id)
    .where(
        versions.c.id.in_(sa.bindparam("numbers", expanding=True)),
        membership.c.zone == "serving",
        _open(membership),
    )
)


def zone_of_point(conn: sa.Connection, point: str) -> str | None:
    """Return the zone that a point's document is in now, as the ledger has it.

    Returns:
        `serving`, `quarantine`, an empty text for one that is in none any more, `None` for a point
        that no confirmed commit made.
    """
    query = (
        sa.select(membership.c.zone, membership.c.until)
        .select_from(points)
        .join(versions, versions.c.id == points.c.version)
        .join(commits, commits.c.id == versions.c.commit)
        .outerjoin(membership, membership.c.version == versions.c.id)
        .where(points.c.point == point, commits.c.state == "confirmed")
    )
    rows = list(conn.execute(query))
    if not rows:
        return None
    now = {zone for zone, until in rows if zone is not None and until is None}
    return "serving" if "serving" in now else "quarantine" if now else ""


def log_size(conn: sa.Connection) -> int:
    """Count entries in the log: it grows with whatever changes corpus or trust."""
    return int(conn.execute(_NEWEST).scalar() or 0)


_NEWEST = sa.select(sa.func.coalesce(sa.func.max(log_entries.c.index) + 1, 0))
