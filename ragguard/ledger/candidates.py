"""Look up the generation on trial, and which of its points may be shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragguard.ledger import log
from ragguard.ledger.commits import CommitRow, Generation, generations_in, get
from ragguard.ledger.tables import commits, denials, membership, points, seals, versions
from ragguard.ledger.versions import BATCH, VersionRow, version_of
from ragguard.model import Labelled

ACT = "cutover"


@dataclass(frozen=True)
class CandidateDocument(Labelled):
    """The document of a chunk, as one version has it."""

    source: str
    document: str
    digest: str
    metadata_digest: str


def candidate(conn: sa.Connection) -> Generation | None:
    """Return the generation that is built and does not serve; there is one at a time."""
    generations = generations_in(conn, "candidate")
    return generations[-1] if generations else None


def staged(conn: sa.Connection) -> CommitRow | None:
    """Return the newest commit that built a candidate."""
    query = sa.select(sa.func.max(commits.c.id)).where(
        commits.c.kind == "stage", commits.c.state == "confirmed"
    )
    number = conn.execute(query).scalar()
    return get(conn, int(number)) if number is not None else None


def behind(conn: sa.Connection, commit: int) -> int:
    """Confirmed commits after one."""
    query = sa.select(sa.func.count()).where(commits.c.id > commit, commits.c.state == "confirmed")
    return int(conn.execute(query).scalar() or 0)


def entries(conn: sa.Connection, generation: int) -> list[tuple[int, Mapping[str, Any]]]:
    """Tell what the log says of the trials of a generation, oldest first: index and entry."""
    trials: list[tuple[int, Mapping[str, Any]]] = []
    for index, text, _ in log.entries(conn):
        if f'"{ACT}"' not in text:
            continue
        body = log.read(text) or {}  # the log check says that it is damaged
        if (body.get("act"), "did" in body) != (ACT, True):
            continue  # a commit of that kind has a plan, and did nothing here
        if body.get("generation") == generation:
            trials.append((index, body))
    return trials


def held(
    conn: sa.Connection, collection: str, ids: Sequence[str]
) -> dict[tuple[str, int, str], CandidateDocument]:
    """List documents of the points of a collection, by point, version and seal.

    What no confirmed commit put there is not in it.
    """
    documents: dict[tuple[str, int, str], CandidateDocument] = {}
    for start in range(0, len(ids), BATCH):
        query = (
            sa.select(
                points.c.point,
                points.c.version,
                seals.c.seal,
                versions.c.source,
                versions.c.document,
                versions.c.digest,
                versions.c.metadata_digest,
            )
            .join(seals, seals.c.point == points.c.point)
            .join(versions, versions.c.id == points.c.version)
            .join(commits, commits.c.id == versions.c.commit)
            .where(
                seals.c.collection == collection,
                points.c.point.in_(ids[start : start + BATCH]),
                commits.c.state == "confirmed",
            )
        )
        for point, version, seal, *rest in conn.execute(query):
            documents[point, version, seal] = CandidateDocument(*rest)
    return documents


def serving_now(
    conn: sa.Connection, documents: Collection[str]
) -> dict[str, tuple[CandidateDocument, int]]:
    """Find what serves of documents (ids, any source), and since which commit, by label."""
    serving: dict[str, tuple[CandidateDocument, int]] = {}
    names = sorted(documents)
    for start in range(0, len(names), BATCH):
        query = (
            sa.select(
                membership.c.since,
                versions.c.source,
                versions.c.document,
                versions.c.digest,
                versions.c.metadata_digest,
            )
            .join(versions, versions.c.id == membership.c.version)
            .where(
                membership.c.zone == "serving",
                membership.c.until.is_(None),
                versions.c.document.in_(names[start : start + BATCH]),
            )
        )
        for since, *rest in conn.execute(query):
            document = CandidateDocument(*rest)
            serving[document.label] = (document, since)
    return serving


def denied_among(conn: sa.Connection, digests: Collection[str]) -> set[str]:
    """Tell which of some digests of documents a reviewer denied."""
    names = sorted(digests)
    denied: set[str] = set()
    for start in range(0, len(names), BATCH):
        query = sa.select(denials.c.digest).where(
            denials.c.digest.in_(names[start : start + BATCH])
        )
        denied.update(digest for (digest,) in conn.execute(query))
    return denied


def versions_numbered(conn: sa.Connection, numbers: Sequence[int]) -> dict[str, VersionRow]:
    """List versions by `source/id`; at most one of each document is asked for."""
    by_label: dict[str, VersionRow] = {}
    for start in range(0, len(numbers), BATCH):
        query = sa.select(versions).where(versions.c.id.in_(numbers[start : start + BATCH]))
        for row in map(version_of, conn.execute(query)):
            by_label[row.label] = row
    return by_label
