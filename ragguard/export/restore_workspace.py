"""Restore a workspace from an export: its trust, its documents, its past.

New are the keys of the service (checkpoint and seal) and the log; the root key stays where it is.
The new log begins with the old one's checkpoint and the digest of the export. It then repeats the
old order: the trust roots one by one, and under each the manifests that were accepted under it, a
commit of kind `restore` each, so that keys count for them as they did, versions cannot be rolled
back, and every document has its own proof. What stands on a key that was revoked later comes after
the last trust root: the old workspace had decided that it may stay, and its log's key signed that.

Documents keep their verdicts and are embedded again. Releases come along, and denials, each in a
commit of its own after all documents. The folder is made aside and renamed: killed at any moment,
no workspace is under its name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ragguard import config
from ragguard.canary import sets
from ragguard.corpus import changes
from ragguard.corpus.carry_over import carry
from ragguard.corpus.clean_set import ExcludedDocument, read_back
from ragguard.corpus.embed import EmbeddedDocument, embed, take_apart
from ragguard.errors import UsageError
from ragguard.export import denials as denying
from ragguard.export import inventory as inventories
from ragguard.export import safe_read, verify
from ragguard.export.inventory import Inventory, ListedDocument
from ragguard.export.restore_vault import ACT, sound
from ragguard.export.verify import ExportVerification, VerifiedManifest
from ragguard.ledger import commits
from ragguard.ledger.commits import Generation, ManifestRow
from ragguard.ledger.versions import VersionRow
from ragguard.model import Progress
from ragguard.trust import adoption
from ragguard.trust.canonical import digest_bytes, format_time
from ragguard.trust.files import replace_file
from ragguard.workspace import Workspace, create

PART = 64  # files put into the vault at once
_SPLITTER = re.compile(r".* size=(\d{1,6}) overlap=(\d{1,6})")


@dataclass(frozen=True)
class WorkspaceRestoreResult:
    """The new workspace.

    Attributes:
        commit: Its last commit; `None` where the export held nothing to commit.
        documents: Documents that serve.
        releases: Releases of reviewers that came along.
        denials: Rejected documents that are refused here too.
        left: Documents of the export that could not be read, with the reason.
        recipe_changed: Whether they are embedded by another recipe than they were.
        notes: What verifying the export said.
    """

    folder: Path
    origin: str
    commit: int | None
    documents: int
    releases: int
    denials: int
    left: Sequence[ExcludedDocument] = ()
    recipe_changed: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """1 when it does not answer as the old one did."""
        return 1 if self.left or self.recipe_changed else 0


def restore_into(
    folder: Path,
    target: Path,
    log_key: str,
    now: datetime,
    *,
    root: str | None = None,
    environment: Mapping[str, str] | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> WorkspaceRestoreResult:
    """Make a new workspace from an export.

    Args:
        target: A folder that is new or empty.
        log_key: Verifier key of the old log, kept elsewhere.
        root: Digest of a trust root that must be among the export's, see `verify.verify`.
        environment: Variables that stand for settings, as `config.load` takes them.

    Raises:
        IntegrityError: The export does not verify.
        UsageError: The folder is not empty.
        StoreError, EncodeError: The index could not be made; there is no workspace then.
    """
    place = Path(os.path.realpath(target))
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(
            f"{target}: is no empty folder", hint="Name a new folder for the new workspace."
        )
    checked = verify.verify(folder, log_key, root=root)
    listed = sound(checked, folder)
    aside = place.with_name(f".{place.name}.ragguard-restore")
    shutil.rmtree(aside, ignore_errors=True)  # what a killed run left
    try:
        _found(folder, aside, checked, listed, now)
        settings = config.load(aside / config.FILE, environment or {})
        with Workspace(aside, settings, now) as workspace:
            restored = _Restoring(workspace, folder, checked, listed, progress).run(place)
        if place.exists():
            place.rmdir()
        aside.rename(place)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return restored


def _found(
    folder: Path, aside: Path, checked: ExportVerification, listed: Inventory, now: datetime
) -> None:
    """The empty workspace, on the first trust root."""
    act = {
        "act": ACT,
        "at": format_time(now),
        "export": checked.digest,
        "origin": listed.origin,
        "exported_commit": listed.commit,
        "corpus": listed.corpus,
        "checkpoint": _read(folder, listed, inventories.CHECKPOINT).decode(),
    }
    first = _read(folder, listed, inventories.root_path(1))
    create.found(aside, first, now, acts=[act], settings=_settings(listed.recipe))


def _settings(recipe: Mapping[str, Any]) -> str:
    """ragguard.toml with which documents are cut and embedded as they were."""
    text = config.TEMPLATE
    if isinstance(name := recipe.get("model"), str):
        text = text.replace("[model]\n", f"[model]\nname = {json.dumps(name)}\n")
    if match := _SPLITTER.fullmatch(str(recipe.get("splitter"))):
        text = text.replace("[chunks]\n", f"[chunks]\nsize = {match[1]}\noverlap = {match[2]}\n")
    return text


def _read(folder: Path, listed: Inventory, path: str) -> bytes:
    return safe_read.read_named(folder, path, *inventories.paths(listed)[path])


class _Restoring:
    """One restoration into a workspace that has nothing yet but its first trust root."""

    def __init__(
        self,
        workspace: Workspace,
        folder: Path,
        checked: ExportVerification,
        listed: Inventory,
        progress: Progress,
    ) -> None:
        self._workspace = workspace
        self._folder = folder
        self._checked = checked
        self._listed = listed
        self._progress = progress
        self._files = inventories.paths(listed)
        self._by_manifest: dict[str, list[tuple[VersionRow, EmbeddedDocument]]] = defaultdict(list)
        self._commit: int | None = None
        self._releases = 0
        self._denied = sorted(checked.denied, key=lambda pair: pair[0].log_index)
        self._kept = 0

    def run(self, place: Path) -> WorkspaceRestoreResult:
        """Everything; `place` is where the workspace will be."""
        workspace, listed = self._workspace, self._listed
        self._fill_vault()
        recipe = workspace.encoder.recipe
        left = self._prepare()
        generation = workspace.ensure_generation(recipe)
        late: list[str] = []
        for version in range(1, len(listed.roots) + 1):
            self._advance(version)
            for name, accepted in self._accepted_under(version):
                if self._counts_today(accepted):
                    self._take(generation, name, accepted, self._by_manifest[name])
                else:
                    self._take(generation, name, accepted, [])
                    late.append(name)
        for name in late:
            if self._by_manifest[name]:
                accepted = self._checked.accepted[name]
                self._take(generation, name, accepted, self._by_manifest[name])
        self._deny(generation, recipe.digest == listed.recipe.get("digest"))
        if listed.canaries is not None:
            path = inventories.CANARIES
            sets.keep(workspace, sets.load(_read(self._folder, listed, path)))
        return WorkspaceRestoreResult(
            place,
            workspace.origin,
            self._commit,
            self._kept,
            self._releases,
            len(self._denied),
            left,
            recipe.digest != listed.recipe.get("digest"),
            tuple(self._checked.notes),
        )

    def _fill_vault(self) -> None:
        kept = [
            path
            for path in sorted(self._files)
            if path.startswith(("objects/", "manifests/", "decisions/"))
        ]
        for start in range(0, len(kept), PART):
            self._progress("vault", start, len(kept))
            blobs = [
                safe_read.read_named(self._folder, path, *self._files[path])
                for path in kept[start : start + PART]
            ]
            self._workspace.vault.put_many(blobs)
        self._progress("vault", len(kept), len(kept))

    def _prepare(self) -> list[ExcludedDocument]:
        """Parse, cut and embed every document; returns those that cannot be."""
        workspace = self._workspace
        rows = [_version(n, document) for n, document in enumerate(self._listed.documents)]
        items, left = read_back(workspace, rows)
        good = [row for row in rows if row.id in items]
        listed = [items[row.id] for row in good]
        parts, unreadable = take_apart(workspace, listed)
        left += [
            ExcludedDocument(good[n], (finding,), waits=False) for n, finding in unreadable.items()
        ]
        embedded = embed(
            workspace,
            listed,
            parts,
            {},
            keep=True,
            progress=lambda done, total: self._progress("embed", done, total),
        )
        for place, embedded_document in embedded.items():
            self._by_manifest[good[place].manifest].append((good[place], embedded_document))
        return left

    def _advance(self, version: int) -> None:
        """Let a trust root count from here on; the first counts already."""
        workspace = self._workspace
        if version == 1:
            return
        data = _read(self._folder, self._listed, inventories.root_path(version))
        path = workspace.folder / create.ROOT_FILE
        replace_file(path.with_name(f"root.{version - 1}.json"), path.read_bytes())
        replace_file(path, data)
        name = digest_bytes(data)
        act = {"act": "trust", "version": version, "root": name}
        with workspace.ledger.writing() as conn:
            commits.add_root(conn, version, data, name)
            workspace.log_act(act, conn)

    def _accepted_under(self, version: int) -> list[tuple[str, VerifiedManifest]]:
        """Manifests accepted while a version of the trust root was in force, in their order."""
        accepted = [
            (n, manifest)
            for n, manifest in self._checked.accepted.items()
            if manifest.version == version
        ]
        return sorted(accepted, key=lambda pair: pair[1].index)

    def _counts_today(self, accepted: VerifiedManifest) -> bool:
        root = self._checked.root
        return root is None or not {k.keyid for k in accepted.signers} & root.revoked.keys()

    def _take(
        self,
        generation: Generation,
        name: str,
        verified: VerifiedManifest,
        ready: Sequence[tuple[VersionRow, EmbeddedDocument]],
    ) -> None:
        """One commit: a manifest is accepted, and documents that stand on it serve."""
        workspace = self._workspace
        plan = self._draft(generation)
        for row, embedded in ready:
            carry(plan, row, embedded, "serving")
            self._take_releases(plan, plan.versions[-1])
        accepted = self._manifest_row(name, verified, plan.commit)
        actor = ", ".join(sorted({k.principal for k in verified.signers})) or "nobody"
        finished_plan = plan.finish(ACT, actor, verified.source, accepted)
        self._progress("commit", self._kept, len(self._listed.documents))
        workspace.committer.commit(finished_plan)
        self._commit = plan.commit
        self._kept += len(ready)

    def _draft(self, generation: Generation) -> changes.Draft:
        """Return an empty draft; the first version numbers are those of what is denied."""
        plan = changes.draft(self._workspace, generation)
        plan.next_version = max(plan.next_version, len(self._denied) + 1)
        return plan

    def _deny(self, generation: Generation, same_recipe: bool) -> None:
        """One commit for each denial, after all documents: what it was copied from was there."""
        for number, (denial, words) in enumerate(self._denied, start=1):
            self._progress("denials", number - 1, len(self._denied))
            plan = self._draft(generation)
            accepted = self._checked.accepted.get(denial.manifest)
            row = self._manifest_row(denial.manifest, accepted, plan.commit) if accepted else None
            finished_plan = denying.record(
                plan, self._read, denial, words, number, row, same_recipe=same_recipe
            )
            self._workspace.committer.commit(finished_plan)
            self._commit = plan.commit

    def _read(self, path: str) -> bytes:
        return safe_read.read_named(self._folder, path, *self._files[path])

    def _take_releases(self, plan: changes.Draft, row: VersionRow) -> None:
        """Releases of a document, each with a case that it closes."""
        about = (row.source, row.document, row.digest, row.metadata_digest)
        for released, words in self._checked.released:
            if released != about:
                continue
            case = plan.open_case(row)
            plan.closes.append((case, "released"))
            for word in words:
                plan.decide(case, word.said, word.reviewer, word.envelope)
            self._releases += 1

    def _manifest_row(self, name: str, verified: VerifiedManifest, commit: int) -> ManifestRow:
        manifest = verified.manifest
        if manifest is not None:
            version, expires = manifest.version, format_time(manifest.expires)
        else:
            with self._workspace.ledger.reading() as conn:
                version = commits.next_adoption(conn, verified.source)
            expires = adoption.FOREVER
        return ManifestRow(
            name,
            verified.source,
            version,
            self._listed.manifests[name],
            [[k.keyid, k.principal] for k in verified.signers],
            expires,
            commit,
        )


def _version(number: int, listed: ListedDocument) -> VersionRow:
    """Return a document as a version that no ledger has yet, of no recipe: it gets a new one."""
    return VersionRow(
        id=-1 - number,
        source=listed.source,
        document=listed.document,
        digest=listed.digest,
        metadata=listed.metadata,
        metadata_digest=listed.metadata_digest,
        policy_digest=listed.policy_digest,
        recipe="",
        subject=listed.subject,
        subject_digest=listed.subject_digest,
        manifest=listed.manifest,
        outcome=listed.outcome,
        score=listed.score,
        p_value=listed.p_value,
        findings=listed.findings,
        hidden=listed.hidden,
        chunks=0,
        commit=listed.commit,
    )
