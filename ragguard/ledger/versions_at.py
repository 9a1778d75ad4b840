"""Look up the corpus at any commit, and all that the ledger holds about one document."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragguard.ledger.cases import DecisionRow
from ragguard.ledger.tables import cases, commits, decisions, membership, vectors, versions
from ragguard.ledger.versions import BATCH, VersionRow, ZoneStay, stay_of, version_of
from ragguard.trust import merkle
from ragguard.trust.canonical import canonical

FEW = 500  # documents up to which each is looked up by itself


@dataclass(frozen=True)
class Membership:
    """A stay of a version in a zone: from a commit on, and until another."""

    version: int
    zone: str
    since: int
    until: int | None


@dataclass(frozen=True)
class DecidedCase(DecisionRow):
    """A decision with what its case is about; `version` is `None` for a removal."""

    source: str
    document: str
    version: int | None


def _decided(conn: sa.Connection, *where: sa.ColumnElement[bool]) -> list[DecidedCase]:
    columns = [decisions.c[name] for name in DecisionRow.__dataclass_fields__]
    query = (
        sa.select(*columns, cases.c.source, cases.c.document, cases.c.version)
        .join(cases, cases.c.id == decisions.c.case)
        .where(*where)
        .order_by(decisions.c.id)
    )
    return [DecidedCase(*row) for row in conn.execute(query)]


def members_at(conn: sa.Connection, zone: str, commit: int) -> dict[str, VersionRow]:
    """List versions that were in a zone after a commit, by `source/document`."""
    query = (
        sa.select(versions)
        .join(membership, membership.c.version == versions.c.id)
        .where(
            membership.c.zone == zone,
            membership.c.since <= commit,
            sa.or_(membership.c.until.is_(None), membership.c.until > commit),
        )
    )
    rows = (version_of(r) for r in conn.execute(query))
    return {r.label: r for r in rows}


def digest_of(members: Sequence[VersionRow]) -> str:
    """Return the state of a corpus: Merkle root, hex, over its documents in (source, id) order."""
    rows = sorted((r.source, r.document, r.digest, r.metadata_digest) for r in members)
    return merkle.root([merkle.leaf_hash(canonical(list(r))) for r in rows]).hex()


def corpus_at(conn: sa.Connection, commit: int) -> tuple[str, int]:
    """State of the corpus after a commit, as `digest_of` has it, and how many documents it was."""
    query = (
        sa.select(
            versions.c.source, versions.c.document, versions.c.digest, versions.c.metadata_digest
        )
        .join(membership, membership.c.version == versions.c.id)
        .where(
            membership.c.zone == "serving",
            membership.c.since <= commit,
            sa.or_(membership.c.until.is_(None), membership.c.until > commit),
        )
    )
    rows = sorted(tuple(row) for row in conn.execute(query))
    return merkle.root([merkle.leaf_hash(canonical(list(r))) for r in rows]).hex(), len(rows)


def moves(conn: sa.Connection, commit: int) -> list[tuple[VersionRow, str, bool]]:
    """List versions that a commit put into a zone (true) or took out of it (false)."""
    query = (
        sa.select(versions, membership.c.zone, membership.c.since, membership.c.until)
        .join(membership, membership.c.version == versions.c.id)
        .where(sa.or_(membership.c.since == commit, membership.c.until == commit))
        .order_by(versions.c.source, versions.c.document, versions.c.id)
    )
    zone_moves = []
    for row in conn.execute(query):
        if row.since == commit:
            zone_moves.append((version_of(row), row.zone, True))
        if row.until == commit:
            zone_moves.append((version_of(row), row.zone, False))
    return zone_moves


def versions_named(conn: sa.Connection, source: str, document: str) -> list[VersionRow]:
    """List every confirmed version of a document, oldest first."""
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
    return [version_of(r) for r in conn.execute(query)]


def first_commits(conn: sa.Connection, labels: Collection[str]) -> dict[str, int]:
    """List commits that brought the first version of documents, whatever became of it.

    Args:
        labels: Documents, `source/id`; a source has no slash in its name.
    """
    query = (
        sa.select(versions.c.source, versions.c.document, sa.func.min(versions.c.commit))
        .join(commits, commits.c.id == versions.c.commit)
        .where(commits.c.state == "confirmed")
        .group_by(versions.c.source, versions.c.document)
    )
    by_label: dict[str, int] = {}
    if len(labels) <= FEW:
        for label in labels:
            source, _, document = label.partition("/")
            named = (versions.c.source == source, versions.c.document == document)
            for _, _, first in conn.execute(query.where(*named)):
                by_label[label] = int(first)
        return by_label
    wanted = set(labels)
    for source, document, first in conn.execute(query):
        if (label := f"{source}/{document}") in wanted:
            by_label[label] = int(first)
    return by_label


def stays_named(conn: sa.Connection, numbers: Sequence[int]) -> list[Membership]:
    """List stays of versions in zones, in order."""
    query = (
        sa.select(*(membership.c[name] for name in Membership.__dataclass_fields__))
        .where(membership.c.version.in_(list(numbers)))
        .order_by(membership.c.since, membership.c.id)
    )
    return [Membership(*row) for row in conn.execute(query)]


def decisions_on(conn: sa.Connection, source: str, document: str) -> list[DecidedCase]:
    """List decisions on the cases of a document, oldest first."""
    return _decided(conn, cases.c.source == source, cases.c.document == document)


def decided_by(conn: sa.Connection, commit: int) -> list[DecidedCase]:
    """List decisions that a commit carried out, in order."""
    return _decided(conn, decisions.c.commit == commit)


# --- going back -----------------------------------------------------------------------------------


def last_stays(conn: sa.Connection, numbers: Sequence[int]) -> list[ZoneStay]:
    """List versions by number, each with the last stay that it had.

    Returns:
        With the commit with which its last stay in the serving zone began, or the commit that made
        it where it never served.
    """
    stays: list[ZoneStay] = []
    for start in range(0, len(numbers), BATCH):
        part = list(numbers[start : start + BATCH])
        began = (
            sa.select(membership.c.version, sa.func.max(membership.c.since).label("began"))
            .where(membership.c.zone == "serving", membership.c.version.in_(part))
            .group_by(membership.c.version)
            .subquery()
        )
        query = (
            sa.select(versions, sa.func.coalesce(began.c.began, versions.c.commit).label("since"))
            .outerjoin(began, began.c.version == versions.c.id)
            .where(versions.c.id.in_(part))
            .order_by(versions.c.id)
        )
        stays += [stay_of(row) for row in conn.execute(query)]
    return stays


def same_bytes(
    conn: sa.Connection, rows: Sequence[VersionRow], recipe: str
) -> dict[tuple[str, str, str], list[VersionRow]]:
    """List versions by a recipe that hold the bytes of others.

    Args:
        rows: The others.

    Returns:
        By source, document and digest: confirmed versions that have points, newest first.
    """
    wanted = {(r.source, r.document, r.digest) for r in rows}
    digests = sorted({digest for _, _, digest in wanted})
    by_bytes: dict[tuple[str, str, str], list[VersionRow]] = {}
    for start in range(0, len(digests), BATCH):
        query = (
            sa.select(versions)
            .join(commits, commits.c.id == versions.c.commit)
            .where(
                versions.c.recipe == recipe,
                versions.c.digest.in_(digests[start : start + BATCH]),
                versions.c.outcome != "reject",
                commits.c.state == "confirmed",
            )
            .order_by(versions.c.id.desc())
        )
        for row in map(version_of, conn.execute(query)):
            key = (row.source, row.document, row.digest)
            if key in wanted:
                by_bytes.setdefault(key, []).append(row)
    return by_bytes


def undecided(conn: sa.Connection, rows: Sequence[VersionRow]) -> set[int]:
    """List versions whose bytes waited for a reviewer last, and nobody released them since.

    They may wait no more: a newer version came, or the document was removed.

    Returns:
        Numbers of those versions.
    """
    wanted: dict[tuple[str, str, str, str], list[int]] = {}
    for row in rows:
        key = (row.source, row.document, row.digest, row.metadata_digest)
        wanted.setdefault(key, []).append(row.id)
    digests = sorted({digest for _, _, digest, _ in wanted})
    last: dict[tuple[str, str, str, str], str] = {}
    for start in range(0, len(digests), BATCH):
        query = (
            sa.select(
                versions.c.source,
                versions.c.document,
                versions.c.digest,
                versions.c.metadata_digest,
                membership.c.zone,
            )
            .join(membership, membership.c.version == versions.c.id)
            .where(versions.c.digest.in_(digests[start : start + BATCH]))
            .order_by(membership.c.since, membership.c.id)
        )
        for source, document, digest, metadata, zone in conn.execute(query):
            last[source, document, digest, metadata] = zone
    return {
        number
        for key, numbers in wanted.items()
        if last.get(key) == "quarantine"
        for number in numbers
    }


def count_vectors(conn: sa.Connection) -> int:
    """Count texts that the vault has vectors of, counted once for each recipe."""
    return int(conn.execute(sa.select(sa.func.count()).select_from(vectors)).scalar() or 0)


def serving_with(conn: sa.Connection, digest: str) -> list[str]:
    """List documents (`source/document`) that serve with these bytes, sorted."""
    query = (
        sa.select(versions.c.source, versions.c.document)
        .join(membership, membership.c.version == versions.c.id)
        .where(
            versions.c.digest == digest,
            membership.c.zone == "serving",
            membership.c.until.is_(None),
        )
    )
    return sorted(f"{r.source}/{r.document}" for r in conn.execute(query))
