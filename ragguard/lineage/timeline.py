"""List the history of the corpus: what each commit added, changed and took out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragguard.errors import RagguardError, UsageError
from ragguard.ledger import commits, log, versions_at
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.tables import commits as commit_table
from ragguard.ledger.tables import membership, versions
from ragguard.lineage.graph import State, verified, wrong
from ragguard.workspace import Workspace

WHAT = ("added", "changed", "gone", "held", "let go")


@dataclass(frozen=True)
class DocumentChange:
    """Change of one document by a commit.

    Attributes:
        what: `added`, `changed` or `gone` of what serves; else `held`, when it came into
            quarantine, or `let go`, when it only left it.
        before: Digest of what served or waited before it; empty where nothing did.
        after: Digest of what does after it; empty where nothing does.
    """

    source: str
    document: str
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Moment:
    """A commit of the timeline.

    Attributes:
        signers: Principals who signed its manifest, as the ledger has them.
        sources: Source to number of documents by what became of them.
    """

    row: CommitRow
    signers: Sequence[str]
    sources: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class CommitDetail:
    """A commit looked at closely.

    Attributes:
        decisions: What reviewers decided with it: document, action, reviewer, reason, case.
        documents: Documents that served after it.
        corpus: State and reason: whether the ledger's corpus after it is the one that was logged.
        total: Documents that it changed.
        changes: Some of them, by source and name.
        previous: Number of the commit before it; `None` for the first.
        next: Number of the one after it; `None` for the last.
    """

    moment: Moment
    decisions: Sequence[Mapping[str, Any]]
    documents: int
    corpus: tuple[State, str]
    total: int
    changes: Sequence[DocumentChange]
    previous: int | None
    next: int | None


def timeline(
    workspace: Workspace, *, offset: int = 0, limit: int = 20, source: str = ""
) -> tuple[int, list[Moment]]:
    """Read commits, newest first, with what each changed.

    Args:
        offset: Commits to pass over.
        limit: Commits to read.
        source: Only commits that concern this source, if given.

    Returns:
        How many there are in all, and those asked for.
    """
    wanted = [commit_table.c.state == "confirmed"]
    if source:
        wanted.append(commit_table.c.source == source)
    with workspace.ledger.reading() as conn:
        count = sa.select(sa.func.count()).select_from(commit_table).where(*wanted)
        total = int(conn.execute(count).scalar_one())
        query = sa.select(commit_table.c.id).where(*wanted).order_by(commit_table.c.id.desc())
        numbers = list(conn.execute(query.offset(offset).limit(limit)).scalars())
        rows = [row for n in numbers if (row := commits.get(conn, n)) is not None]
        changed = _counted(conn, numbers)
        return total, [Moment(row, _signers(conn, row), changed[row.id]) for row in rows]


def look(workspace: Workspace, number: int, *, offset: int = 0, limit: int = 100) -> CommitDetail:
    """Look at one commit; the digest of the corpus after it is computed anew.

    Args:
        offset: Changed documents to pass over.
        limit: Changed documents to read.

    Raises:
        UsageError: There is no such commit.
    """
    with workspace.ledger.reading() as conn:
        row = commits.get(conn, number)
        if row is None:
            raise UsageError(
                f"commit {number}: there is no such commit",
                hint="`ragguard history` lists the commits.",
            )
        state, documents = versions_at.corpus_at(conn, number)
        try:
            entry = log.body(conn, -1 if row.log_index is None else row.log_index)
            logged = str(entry.get("corpus")) if entry.get("commit") == number else ""
        except RagguardError:
            logged = ""
        if logged != row.corpus:
            corpus = wrong("the ledger and the log have different digests of the corpus after it")
        elif state != logged:
            corpus = wrong("the ledger's documents after it are not those whose digest was logged")
        else:
            corpus = verified("the digest of all documents after it is the logged one")
        total, changes = _changes(conn, number, offset, limit)
        around = sa.select(commit_table.c.id).where(commit_table.c.state == "confirmed")
        before = around.where(commit_table.c.id < number).order_by(commit_table.c.id.desc())
        after = around.where(commit_table.c.id > number).order_by(commit_table.c.id)
        decided = [
            {
                "case": d.case,
                "document": f"{d.source}/{d.document}" if d.document else d.source,
                "action": d.action,
                "reviewer": d.reviewer,
                "reason": d.reason,
            }
            for d in versions_at.decided_by(conn, number)
        ]
        moment = moment_of(conn, row)
        return CommitDetail(
            moment,
            decided,
            documents,
            corpus,
            total,
            changes,
            conn.execute(before.limit(1)).scalar(),
            conn.execute(after.limit(1)).scalar(),
        )


def moment_of(conn: sa.Connection, row: CommitRow) -> Moment:
    """Describe a commit with what it changed."""
    return Moment(row, _signers(conn, row), _counted(conn, [row.id])[row.id])


def _signers(conn: sa.Connection, row: CommitRow) -> list[str]:
    manifest = commits.manifest_row(conn, row.manifest) if row.manifest else None
    return sorted({str(who) for _, who in manifest.signers}) if manifest else []


def _touched(*commit: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return the stays that commits began or ended."""
    return (
        sa.select(
            versions.c.source,
            versions.c.document,
            versions.c.digest,
            membership.c.zone,
            membership.c.since,
            membership.c.until,
        )
        .join(membership, membership.c.version == versions.c.id)
        .where(sa.or_(*commit))
    )


def _counted(conn: sa.Connection, numbers: Sequence[int]) -> dict[int, dict[str, dict[str, int]]]:
    """List documents by commit, source and what became of them."""
    wanted = set(numbers)
    seen: dict[tuple[int, str, str], set[tuple[str, bool]]] = defaultdict(set)
    query = _touched(membership.c.since.in_(numbers), membership.c.until.in_(numbers))
    for source, document, _, zone, since, until in conn.execute(query):
        if since in wanted:
            seen[since, source, document].add((zone, True))
        if until in wanted:
            seen[until, source, document].add((zone, False))
    counts: dict[int, dict[str, Counter[str]]] = {n: defaultdict(Counter) for n in numbers}
    for (number, source, _), moves in seen.items():
        counts[number][source][_what(moves)] += 1
    return {
        number: {source: {w: c[w] for w in WHAT if c[w]} for source, c in sorted(each.items())}
        for number, each in counts.items()
    }


def _what(moves: set[tuple[str, bool]]) -> str:
    came, went = ("serving", True) in moves, ("serving", False) in moves
    if came:
        return "changed" if went else "added"
    if went:
        return "gone"
    return "held" if ("quarantine", True) in moves else "let go"


def _changes(
    conn: sa.Connection, number: int, offset: int, limit: int
) -> tuple[int, list[DocumentChange]]:
    """Count how many documents a commit changed, and some of them."""
    rows = _touched(membership.c.since == number, membership.c.until == number)
    names = rows.with_only_columns(versions.c.source, versions.c.document).distinct()
    total = int(conn.execute(sa.select(sa.func.count()).select_from(names.subquery())).scalar_one())
    part = names.order_by(versions.c.source, versions.c.document).offset(offset).limit(limit)
    changes = []
    for source, document in conn.execute(part).all():
        named = (versions.c.source == source, versions.c.document == document)
        moves: set[tuple[str, bool]] = set()
        digests: dict[tuple[str, bool], str] = {}
        for _, _, digest, zone, since, until in conn.execute(rows.where(*named)):
            for at, entered in ((since, True), (until, False)):
                if at == number:
                    moves.add((zone, entered))
                    digests[zone, entered] = digest
        change = _what(moves)
        zone = "quarantine" if change in ("held", "let go") else "serving"
        before, after = digests.get((zone, False), ""), digests.get((zone, True), "")
        changes.append(DocumentChange(source, document, change, before, after))
    return total, changes
