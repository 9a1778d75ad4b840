"""Pulling back: an admitted document goes into quarantine again, for a reviewer to decide.

Its points are taken from the plan that brought it in, not from the index, and sealed for the
quarantine. See docs/adr/0010-newcomers-of-the-last-weeks.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragguard.commit import Write, load_plan, load_vectors
from ragguard.errors import LedgerError
from ragguard.ledger import commits
from ragguard.ledger.corpus import VersionRow
from ragguard.model import Verdict
from ragguard.steps.planning import Draft, finding_body, open_case, seal_payload
from ragguard.workspace import Workspace


def pull_document(
    plan: Draft,
    row: VersionRow,
    verdict: Verdict,
    stored: Sequence[Write],
    points: Sequence[Any],
) -> None:
    """Take an admitted document back into quarantine, for a reviewer to decide.

    Args:
        plan: Draft.
        row: Its serving version.
        verdict: What is said of it now.
        stored: Its points as they were planned when it came in.
        points: Rows of its points.
    """
    number = plan.next_version
    plan.next_version += 1
    body = {name: getattr(row, name) for name in VersionRow.__dataclass_fields__}
    plan.versions.append(
        {
            **body,
            "id": number,
            "metadata": dict(row.metadata),
            "hidden": [list(h) for h in row.hidden],
            "outcome": verdict.outcome,
            "score": verdict.score,
            "p_value": verdict.p_value,
            "findings": [finding_body(f) for f in verdict.findings],
            "commit": plan.commit,
        }
    )
    for found in points:
        kept = ("ordinal", "point", "start", "end", "text_digest")
        plan.points.append({"version": number, **{name: getattr(found, name) for name in kept}})
    name = plan.collection("quarantine")
    writes = []
    for write in stored:
        vector = load_vectors(plan.workspace.vault.get(write.pack))[write.row]
        own = {**write.payload["ragguard"], "version": number, "commit": plan.commit}
        payload = {**write.payload, "ragguard": own}
        payload = seal_payload(plan.workspace, name, write.id, vector, payload)
        writes.append(Write(write.id, payload, write.pack, write.row))
    plan.take_out(row, "serving", points)
    plan.put_in(number, "quarantine", writes)
    open_case(plan, row.source, row.document, number)
    plan.counts["pulled"] += 1
    plan.leaves.append(
        {
            "source": row.source,
            "document": row.document,
            "digest": row.digest,
            "metadata": row.metadata_digest,
            "outcome": "pulled",
            "points": [[w.id, w.payload["ragguard"]["seal"]] for w in writes],
        }
    )


def stored_writes(workspace: Workspace, version: VersionRow) -> list[Write]:
    """The points of a version as they were planned, from the vault and not from the index.

    Raises:
        LedgerError: The version belongs to no confirmed commit.
    """
    with workspace.ledger.reading() as conn:
        commit = commits.get(conn, version.commit)
    if commit is None:
        raise LedgerError(f"ledger: version {version.id} belongs to no confirmed commit")
    plan = load_plan(workspace.vault.get(commit.plan))
    return [
        w
        for writes in plan.writes.values()
        for w in writes
        if w.payload["ragguard"]["version"] == version.id
    ]
