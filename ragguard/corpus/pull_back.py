"""Pulling back: an admitted document goes into quarantine again, for a reviewer to decide.

Its points are taken from the plan that brought it in, not from the index, and sealed for the
quarantine. See docs/adr/0010-newcomers-of-the-last-weeks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ragguard.corpus.changes import Draft, finding_body, open_case, seal_payload
from ragguard.errors import LedgerError
from ragguard.ledger import commits
from ragguard.ledger.vault import Vault
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Write, load_vectors
from ragguard.model import Floats, Verdict
from ragguard.workspace import Workspace

_IDENTITY = ("source", "document", "digest", "metadata_digest", "subject_digest", "manifest")


class Packs:
    """Vectors out of the vault's matrices, each matrix read once.

    Args:
        vault: Holds them.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._read: dict[str, Floats] = {}

    def vector(self, write: Write) -> Floats:
        """The vector of a point, float32 (d,)."""
        if write.pack not in self._read:
            self._read[write.pack] = load_vectors(self._vault.get(write.pack))
        row: Floats = self._read[write.pack][write.row]
        return row


def pull_document(
    plan: Draft,
    row: VersionRow,
    verdict: Verdict,
    stored: Sequence[Write],
    points: Sequence[Any],
    packs: Packs | None = None,
) -> None:
    """Take an admitted document back into quarantine, for a reviewer to decide.

    Args:
        plan: Draft.
        row: Its serving version.
        verdict: What is said of it now.
        stored: Its points as they were planned when it came in.
        points: Rows of its points.
        packs: Shared by the documents of one commit.
    """
    packs = packs or Packs(plan.workspace.vault)
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
        vector = packs.vector(write)
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
        LedgerError: The version belongs to no confirmed commit, or its plan is not the logged one.
    """
    return stored_by_version(workspace, [version])[version.id]


def stored_by_version(
    workspace: Workspace, versions: Iterable[VersionRow]
) -> dict[int, list[Write]]:
    """The points of many versions, as `stored_writes` gives them; each plan is read once.

    A plan is the one that the signed log names, whatever the ledger's row of the commit says.

    Raises:
        LedgerError: A version belongs to no confirmed commit, or its plan is not the logged one.
        LogError: The log has no entry for a commit.
    """
    found: dict[int, list[Write]] = {}
    wanted: dict[int, dict[int, VersionRow]] = {}
    for version in versions:
        found[version.id] = []
        wanted.setdefault(version.commit, {})[version.id] = version
    with workspace.ledger.reading() as conn:
        rows = {number: commits.get(conn, number) for number in wanted}
    for number, row in rows.items():
        if row is None:
            raise LedgerError(
                f"ledger: version {min(wanted[number])} belongs to no confirmed commit"
            )
    plans = workspace.committer.logged_plans(row for row in rows.values() if row is not None)
    for number, plan in plans.items():
        ids = wanted[number]
        made = {row["id"]: row for row in plan.versions}
        for name, version in ids.items():
            if any(made.get(name, {}).get(k) != getattr(version, k) for k in _IDENTITY):
                raise LedgerError(
                    f"ledger: version {name} is not the one that commit {number} made",
                    hint="Run `ragguard log verify`, and restore the ledger from its backup.",
                )
        for writes in plan.writes.values():
            for write in writes:
                if write.payload["ragguard"]["version"] in ids:
                    found[write.payload["ragguard"]["version"]].append(write)
    return found
