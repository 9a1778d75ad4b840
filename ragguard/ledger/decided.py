"""Look up what reviewers decided about versions: releases that last, and denials."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from ragguard.ledger.tables import cases as case_table
from ragguard.ledger.tables import decisions, denials, membership, versions


@dataclass(frozen=True)
class DenialRow:
    """A version that a reviewer rejected, and by what its like is known: digests in the vault."""

    version: int
    digest: str
    text_digest: str
    sketches: str
    vectors: str
    texts: str
    commit: int


@dataclass(frozen=True)
class ReleaseRow:
    """A reviewer's release of a version of a document.

    Attributes:
        covers: What it covers, see docs/formats.md: `check:digest`, in older decisions `check`.
        ended: Whether an edition was rejected since: then it covers no other edition.
    """

    version: int
    digest: str
    metadata_digest: str
    covers: frozenset[str]
    ended: bool = False

    @property
    def checks(self) -> set[str]:
        """Checks of the findings it covers."""
        return {entry.partition(":")[0] for entry in self.covers}


def releases(conn: sa.Connection, source: str) -> dict[str, list[ReleaseRow]]:
    """List releases of documents of a source by document id, oldest first."""
    query = (
        sa.select(
            versions.c.document,
            versions.c.id,
            versions.c.digest,
            versions.c.metadata_digest,
            decisions.c.covers,
            decisions.c.action,
        )
        .join(case_table, case_table.c.version == versions.c.id)
        .join(decisions, decisions.c.case == case_table.c.id)
        .where(versions.c.source == source)
        .order_by(decisions.c.id)
    )
    result: dict[str, list[ReleaseRow]] = {}
    for document, number, digest, metadata_digest, covers, action in conn.execute(query):
        if action == "release":
            release = ReleaseRow(number, digest, metadata_digest, frozenset(covers))
            result.setdefault(document, []).append(release)
        else:
            result[document] = [replace(r, ended=True) for r in result.get(document, ())]
    return {document: rows for document, rows in result.items() if rows}


def released(conn: sa.Connection, source: str) -> dict[tuple[str, str, str], set[str]]:
    """Tell what reviewers released: (document, digest, metadata digest) to the checks covered."""
    result: dict[tuple[str, str, str], set[str]] = {}
    for document, rows in releases(conn, source).items():
        for release in rows:
            key = (document, release.digest, release.metadata_digest)
            result.setdefault(key, set()).update(release.checks)
    return result


def let_in(conn: sa.Connection, source: str) -> int:
    """Documents of a source that ever served, without those that were rejected at some time."""
    bad = sa.select(versions.c.document).join(denials, denials.c.version == versions.c.id)
    query = (
        sa.select(sa.func.count(sa.distinct(versions.c.document)))
        .join(membership, membership.c.version == versions.c.id)
        .where(
            versions.c.source == source,
            membership.c.zone == "serving",
            versions.c.document.not_in(bad.where(versions.c.source == source)),
        )
    )
    return int(conn.execute(query).scalar() or 0)


def denied(conn: sa.Connection) -> list[DenialRow]:
    """List all denials, oldest first."""
    names = DenialRow.__dataclass_fields__
    query = sa.select(*(denials.c[name] for name in names)).order_by(denials.c.id)
    return [DenialRow(*row) for row in conn.execute(query)]


def add_denial(conn: sa.Connection, row: DenialRow) -> None:
    """Record a denial."""
    conn.execute(sa.insert(denials), vars(row))
