"""Hold named documents: out of the serving index into quarantine, for a reviewer to decide.

What a trace or a person names is contained at once and in one commit; nothing is denied and nothing
is lost. `quarantine release --commit` undoes it. Unlike a decision it needs no key: it can only
take out, never let in, as `audit --quarantine` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragguard.corpus import changes
from ragguard.errors import UsageError
from ragguard.ledger import versions
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding, Verdict
from ragguard.workspace import Workspace

CHECK = "held"
ACTOR = "operator"
MAX_REASON = 2_000  # characters
SHOWN = 5  # unknown names that an error tells


@dataclass(frozen=True)
class HoldResult:
    """Documents that were taken out.

    Attributes:
        commit: Number of the commit; `None` when nothing of it serves.
        documents: Documents (`source/id`) taken out of the serving index.
        waiting: Documents of which nothing serves and a version waits in quarantine already.
    """

    commit: int | None
    documents: Sequence[str]
    waiting: Sequence[str]


def hold(workspace: Workspace, names: Sequence[str], reason: str) -> HoldResult:
    """Take documents out of the serving index into quarantine, in one commit.

    The same call again finds them waiting and changes nothing.

    Args:
        workspace: Open and locked.
        names: Documents, `source/id`.
        reason: In the words of whoever holds them; stands in each case.

    Raises:
        UsageError: A name that is neither served nor waiting, and then nothing is done; no reason.
        StoreError: See `Committer.commit`; the next start finishes the commit.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise UsageError(
            f"holding a document needs a reason of 1 to {MAX_REASON} characters",
            hint='Give one with --reason "…".',
        )
    workspace.recover()
    wanted = list(dict.fromkeys(names))
    with workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving")
        waiting = versions.members(conn, "quarantine")
    unknown = [n for n in wanted if n not in serving and n not in waiting]
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise UsageError(
            f"no document {', '.join(map(repr, unknown[:SHOWN]))}{more} in serving index or "
            "quarantine; nothing was held",
            hint="Names are SOURCE/DOCUMENT, as `ragguard search` and `ragguard trace` print them.",
        )
    rows = {name: serving[name] for name in sorted(wanted) if name in serving}
    stayed = [n for n in wanted if n not in rows]
    generation = workspace.generation()
    if not rows or generation is None:
        return HoldResult(None, [], stayed)
    plan = changes.draft(workspace, generation)
    plan.quarantine([(row, _verdict(row, reason)) for row in rows.values()])
    sources = {row.source for row in rows.values()}
    source = next(iter(sources)) if len(sources) == 1 else ""
    workspace.committer.commit(plan.finish("hold", ACTOR, source))
    return HoldResult(plan.commit, list(rows), stayed)


def _verdict(row: VersionRow, reason: str) -> Verdict:
    finding = Finding(CHECK, 1.0, None, f"held by hand: {reason}", {})
    return Verdict(row.source, row.document, row.digest, "quarantine", 1.0, None, (finding,))
