"""Decide what a commit opened, as `quarantine release --commit` does."""

from __future__ import annotations

from ragguard.errors import UsageError
from ragguard.ledger import queue
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.queue import Choice
from ragguard.quarantine.review import decide_cases
from ragguard.quarantine.statement import Action
from ragguard.trust.keys import KeyPair
from ragguard.workspace import Workspace


def decide_all(
    workspace: Workspace, commit: int, action: Action, key: KeyPair, reason: str
) -> tuple[int | None, list[CaseRow]]:
    """Decide every open case that a commit opened; returns the new commit and the cases."""
    workspace.recover()
    with workspace.ledger.reading() as conn:
        found = queue.entries(conn, choice=Choice(frozenset(), frozenset(), "", commit))
    opened = [entry.case for entry in found if entry.case.kind == "document"]
    if not opened:
        raise UsageError(f"commit {commit}: it opened no case that is still open")
    return decide_cases(workspace, opened, action, key, reason).commit, opened
