"""Restore from an export what the vault of a workspace lost or has damaged.

The export must verify by this workspace's own log key, be of its own past (its checkpoint is in
the log, its trust roots are the ones seen), and then only bytes are put back, each under its own
digest. Ledger and index are not touched; a rebuild or a rollback goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragguard.corpus import log_check
from ragguard.errors import IntegrityError, LogError
from ragguard.export import inventory as inventories
from ragguard.export import safe_read, verify
from ragguard.export.inventory import Inventory
from ragguard.export.verify import ExportVerification
from ragguard.ledger import audit_queries
from ragguard.model import Progress
from ragguard.trust.canonical import format_time
from ragguard.workspace import Workspace

ACT = "restore"


@dataclass(frozen=True)
class VaultRestoreResult:
    """What was put back.

    Attributes:
        commit: Commit whose clean set the export is.
        documents: Files that were missing or damaged and are there again.
        others: Manifests, decisions, canary sets and what is kept of denied texts, likewise.
        intact: Of both, what was there and whole.
        lost: What the vault should have and still has not, by what it is: no export holds it.
        notes: What verifying the export said.
        recovered: Commits that an interrupted run had begun, finished first.
    """

    commit: int
    documents: int
    others: int
    intact: int
    lost: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    recovered: int = 0

    @property
    def exit_code(self) -> int:
        """1 when something is still missing."""
        return 1 if self.lost else 0


def restore(
    workspace: Workspace,
    folder: Path,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> VaultRestoreResult:
    """Put back into the vault what an export holds and the vault does not.

    Raises:
        IntegrityError: The export does not verify, is of another workspace or not of this one's
            past; nothing is put back.
        VaultError: The vault cannot be written.
    """
    checked = verify.verify(folder, workspace.log_key)
    listed = sound(checked, folder)
    _check_past(workspace, folder, listed)
    counts: Counter[str] = Counter()
    blobs = list(_blobs(listed))
    for number, (path, kind, name, size) in enumerate(blobs):
        progress("restore", number, len(blobs))
        mended = workspace.vault.mend(safe_read.read_named(folder, path, name, size))
        counts[kind if mended else "intact"] += 1
    progress("restore", len(blobs), len(blobs))
    entry = {
        "act": ACT,
        "at": format_time(workspace.now),
        "export": checked.digest,
        "exported_commit": listed.commit,
        "documents": counts["documents"],
        "others": counts["others"],
    }
    workspace.log_act(entry)
    lost = _lost(workspace)
    # A plan that is lost could not be finished: what was begun is, now that its blobs are back.
    # No plan waits for an opinion; those on open cases are in no export.
    recovered = 0 if lost.keys() - {"opinion"} else workspace.recover()
    return VaultRestoreResult(
        listed.commit,
        counts["documents"],
        counts["others"],
        counts["intact"],
        lost,
        tuple(checked.notes),
        recovered,
    )


def sound(checked: ExportVerification, folder: Path) -> Inventory:
    """Return the inventory of an export in which nothing is wrong.

    Raises:
        IntegrityError: Something is.
    """
    if checked.problems or checked.inventory is None:
        raise IntegrityError(
            f"{folder}: {len(checked.problems)} things are wrong with this export, the first: "
            f"{checked.problems[0]}",
            hint="`ragguard export --verify DIR --log-key KEY` lists them; take another copy.",
        )
    return checked.inventory


def _check_past(workspace: Workspace, folder: Path, listed: Inventory) -> None:
    """Refuse an export that is not of this workspace's own past."""
    leaves = [leaf for _, _, leaf in log_check.read_records(workspace).entries]
    path = inventories.CHECKPOINT
    name, size = inventories.paths(listed)[path]
    text = safe_read.read_named(folder, path, name, size).decode("utf-8", "replace")
    if wrong := log_check.check_expected(workspace, text, leaves):
        raise LogError(
            f"{folder}: {wrong}",
            hint="The export knows more than this ledger: restore the ledger from its backup first,"
            " or make a new workspace with `ragguard export --restore DIR --into NEWDIR`.",
        )
    with workspace.ledger.reading() as conn:
        seen = [name for _, _, name in audit_queries.all_roots(conn)]
    if seen[: len(listed.roots)] != list(listed.roots):
        raise IntegrityError(f"{folder}: its trust roots are not the ones this workspace has seen")


def _blobs(listed: Inventory) -> Iterator[tuple[str, str, str, int]]:
    """Tell what of an export the vault keeps: path, kind, digest and size."""
    for name, size in sorted(listed.objects.items()):
        yield inventories.object_path(name), "documents", name, size
    for path, (name, size) in sorted(inventories.paths(listed).items()):
        if path.startswith(("manifests/", "decisions/", "denied/")) or path == inventories.CANARIES:
            yield path, "others", name, size


def _lost(workspace: Workspace) -> dict[str, int]:
    """Tell what the vault should have and has not, by what it is."""
    lost: Counter[str] = Counter()
    with workspace.ledger.reading() as conn:
        names = dict.fromkeys((name, kind) for kind, name in audit_queries.vault_names(conn))
    for name, kind in names:
        lost[kind] += not workspace.vault.has(name)
    return {kind: number for kind, number in sorted(lost.items()) if number}
