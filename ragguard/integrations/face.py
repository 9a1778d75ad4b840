"""Open a workspace from Python, with the words of the command line.

Each method is the function behind the command of its name. What has no method here takes the open
workspace as its first argument; docs/python-api.md names those functions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ragguard import workspace
from ragguard.config import Settings
from ragguard.trust import canonical
from ragguard.workspace import meant

if TYPE_CHECKING:
    from ragguard.audit import AuditResult
    from ragguard.corpus.places import Place
    from ragguard.ingest.report import Report
    from ragguard.ledger.queue import Entry
    from ragguard.lineage.custody import Custody
    from ragguard.lineage.trace import TraceResult
    from ragguard.quarantine.hold import HoldResult
    from ragguard.quarantine.statement import Action
    from ragguard.serving.retriever import Retriever
    from ragguard.serving.search import Hit
    from ragguard.trust.scope import Wanted

AnyPath = str | os.PathLike[str]


def open_workspace(
    folder: AnyPath | None = None,
    *,
    now: datetime | None = None,
    settings: Settings | None = None,
) -> Workspace:
    """Open a workspace as the command line does, and lock it; use it in a `with` block.

    The clock is read once: keep it open for one run and not for the life of a service, or what
    expires meanwhile is not seen.

    Args:
        folder: The workspace; else the one `RAGGUARD_WORKSPACE` names, else the one the current
            folder is in.
        now: The run's time, with its time zone; the clock's by default.
        settings: Instead of those of its ragguard.toml and the `RAGGUARD_*` variables.

    Raises:
        UsageError: The folder is no workspace, its settings are wrong, or they are another user's.
        LockedError: Another process works on it.
        LedgerError, TrustRootError: See `ragguard.workspace.Workspace`.
    """
    workspace_folder = meant.folder(folder)
    return Workspace(
        workspace_folder, settings or meant.settings(workspace_folder), now or canonical.now()
    )


class Workspace(workspace.Workspace):
    """An open workspace; made by `open_workspace`."""

    def ingest(
        self,
        manifests: AnyPath | Iterable[AnyPath],
        *,
        root: AnyPath | None = None,
        observe: bool | None = None,
        dry_run: bool = False,
    ) -> Report:
        """Bring signed documents in; keep suspects out. See `ragguard.ingest.run.ingest`."""
        from ragguard.ingest.run import ingest

        paths, base = _paths(manifests), None if root is None else self._root_at(os.fspath(root))
        return ingest(self, paths, root=base, observe=observe, dry_run=dry_run)

    def _root_at(self, root: str) -> Path | Place:
        """Return a folder, or another place by its URL."""
        from ragguard.corpus.places import is_url, open_place

        return open_place(root, self.settings.plugins.loaders) if is_url(root) else Path(root)

    def search(self, query: str, k: int = 5, *, proof: bool = False) -> list[Hit]:
        """Ask the serving index. See `ragguard.serving.search.search`."""
        from ragguard.serving.search import search

        self.recover()
        return search(self, query, k, proof=proof)

    def retriever(self, *, scope: Wanted | None = None, receipts: bool = False) -> Retriever:
        """Make a retriever that gives only what is proved; it lives as long as this workspace.

        See `ragguard.serving.retriever.Retriever`; `scope` says whom it answers,
        `receipts` has every answer signed.
        """
        from ragguard.serving.retriever import open_retriever

        return open_retriever(self, scope=scope, receipts=receipts)

    def audit(
        self,
        *,
        full: bool = False,
        re_embed: bool = False,
        max_minutes: float | None = None,
        expect_checkpoint: str | None = None,
        quarantine: bool = False,
    ) -> AuditResult:
        """Look at the whole index; arguments are those of `ragguard.audit.AuditRequest`."""
        from ragguard.audit import AuditRequest, audit

        asked = AuditRequest(
            full=full,
            re_embed=re_embed,
            max_minutes=max_minutes,
            expect_checkpoint=expect_checkpoint,
            quarantine=quarantine,
        )
        return audit(self, asked)

    def trace_document(self, what: str) -> Custody:
        """Trace a document to its signer. See `ragguard.lineage.custody.trace_document`."""
        from ragguard.lineage.custody import trace_document

        self.recover()
        return trace_document(self, what)

    def trace_answer(self, query: str, answer: str = "", k: int = 10) -> TraceResult:
        """Trace a bad answer to its documents. See `ragguard.lineage.trace.trace_answer`."""
        from ragguard.lineage.trace import trace_answer

        self.recover()
        return trace_answer(self, query, answer, k)

    @cached_property
    def quarantine(self) -> Quarantine:
        """What waits for a reviewer."""
        return Quarantine(self)


class Quarantine:
    """The quarantine of an open workspace, as `ragguard quarantine` has it."""

    def __init__(self, opened: Workspace) -> None:
        self._workspace = opened

    def list(self) -> Sequence[Entry]:
        """Open cases, oldest first. See `ragguard.ledger.queue.entries`."""
        from ragguard.ledger.queue import entries

        with self._workspace.ledger.reading() as conn:
            return entries(conn)

    def release(
        self, case: int | str, *, key: AnyPath, reason: str, passphrase: bytes | None = None
    ) -> int | None:
        """Bring the document of a case into the serving index; returns the commit's number.

        `None` where the contract asks for more reviewers, and this one's word is kept.

        Args:
            case: Its number, or the document, `source/id`.
            key: The reviewer's private key file.
            reason: Why, in your words; signed and logged.
            passphrase: Of the key, where it is under one.

        Raises:
            UsageError: No such open case, no reason, or the key file is wrong.
            DecisionError: The key is no reviewer's in force, or signed the document.
        """
        return self._decide("release", case, key, reason, passphrase)

    def reject(
        self, case: int | str, *, key: AnyPath, reason: str, passphrase: bytes | None = None
    ) -> int | None:
        """Deny the document of a case, and quarantine its like from now on; see `release`."""
        return self._decide("reject", case, key, reason, passphrase)

    def hold(self, documents: Iterable[str], *, reason: str) -> HoldResult:
        """Take documents out of the index, to wait. See `ragguard.quarantine.hold.hold`."""
        from ragguard.quarantine.hold import hold

        return hold(self._workspace, [*documents], reason)

    def _decide(
        self, action: Action, case: int | str, key: AnyPath, reason: str, passphrase: bytes | None
    ) -> int | None:
        from ragguard.quarantine import review
        from ragguard.trust.key_files import read_key

        pair = read_key(Path(key), lambda: passphrase)
        self._workspace.recover()
        case_row = review.find(self._workspace.ledger, str(case))
        return review.decide(self._workspace, case_row, action, pair, reason)


def _paths(given: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """One path or several: a string is one, not its letters."""
    return [Path(given)] if isinstance(given, str | os.PathLike) else [Path(p) for p in given]
