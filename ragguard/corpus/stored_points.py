"""Read points as they were planned when their version came in: from the vault, not from an index.

What is in an index may have been changed by another hand; a plan is the one that the log signs.
"""

from __future__ import annotations

from collections.abc import Iterable

from ragguard.errors import LedgerError
from ragguard.ledger import commits
from ragguard.ledger.vault import Vault
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Write, load_vectors
from ragguard.model import Floats
from ragguard.workspace import Workspace

_IDENTITY = ("source", "document", "digest", "metadata_digest", "subject_digest", "manifest")


class Packs:
    """Vectors out of the vault's matrices, each matrix read once."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._read: dict[str, Floats] = {}

    def vector(self, write: Write) -> Floats:
        """Return the vector of a point, float32 (d,)."""
        if write.pack not in self._read:
            self._read[write.pack] = load_vectors(self._vault.get(write.pack))
        row: Floats = self._read[write.pack][write.row]
        return row


def stored_writes(workspace: Workspace, version: VersionRow) -> list[Write]:
    """Return the points of a version as they were planned, from the vault and not from the index.

    Raises:
        LedgerError: The version belongs to no confirmed commit, or its plan is not the logged one.
    """
    return stored_by_version(workspace, [version])[version.id]


def stored_by_version(
    workspace: Workspace, versions: Iterable[VersionRow]
) -> dict[int, list[Write]]:
    """Return the points of many versions, as `stored_writes` gives them; each plan is read once.

    A plan is the one that the signed log names, whatever the ledger's row of the commit says.

    Raises:
        LedgerError: A version belongs to no confirmed commit, or its plan is not the logged one.
        LogError: The log has no entry for a commit.
    """
    stored: dict[int, list[Write]] = {}
    wanted: dict[int, dict[int, VersionRow]] = {}
    for version in versions:
        stored[version.id] = []
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
        planned = {row.id: row for row in plan.versions}
        for name, version in ids.items():
            if any(getattr(planned.get(name), k, None) != getattr(version, k) for k in _IDENTITY):
                raise LedgerError(
                    f"ledger: version {name} is not the one that commit {number} made",
                    hint="Run `ragguard log verify`, and restore the ledger from its backup.",
                )
        for writes in plan.writes.values():
            for write in writes:
                if write.payload["ragguard"]["version"] in ids:
                    stored[write.payload["ragguard"]["version"]].append(write)
    return stored
