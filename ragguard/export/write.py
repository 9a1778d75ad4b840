"""Write the clean set of a commit to a folder that another host keeps and a stranger verifies.

Clean is what `corpus.clean_set` says: provenance good under the trust of today, not denied, bytes
in the vault as they were signed. What waits for a reviewer today is not in it, whatever the commit.
What was rejected is in it as far as it takes to recognise it, apart (`denials`). The folder is made
aside, synced and renamed: killed at any moment, nothing is under its name.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ragguard.corpus import log_check
from ragguard.corpus.clean_set import ExcludedDocument, never_decided, read_back, sift
from ragguard.errors import LedgerError, LogError, UsageError, VaultError
from ragguard.export import denials, releases
from ragguard.export import inventory as inventories
from ragguard.export.inventory import Inventory, ListedDocument, OmittedDocument, about_of
from ragguard.ledger import audit_queries, commits, log, versions, versions_at
from ragguard.ledger.commits import AcceptedManifest, CommitRow
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding, Progress
from ragguard.trust.canonical import digest_bytes, format_time
from ragguard.trust.files import make_folder, sync_folder
from ragguard.workspace import Workspace

PART = 64  # files of the vault that are read at once
_WRITERS = 8


@dataclass(frozen=True)
class ExportResult:
    """What was exported.

    Attributes:
        digest: Digest of its inventory.
        bytes: What it takes on disk.
        log_key: Verifier key of the log, with which it is verified.
        recovered: Commits that an interrupted run had begun, finished first.
    """

    folder: Path
    inventory: Inventory
    digest: str
    bytes: int
    log_key: str
    recovered: int = 0

    @property
    def exit_code(self) -> int:
        """1 when something was left out or could not be read."""
        return 1 if self.inventory.left or self.inventory.missing else 0


def export(
    workspace: Workspace,
    target: Path,
    *,
    at: int | None = None,
    denied_texts: bool = True,
    progress: Progress = lambda stage, done, total: None,
) -> ExportResult:
    """Write the clean set into a folder.

    Args:
        workspace: Open and locked; an interrupted commit is finished first.
        target: A folder that is new or empty, outside the workspace.
        at: Commit whose corpus is meant; `None` for the last one.
        denied_texts: Also the texts of what reviewers rejected, by which rewrites are recognised.

    Raises:
        UsageError: Nothing was ingested yet, no such commit, or the folder is not empty or in the
            workspace.
        LogError, LedgerError: The log or the ledger is not what was signed; nothing is exported.
    """
    target = _check_target(workspace, target)
    recovered = workspace.recover()
    records = log_check.read_records(workspace)
    report = log_check.LogReport()
    log_check.check_tree(workspace, records, report)
    if report.problems:
        raise LogError(
            f"log: {report.problems[0]}: nothing is exported", hint="Run `ragguard log verify`."
        )
    row = _commit(records.rows, at)
    aside = target.with_name(f".{target.name}.ragguard-export")
    shutil.rmtree(aside, ignore_errors=True)  # what a killed run left
    make_folder(aside.parent)
    aside.mkdir(mode=0o700)
    try:
        inventory, size = _fill(workspace, aside, row, records, progress, denied_texts)
        _sync_folders(aside)
        if target.exists():
            target.rmdir()
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync_folder(target.parent)
    digest = digest_bytes(inventories.dump(inventory))
    return ExportResult(target, inventory, digest, size, workspace.log_key, recovered)


def _check_target(workspace: Workspace, target: Path) -> Path:
    """Tell where the export goes, links followed."""
    place = Path(os.path.realpath(target))
    if place.is_relative_to(workspace.folder.resolve()):
        raise UsageError(
            f"{target}: is in the workspace, and would be lost with it",
            hint="Name a folder elsewhere, best on another host.",
        )
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{target}: is no empty folder", hint="Name a new folder for each export.")
    return place


def _commit(rows: Sequence[CommitRow], at: int | None) -> CommitRow:
    """Return the commit that is meant; rows come newest first."""
    if not rows:
        raise UsageError(
            "nothing to export: no manifest was ingested yet",
            hint="`ragguard ingest` a manifest first.",
        )
    for row in rows:
        if at is None or row.id == at:
            return row
    raise UsageError(f"commit {at}: there is none", hint="`ragguard history` lists the commits.")


def _fill(
    workspace: Workspace,
    aside: Path,
    row: CommitRow,
    records: log_check.Records,
    progress: Progress,
    denied_texts: bool,
) -> tuple[Inventory, int]:
    """Write everything into the folder aside; returns the inventory and the bytes written."""
    generation = workspace.generation()
    with workspace.ledger.reading() as conn:
        stays = versions.stays_at(conn, "serving", row.id)
        waiting = {about_of(versions.version_of(r)) for r in versions.stays_at(conn, "quarantine")}
        everything = [versions.version_of(r) for r in stays]
        index = row.log_index if row.log_index is not None else -1
        entry = log.body(conn, index)
        roots = audit_queries.all_roots(conn)
        recipe = commits.recipe_body(conn, generation.recipe) if generation is not None else {}
    if not versions_at.digest_of(everything) == row.corpus == entry.get("corpus"):
        raise LedgerError(
            f"commit {row.id}: the ledger's corpus is not the one that was logged",
            hint="Run `ragguard audit`; nothing is exported.",
        )
    since = {r.id: r.since for r in stays}
    clean, left = sift(workspace, stays)
    left += [_waits(r) for r in clean if about_of(r) in waiting]
    with workspace.ledger.reading() as conn:
        rest = [r for r in clean if about_of(r) not in waiting]
        undecided = versions_at.undecided(conn, rest)
    left += [never_decided(r) for r in rest if r.id in undecided]
    released = releases.gather(workspace, rest)
    unproved = released.unproved(r for r in rest if r.id not in undecided)
    left += unproved
    out = undecided | {document.version.id for document in unproved}
    rest = [r for r in rest if r.id not in out]
    writer = _Writer(aside)
    kept: list[VersionRow] = []
    for number, part in enumerate(parts := list(_parts(rest))):
        progress("objects", number, len(parts))
        readable, damaged = read_back(workspace, part)
        left += damaged
        good = [r for r in part if r.id in readable]
        kept += good
        names = sorted({r.subject_digest for r in good})
        writer.write({inventories.object_path(n): workspace.vault.get(n) for n in names})
    progress("objects", len(parts), len(parts))
    objects = {Path(path).name: size for path, (_, size) in writer.written.items()}
    missing: list[str] = []
    files = dict(_records(workspace, records, roots))
    denied, opinions = denials.gather(workspace, files, missing, texts=denied_texts)
    released = released.of(kept)
    standing = {row.manifest for row in kept} | {denial.manifest for denial in denied}
    standing |= {decision.manifest for decision in released.decisions}
    manifests = _manifests(workspace, standing, files, missing)
    files |= released.files()
    missing += released.missing()
    canaries = _canaries(workspace, records, files, missing)
    writer.write(files)
    inventory = Inventory(
        made=format_time(workspace.now),
        origin=workspace.origin,
        commit=row.id,
        log_index=index,
        corpus=row.corpus,
        size=len(records.entries),
        roots=[name for _, _, name in roots],
        recipe=dict(recipe),
        documents=[_listed(r, since[r.id]) for r in sorted(kept, key=_order)],
        left=[
            _omitted(document)
            for document in sorted(left, key=lambda document: _order(document.version))
        ],
        manifests=manifests,
        decisions=released.decisions,
        opinions=[*released.opinions, *opinions],
        denied=denied,
        canaries=canaries,
        missing=missing,
        objects=objects,
        files={path: list(writer.written[path]) for path in files},
    )
    data = inventories.dump(inventory)
    text = inventories.note_text(workspace.origin, digest_bytes(data))
    signed = workspace.sign_note(text).encode()
    writer.write({inventories.INVENTORY: data, inventories.NOTE: signed})
    digests = {path: name for path, (name, _) in writer.written.items()}
    writer.write({inventories.SUMS: inventories.sums(digests)})
    return inventory, sum(size for _, size in writer.written.values())


class _Writer:
    """Writes files durably below a folder, and remembers digest and size of each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.written: dict[str, tuple[str, int]] = {}

    def write(self, files: Mapping[str, bytes]) -> None:
        for path in files:
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(self._write, files, files.values()))
        self.written |= {path: (digest_bytes(data), len(data)) for path, data in files.items()}

    def _write(self, path: str, data: bytes) -> None:
        with open(self._folder / path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _sync_folders(top: Path) -> None:
    for folder, _, _ in os.walk(top):
        sync_folder(Path(folder))


def _parts(rows: Sequence[VersionRow]) -> Iterator[list[VersionRow]]:
    """Yield documents, all of a file together, few files at once."""
    files: dict[str, list[VersionRow]] = defaultdict(list)
    for row in rows:
        files[row.subject_digest].append(row)
    names = sorted(files)
    for start in range(0, len(names), PART):
        yield [row for name in names[start : start + PART] for row in files[name]]


def _records(
    workspace: Workspace, records: log_check.Records, roots: Iterable[tuple[int, bytes, str]]
) -> Iterator[tuple[str, bytes]]:
    """Return the log, the checkpoint that covers it, its key, and every trust root."""
    yield inventories.LOG, "".join(f"{text}\n" for _, text, _ in records.entries).encode()
    yield inventories.CHECKPOINT, records.kept[-1][1].encode()
    yield inventories.LOG_KEY, f"{workspace.log_key}\n".encode()
    for version, envelope, _ in roots:
        yield inventories.root_path(version), envelope


def _manifests(
    workspace: Workspace, standing: Set[str], files: dict[str, bytes], missing: list[str]
) -> dict[str, str]:
    """What documents stand on, and the newest manifest of every source: digest to file digest."""
    with workspace.ledger.reading() as conn:
        accepted = {row.digest: row for row in commits.accepted_manifests(conn)}
    newest: dict[str, AcceptedManifest] = {}
    for row in accepted.values():
        if row.version >= 1 and row.version >= newest.get(row.source, row).version:
            newest[row.source] = row
    wanted = (standing & accepted.keys()) | {row.digest for row in newest.values()}
    envelopes: dict[str, str] = {}
    for name in sorted(wanted):
        row = accepted[name]
        try:
            files[inventories.manifest_path(name)] = workspace.vault.get(row.envelope)
        except VaultError as error:  # no document of the clean set stands on it
            missing.append(f"manifest {row.version} of {row.source!r}: {error.message}")
            continue
        envelopes[name] = row.envelope
    return envelopes


def _canaries(
    workspace: Workspace, records: log_check.Records, files: dict[str, bytes], missing: list[str]
) -> str | None:
    """Return the canary set in force, which the log names last."""
    named = [b.get("digest") for b in log_check.bodies(records.entries) if b.get("act") == "canary"]
    if not named:
        return None
    try:
        files[inventories.CANARIES] = workspace.vault.get(str(named[-1]))
    except VaultError as error:
        missing.append(f"canary set in force: {error.message}")
        return None
    return str(named[-1])


def _listed(row: VersionRow, since: int) -> ListedDocument:
    return ListedDocument(
        source=row.source,
        document=row.document,
        digest=row.digest,
        metadata=dict(row.metadata),
        metadata_digest=row.metadata_digest,
        subject=row.subject,
        subject_digest=row.subject_digest,
        manifest=row.manifest,
        commit=row.commit,
        since=since,
        policy_digest=row.policy_digest,
        outcome=row.outcome,
        score=row.score,
        p_value=row.p_value,
        findings=list(row.findings),
        hidden=[list(piece) for piece in row.hidden],
    )


def _omitted(left: ExcludedDocument) -> OmittedDocument:
    first = left.findings[0]
    return OmittedDocument(*about_of(left.version), first.check, first.detail)


def _waits(row: VersionRow) -> ExcludedDocument:
    finding = Finding("waits", 1.0, None, "the same bytes wait for a reviewer today")
    return ExcludedDocument(row, (finding,), waits=True)


def _order(row: VersionRow) -> tuple[str, str]:
    return row.source, row.document
