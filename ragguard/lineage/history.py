"""List what one commit changed, and what came and went between two.

The state of the corpus at a commit is a query on the ledger. Its digest is recomputed here from
that query, and compared with the one that the log holds for the commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragguard.errors import UsageError
from ragguard.ledger import commits, log, versions_at
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.versions import VersionRow
from ragguard.workspace import Workspace


@dataclass(frozen=True)
class Move:
    """A document that a commit put into a zone or took out of it.

    Attributes:
        zone: `serving` or `quarantine`.
        entered: True when it came, false when it went.
    """

    version: VersionRow
    zone: str
    entered: bool


@dataclass(frozen=True)
class CommitView:
    """One commit.

    Attributes:
        signers: Principals who signed its manifest.
        decisions: What reviewers decided with it: document, action, reviewer, reason.
        moves: What came and went.
        serving: Documents that served after it, by `source/document`.
        state: Digest of the corpus after it, recomputed.
        agrees: Whether the ledger's and the log's digest are the recomputed one.
    """

    row: CommitRow
    signers: Sequence[str]
    decisions: Sequence[Mapping[str, str]]
    moves: Sequence[Move]
    serving: Mapping[str, VersionRow]
    state: str
    agrees: bool


@dataclass(frozen=True)
class CorpusDifference:
    """Difference of the corpus between two commits.

    Attributes:
        added: Documents that serve at the second only.
        removed: Documents that serve at the first only.
        changed: Documents that serve at both, with other bytes or metadata: older and newer.
        between: Commits after the first up to the second, oldest first.
    """

    first: CommitView
    second: CommitView
    added: Sequence[VersionRow]
    removed: Sequence[VersionRow]
    changed: Sequence[tuple[VersionRow, VersionRow]]
    between: Sequence[CommitRow]


def show(workspace: Workspace, number: int) -> CommitView:
    """Look at one commit.

    Raises:
        UsageError: No such commit.
        LogError: Its entry in the log is missing or damaged.
    """
    with workspace.ledger.reading() as conn:
        row = commits.get(conn, number)
        if row is None or row.log_index is None:
            raise UsageError(
                f"commit {number}: there is none", hint="`ragguard history` lists the commits."
            )
        entry = log.body(conn, row.log_index)
        manifest = commits.manifest_row(conn, row.manifest) if row.manifest else None
        moved = [Move(*move) for move in versions_at.moves(conn, number)]
        serving = versions_at.members_at(conn, "serving", number)
        decided = [
            {
                "document": f"{d.source}/{d.document}" if d.document else d.source,
                "action": d.action,
                "reviewer": d.reviewer,
                "reason": d.reason,
            }
            for d in versions_at.decided_by(conn, number)
        ]
    signers = sorted({principal for _, principal in manifest.signers}) if manifest else []
    state = versions_at.digest_of(list(serving.values()))
    agrees = state == row.corpus == entry.get("corpus") and entry.get("commit") == number
    return CommitView(row, signers, decided, moved, serving, state, agrees)


def diff(workspace: Workspace, first: int, second: int) -> CorpusDifference:
    """Compare the corpus at two commits.

    Raises:
        UsageError, LogError: See `show`.
    """
    before, after = show(workspace, first), show(workspace, second)
    old, new = before.serving, after.serving
    low, high = sorted((first, second))
    with workspace.ledger.reading() as conn:
        between = [row for row in reversed(commits.listed(conn)) if low < row.id <= high]
    return CorpusDifference(
        before,
        after,
        [new[name] for name in sorted(new.keys() - old.keys())],
        [old[name] for name in sorted(old.keys() - new.keys())],
        [
            (old[name], new[name])
            for name in sorted(new.keys() & old.keys())
            if _content(old[name]) != _content(new[name])
        ],
        between,
    )


def _content(row: VersionRow) -> tuple[Any, ...]:
    return row.digest, row.metadata_digest
