"""Read whole tables in one pass: what the audit compares with index, log and vault.

Rows come as plain tuples and are never all in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragguard.ledger import opinions
from ragguard.ledger.commits import Generation
from ragguard.ledger.tables import (
    cases,
    commits,
    decisions,
    denials,
    generations,
    manifests,
    membership,
    points,
    roots,
    seals,
    vectors,
    versions,
)
from ragguard.ledger.versions import BATCH, PointRow, VersionRow, version_of
from ragguard.model import Labelled

PAGE = 10_000  # rows fetched at once
DIGEST = 64  # hex digits of a vault digest; a tag follows it in the table of vectors


def _stream(conn: sa.Connection, query: sa.Select[Any]) -> Iterator[sa.Row[*tuple[Any, ...]]]:
    result = conn.execution_options(yield_per=PAGE).execute(query)
    for part in result.partitions(PAGE):
        yield from part


def all_generations(conn: sa.Connection) -> list[Generation]:
    """List every generation there ever was, oldest first."""
    query = sa.select(generations).order_by(generations.c.id)
    return [Generation(r.id, r.serving, r.quarantine, r.recipe) for r in conn.execute(query)]


def count_seals(conn: sa.Connection, collection: str) -> int:
    """Count points that a collection should hold."""
    query = sa.select(sa.func.count()).where(seals.c.collection == collection)
    return int(conn.execute(query.select_from(seals)).scalar() or 0)


def current_seals(conn: sa.Connection, collection: str) -> Iterator[tuple[str, str]]:
    """Point id and seal of every point that a collection should hold, in no order."""
    yield from _stream(
        conn, sa.select(seals.c.point, seals.c.seal).where(seals.c.collection == collection)
    )


def unexplained_seals(conn: sa.Connection, collection: str, zone: str) -> list[str]:
    """List points with a seal for a collection that no document now in its zone has."""
    here = (
        sa.select(points.c.version)
        .join(membership, membership.c.version == points.c.version)
        .where(
            points.c.point == seals.c.point,
            membership.c.zone == zone,
            membership.c.until.is_(None),
        )
    )
    query = sa.select(seals.c.point).where(seals.c.collection == collection, ~here.exists())
    return [point for (point,) in conn.execute(query)]


def unsealed_points(conn: sa.Connection, collection: str, zone: str) -> list[str]:
    """List points of documents now in a zone that have no seal for its collection."""
    sealed = sa.select(seals.c.seal).where(
        seals.c.point == points.c.point, seals.c.collection == collection
    )
    query = (
        sa.select(points.c.point)
        .join(membership, membership.c.version == points.c.version)
        .where(membership.c.zone == zone, membership.c.until.is_(None), ~sealed.exists())
    )
    return [point for (point,) in conn.execute(query)]


@dataclass(frozen=True)
class PlaceRow(Labelled):
    """A chunk that a point is or was; `zone` is where its version is now, or `None`."""

    point: str
    ordinal: int
    start: int
    end: int
    text_digest: str
    zone: str | None
    version: int
    source: str
    document: str
    digest: str
    metadata: Mapping[str, Any]
    metadata_digest: str
    manifest: str
    recipe: str
    commit: int


def places(conn: sa.Connection, ids: Sequence[str]) -> dict[str, list[PlaceRow]]:
    """List chunks that points are or were.

    Returns:
        By point id, the newest version first.
    """
    by_point: dict[str, list[PlaceRow]] = {}
    for start in range(0, len(ids), BATCH):
        query = (
            sa.select(
                points.c.point,
                points.c.ordinal,
                points.c.start,
                points.c.end,
                points.c.text_digest,
                membership.c.zone,
                versions.c.id.label("version"),
                versions.c.source,
                versions.c.document,
                versions.c.digest,
                versions.c.metadata,
                versions.c.metadata_digest,
                versions.c.manifest,
                versions.c.recipe,
                versions.c.commit,
            )
            .join(versions, versions.c.id == points.c.version)
            .outerjoin(
                membership,
                sa.and_(membership.c.version == versions.c.id, membership.c.until.is_(None)),
            )
            .where(points.c.point.in_(ids[start : start + BATCH]))
            .order_by(versions.c.id.desc())
        )
        for row in conn.execute(query):
            place = PlaceRow(**row._mapping)
            by_point.setdefault(place.point, []).append(place)
    return by_point


def stays(conn: sa.Connection) -> Iterator[tuple[int, str, int, int | None]]:
    """Version, zone, first commit and end of every stay there ever was."""
    columns = (membership.c.version, membership.c.zone, membership.c.since, membership.c.until)
    yield from _stream(conn, sa.select(*columns))


def ended_stays(conn: sa.Connection) -> dict[str, list[tuple[int, int]]]:
    """List stays in the serving zone that ended, and those that took their place, by document.

    Returns:
        First commit and the commit that ended it, -1 for one that goes on, by `source/id`.
    """
    ended = sa.select(membership.c.until).where(
        membership.c.zone == "serving", membership.c.until.is_not(None)
    )
    query = (
        sa.select(
            versions.c.source,
            versions.c.document,
            membership.c.since,
            sa.func.coalesce(membership.c.until, -1),
        )
        .join(versions, versions.c.id == membership.c.version)
        .where(
            membership.c.zone == "serving",
            sa.or_(membership.c.until.is_not(None), membership.c.since.in_(ended)),
        )
    )
    by_document: dict[str, list[tuple[int, int]]] = {}
    for source, document, since, until in _stream(conn, query):
        by_document.setdefault(f"{source}/{document}", []).append((since, until))
    return by_document


def versions_of(conn: sa.Connection, commit: int) -> dict[int, VersionRow]:
    """List versions that a commit made, by number."""
    query = sa.select(versions).where(versions.c.commit == commit)
    return {r.id: version_of(r) for r in conn.execute(query)}


def points_made(conn: sa.Connection, commit: int) -> dict[tuple[int, int], PointRow]:
    """List points of a commit's versions, by version and ordinal."""
    query = (
        sa.select(points)
        .join(versions, versions.c.id == points.c.version)
        .where(versions.c.commit == commit)
    )
    return {(r.version, r.ordinal): PointRow(*r) for r in conn.execute(query)}


def small_tables(conn: sa.Connection) -> dict[str, list[dict[str, Any]]]:
    """List rows of manifests, cases, decisions and denials."""
    return {
        table.name: [
            dict(r._mapping) for r in conn.execute(sa.select(table).order_by(*table.primary_key))
        ]
        for table in (manifests, cases, decisions, denials)
    }


def all_roots(conn: sa.Connection) -> list[tuple[int, bytes, str]]:
    """Version, envelope and digest of every trust root seen."""
    query = sa.select(roots).order_by(roots.c.version)
    return [(r.version, bytes(r.envelope), r.digest) for r in conn.execute(query)]


def vault_names(conn: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield every digest that the vault must hold, with what it is; a digest may come again."""
    sealed = sa.select(versions.c.subject_digest).where(versions.c.outcome != "reject").distinct()
    queries = {
        "plan of a commit": sa.select(commits.c.plan),
        "manifest": sa.select(manifests.c.envelope),
        "document": sealed,
        "vectors": sa.select(sa.func.substr(vectors.c.pack, 1, DIGEST)).distinct(),
        "decision": sa.select(decisions.c.envelope),
        "denied document's sketch": sa.select(denials.c.sketches),
        "denied document's vectors": sa.select(denials.c.vectors),
        "denied document's text": sa.select(denials.c.texts),
    }
    for kind, query in queries.items():
        for (digest,) in _stream(conn, query):
            yield kind, digest
    for words in opinions.heard(conn).values():
        for _, opinion in words:
            yield "opinion", opinion.envelope


@dataclass(frozen=True)
class StandingRow(Labelled):
    """A document now in a zone, with what its provenance hangs on."""

    id: int
    source: str
    document: str
    digest: str
    metadata: Mapping[str, Any]
    metadata_digest: str
    subject: str
    subject_digest: str
    manifest: str
    outcome: str
    zone: str
    since: int


def standing(conn: sa.Connection) -> Iterator[StandingRow]:
    """Yield documents now in a zone, ordered by manifest."""
    *own, _, _ = StandingRow.__dataclass_fields__
    query = (
        sa.select(*(versions.c[name] for name in own), membership.c.zone, membership.c.since)
        .join(membership, membership.c.version == versions.c.id)
        .where(membership.c.until.is_(None))
        .order_by(versions.c.manifest, versions.c.id)
    )
    for row in _stream(conn, query):
        yield StandingRow(*row)
