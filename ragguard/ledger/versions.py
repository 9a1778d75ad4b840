"""Look up versions of documents and the zones they are in, now and at any commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragguard.ledger.tables import (
    commits,
    membership,
    points,
    seals,
    vectors,
    versions,
)
from ragguard.model import Labelled
from ragguard.trust import kept, merkle
from ragguard.trust.canonical import canonical

TAG = 32  # hex digits of the tag of a vector's place
BATCH = 500  # bound parameters a statement, below every database's limit


@dataclass(frozen=True)
class VersionRow(Labelled):
    """One version of a document, with the verdict it got."""

    id: int
    source: str
    document: str
    digest: str
    metadata: Mapping[str, Any]
    metadata_digest: str
    policy_digest: str
    recipe: str
    subject: str
    subject_digest: str
    manifest: str
    outcome: str
    score: float
    p_value: float | None
    findings: Sequence[Mapping[str, Any]]
    hidden: Sequence[Sequence[str]]
    chunks: int
    commit: int


@dataclass(frozen=True)
class ZoneStay(VersionRow):
    """A version with the commit that its stay in a zone began with."""

    since: int


@dataclass(frozen=True)
class PointRow:
    """A point of a version: which of its chunks, and what text that is."""

    version: int
    ordinal: int
    point: str
    start: int
    end: int
    text_digest: str


def version_of(row: sa.Row[*tuple[Any, ...]] | VersionRow) -> VersionRow:
    """Return the version in a row that has all of its columns."""
    return VersionRow(*(getattr(row, name) for name in VersionRow.__dataclass_fields__))


def stay_of(row: sa.Row[*tuple[Any, ...]]) -> ZoneStay:
    """Return the stay in a row that has all columns of a version, and `since`."""
    return ZoneStay(*(getattr(row, name) for name in ZoneStay.__dataclass_fields__))


def members(conn: sa.Connection, zone: str, source: str | None = None) -> dict[str, VersionRow]:
    """List versions now in a zone, by `source/document`.

    Args:
        zone: `serving` or `quarantine`.
        source: Only this source, if given.
    """
    query = (
        sa.select(versions)
        .join(membership, membership.c.version == versions.c.id)
        .where(membership.c.zone == zone, membership.c.until.is_(None))
    )
    if source is not None:
        query = query.where(versions.c.source == source)
    rows = (version_of(r) for r in conn.execute(query))
    return {r.label: r for r in rows}


def zones(conn: sa.Connection) -> dict[int, str]:
    """Zone of each version that is in one now, ordered by number."""
    query = (
        sa.select(membership.c.version, membership.c.zone)
        .where(membership.c.until.is_(None), membership.c.zone.in_(("serving", "quarantine")))
        .order_by(membership.c.version)
    )
    return {number: zone for number, zone in conn.execute(query)}


def standing(conn: sa.Connection, source: str, document: str) -> list[tuple[str, VersionRow]]:
    """List versions of a document now in a zone, with the zone: the serving one first."""
    query = (
        sa.select(versions, membership.c.zone)
        .join(membership, membership.c.version == versions.c.id)
        .where(
            versions.c.source == source,
            versions.c.document == document,
            membership.c.until.is_(None),
            membership.c.zone.in_(("serving", "quarantine")),
        )
    )
    zoned = [(str(row.zone), version_of(row)) for row in conn.execute(query)]
    return sorted(zoned, key=lambda pair: (pair[0] != "serving", pair[1].id))


def stays_at(conn: sa.Connection, zone: str, commit: int | None = None) -> list[ZoneStay]:
    """Tell what is in a zone, or was once a commit was done, ordered by number.

    Args:
        zone: `serving` or `quarantine`.
        commit: Number of the commit; `None` for now.
    """
    query = (
        sa.select(versions, membership.c.since)
        .join(membership, membership.c.version == versions.c.id)
        .where(membership.c.zone == zone)
        .order_by(versions.c.id)
    )
    if commit is None:
        query = query.where(membership.c.until.is_(None))
    else:
        ends_later = sa.or_(membership.c.until.is_(None), membership.c.until > commit)
        query = query.where(membership.c.since <= commit, ends_later)
    return [stay_of(row) for row in conn.execute(query)]


def _counts() -> sa.ColumnElement[bool]:
    """Return the versions of confirmed commits, but for those that a candidate alone has."""
    stays = sa.select(membership.c.id).where(membership.c.version == versions.c.id)
    return sa.and_(
        commits.c.state == "confirmed", sa.or_(commits.c.kind != "stage", stays.exists())
    )


def latest(conn: sa.Connection, source: str) -> dict[str, VersionRow]:
    """Return the newest confirmed version of each document of a source, whatever its verdict."""
    newest = (
        sa.select(sa.func.max(versions.c.id).label("id"))
        .join(commits, commits.c.id == versions.c.commit)
        .where(versions.c.source == source, _counts())
        .group_by(versions.c.document)
        .subquery()
    )
    query = sa.select(versions).join(newest, newest.c.id == versions.c.id)
    return {r.document: version_of(r) for r in conn.execute(query)}


def newest(conn: sa.Connection, source: str, document: str) -> VersionRow | None:
    """Return the newest confirmed version of a document, whatever its verdict."""
    query = (
        sa.select(versions)
        .join(commits, commits.c.id == versions.c.commit)
        .where(versions.c.source == source, versions.c.document == document, _counts())
        .order_by(versions.c.id.desc())
        .limit(1)
    )
    row = conn.execute(query).first()
    return version_of(row) if row else None


def arrivals(conn: sa.Connection, since: str) -> dict[int, str]:
    """List commits that brought documents in after a time.

    Args:
        since: Time as text, as commits have it.

    Returns:
        Commit number to its time.
    """
    query = sa.select(commits.c.id, commits.c.at).where(
        commits.c.kind == "ingest", commits.c.state == "confirmed", commits.c.at > since
    )
    return {number: at for number, at in conn.execute(query)}


def version(conn: sa.Connection, number: int) -> VersionRow | None:
    """Return a version by its number."""
    row = conn.execute(sa.select(versions).where(versions.c.id == number)).first()
    return version_of(row) if row else None


def enter(conn: sa.Connection, rows: Iterable[tuple[int, str]], commit: int) -> None:
    """Put versions into zones from a commit on."""
    values = [{"version": v, "zone": zone, "since": commit} for v, zone in rows]
    if values:
        conn.execute(sa.insert(membership), values)


def leave(conn: sa.Connection, rows: Iterable[tuple[int, str]], commit: int) -> None:
    """Take versions out of zones as of a commit."""
    for number, zone in rows:
        conn.execute(
            sa.update(membership)
            .where(
                membership.c.version == number,
                membership.c.zone == zone,
                membership.c.until.is_(None),
            )
            .values(until=commit)
        )


def entered(conn: sa.Connection, number: int) -> list[int]:
    """List commits with which a version began a stay in the serving zone."""
    query = sa.select(membership.c.since).where(
        membership.c.version == number, membership.c.zone == "serving"
    )
    return [since for (since,) in conn.execute(query)]


def served_before(conn: sa.Connection, row: VersionRow) -> list[VersionRow]:
    """Earlier versions of a document that once served and do no more, newest first."""
    query = (
        sa.select(versions)
        .join(membership, membership.c.version == versions.c.id)
        .where(
            versions.c.source == row.source,
            versions.c.document == row.document,
            versions.c.id < row.id,
            membership.c.zone == "serving",
            membership.c.until.is_not(None),
        )
        .order_by(versions.c.id.desc())
    )
    stays = {r.id: version_of(r) for r in conn.execute(query)}  # one may have come and gone
    return list(stays.values())


def corpus_digest(conn: sa.Connection) -> str:
    """State of the corpus: Merkle root, hex, over serving documents in (source, id) order."""
    query = (
        sa.select(
            versions.c.source,
            versions.c.document,
            versions.c.digest,
            versions.c.metadata_digest,
        )
        .join(membership, membership.c.version == versions.c.id)
        .where(membership.c.zone == "serving", membership.c.until.is_(None))
    )
    rows = sorted(tuple(r) for r in conn.execute(query))
    return merkle.root([merkle.leaf_hash(canonical(list(r))) for r in rows]).hex()


def points_of(conn: sa.Connection, numbers: Sequence[int]) -> dict[int, list[PointRow]]:
    """List points of versions, in chunk order."""
    result: dict[int, list[PointRow]] = {n: [] for n in numbers}
    for start in range(0, len(numbers), BATCH):
        query = (
            sa.select(points)
            .where(points.c.version.in_(numbers[start : start + BATCH]))
            .order_by(points.c.version, points.c.ordinal)
        )
        for row in conn.execute(query):
            result[row.version].append(PointRow(*row))
    return result


def stays(conn: sa.Connection, row: VersionRow) -> list[int]:
    """List commits about a version and earlier ones of the same bytes from the same manifest.

    A document that was admitted, pulled back and released has three.
    """
    query = (
        sa.select(versions.c.id, versions.c.commit)
        .join(commits, commits.c.id == versions.c.commit)
        .where(
            versions.c.source == row.source,
            versions.c.document == row.document,
            versions.c.digest == row.digest,
            versions.c.metadata_digest == row.metadata_digest,
            versions.c.manifest == row.manifest,
            versions.c.id <= row.id,
            sa.or_(versions.c.outcome != "reject", versions.c.id == row.id),
            commits.c.state == "confirmed",
        )
    )
    rows = list(conn.execute(query))
    return sorted({c for _, c in rows} | {c for i, _ in rows for c in entered(conn, i)})


def version_of_point(conn: sa.Connection, point: str) -> VersionRow | None:
    """Return the newest confirmed version a point belongs to."""
    query = (
        sa.select(versions)
        .join(points, points.c.version == versions.c.id)
        .join(commits, commits.c.id == versions.c.commit)
        .where(points.c.point == point, _counts())
        .order_by(versions.c.id.desc())
        .limit(1)
    )
    row = conn.execute(query).first()
    return version_of(row) if row else None


def set_seals(conn: sa.Connection, collection: str, values: Mapping[str, str]) -> None:
    """Record the current seals of points in a collection."""
    drop_seals(conn, collection, list(values))
    rows = [{"point": p, "collection": collection, "seal": s} for p, s in values.items()]
    if rows:
        conn.execute(sa.insert(seals), rows)


def count_seals(conn: sa.Connection, collection: str) -> int:
    """Number of points that a collection has, as the ledger knows it."""
    query = sa.select(sa.func.count()).select_from(seals).where(seals.c.collection == collection)
    return int(conn.execute(query).scalar_one())


def drop_seals(conn: sa.Connection, collection: str, ids: Sequence[str]) -> None:
    """Forget the seals of points that left a collection."""
    for start in range(0, len(ids), BATCH):
        conn.execute(
            sa.delete(seals).where(
                seals.c.collection == collection,
                seals.c.point.in_(ids[start : start + BATCH]),
            )
        )


def seal_of(conn: sa.Connection, collection: str, point: str) -> str | None:
    """Return the current seal of a point."""
    query = sa.select(seals.c.seal).where(seals.c.collection == collection, seals.c.point == point)
    return conn.execute(query).scalar()


# --- vectors --------------------------------------------------------------------------------------


def known_vectors(
    conn: sa.Connection, recipe: str, digests: Sequence[str], seal_key: bytes
) -> dict[str, tuple[str, int]]:
    """Tell where the vault keeps vectors already computed: text digest to (pack, row).

    A row that this workspace did not write, or that an older version wrote, says nothing: its
    vectors are computed again.
    """
    places: dict[str, tuple[str, int]] = {}
    for start in range(0, len(digests), BATCH):
        query = sa.select(vectors.c.text_digest, vectors.c.pack, vectors.c.row).where(
            vectors.c.recipe == recipe,
            vectors.c.text_digest.in_(digests[start : start + BATCH]),
        )
        for digest, place, row in conn.execute(query):
            pack, _, tag = place.partition(".")
            if tag == _vector_tag(seal_key, recipe, digest, pack, row):
                places[digest] = (pack, row)
    return places


def add_vectors(
    conn: sa.Connection, recipe: str, pack: str, digests: Sequence[str], seal_key: bytes
) -> None:
    """Record that row i of a pack is the vector of text digest i, instead of what was recorded."""
    rows = []
    for row, digest in enumerate(digests):
        place = f"{pack}.{_vector_tag(seal_key, recipe, digest, pack, row)}"
        rows.append({"recipe": recipe, "text_digest": digest, "pack": place, "row": row})
    if rows:
        forget_vectors(conn, recipe, digests)
        conn.execute(sa.insert(vectors), rows)


def _vector_tag(seal_key: bytes, recipe: str, digest: str, pack: str, row: int) -> str:
    place = f"{pack} {row}".encode()
    return kept.tag(seal_key, f"vector {recipe}", digest.encode(), place).hex()[:TAG]


def forget_vectors(conn: sa.Connection, recipe: str, digests: Sequence[str]) -> None:
    """Forget where the vectors of texts are kept, because they were computed anew."""
    for start in range(0, len(digests), BATCH):
        conn.execute(
            sa.delete(vectors).where(
                vectors.c.recipe == recipe,
                vectors.c.text_digest.in_(digests[start : start + BATCH]),
            )
        )


def arrivals_since(conn: sa.Connection, source: str, since: str) -> int:
    """New or changed documents of a source accepted at or after a time."""
    query = (
        sa.select(sa.func.count())
        .select_from(versions)
        .join(commits, commits.c.id == versions.c.commit)
        .where(
            versions.c.source == source,
            commits.c.state == "confirmed",
            commits.c.at >= since,
            versions.c.outcome.in_(("admit", "quarantine")),
        )
    )
    return int(conn.execute(query).scalar() or 0)


def removed_since(conn: sa.Connection, source: str, since: str) -> set[str]:
    """List documents that manifests of a source took out of the serving zone at or after a time.

    What a reviewer let go, what was updated, and what was pulled back into quarantine is not meant.
    """
    later = versions.alias()
    successors = sa.select(later.c.id).where(
        later.c.commit == membership.c.until,
        later.c.source == versions.c.source,
        later.c.document == versions.c.document,
    )
    query = (
        sa.select(versions.c.document)
        .join(membership, membership.c.version == versions.c.id)
        .join(commits, commits.c.id == membership.c.until)
        .where(
            versions.c.source == source,
            membership.c.zone == "serving",
            commits.c.kind == "ingest",
            commits.c.at >= since,
            ~successors.exists(),
        )
    )
    return set(conn.execute(query).scalars())
