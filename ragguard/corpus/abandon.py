"""Give up a commit that was begun and cannot be finished.

The way out where a pending commit is none that this workspace can authenticate: planted by another
hand, or begun by an older version that is gone. What it may have done to the index already is not
undone here: an audit names it, and a rebuild mends it.
"""

from __future__ import annotations

from ragguard.errors import UsageError
from ragguard.ledger import commits
from ragguard.ledger.tables import drop_meta
from ragguard.trust import intent
from ragguard.trust.canonical import format_time
from ragguard.workspace import Workspace

ACT = "abandon"
MAX_REASON = 2_000


def abandon(workspace: Workspace, commit: int, reason: str) -> None:
    """Forget a pending commit, and log that it was given up.

    Raises:
        UsageError: No commit of that number is pending, or there is no reason.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise UsageError(
            f"giving a commit up needs a reason of 1 to {MAX_REASON} characters",
            hint='Give one with --reason "…".',
        )
    with workspace.ledger.writing() as conn:
        begun = {row.id: row for row in commits.pending(conn)}
        if commit not in begun:
            listed = ", ".join(map(str, begun)) or "none is"
            raise UsageError(f"no commit {commit} is pending; pending: {listed}")
        commits.give_up(conn, commit)
        drop_meta(conn, intent.key_of(commit))
        body = {
            "act": ACT,
            "at": format_time(workspace.now),
            "abandoned": commit,
            "planned": begun[commit].plan,
            "reason": reason,
        }
        workspace.log_act(body, conn)
