"""Read earlier audits: an entry of the log names report and snapshot, the vault keeps both.

So the past of an audit is as hard to rewrite as the log, and the ledger needs no table for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ragguard.audit.drift import REMEMBERED
from ragguard.audit.findings import AuditReport
from ragguard.audit.report import json as report_json
from ragguard.audit.snapshot import AuditSnapshot, dump_snapshot, load_snapshot
from ragguard.errors import RagguardError
from ragguard.ledger import log
from ragguard.workspace import Workspace

logger = logging.getLogger(__name__)

ACT = "audit"


@dataclass(frozen=True)
class Past:
    """An earlier audit.

    Attributes:
        snapshot: What it remembered; `None` where it could not look at the index.
    """

    report: AuditReport
    snapshot: AuditSnapshot | None


def remembered(workspace: Workspace, most: int = REMEMBERED) -> tuple[list[Past], list[str]]:
    """Return the last audits, oldest first.

    Returns:
        The audits, and what is wrong with those that cannot be read.
    """
    audits: list[Past] = []
    damaged: list[str] = []
    for text in _logged(workspace):
        if len(audits) + len(damaged) == most:
            break
        if log.read(text) is None:
            damaged.append("an entry of the log on an audit is none any more")
        if (entry := _audit_in(text)) is None:
            continue
        try:
            report = report_json.load(workspace.vault.get(str(entry["report"])))
            kept = entry.get("snapshot")
            snapshot = load_snapshot(workspace.vault.get(str(kept))) if kept else None
            audits.append(Past(report, snapshot))
        except KeyError:
            damaged.append("an entry of the log on an audit names no report")
        except RagguardError as error:
            damaged.append(f"an earlier audit cannot be read: {error.message}")
    return audits[::-1], damaged


def last_report(workspace: Workspace) -> AuditReport | None:
    """Tell what the last audit said; `None` before the first.

    Raises:
        RagguardError, ValueError: It cannot be read.
    """
    entry = next(filter(None, map(_audit_in, _logged(workspace))), None)
    return report_json.load(workspace.vault.get(str(entry["report"]))) if entry else None


def last_audit_at(workspace: Workspace) -> str:
    """Tell when the last audit was, as logged; empty before the first."""
    entry = next(filter(None, map(_audit_in, _logged(workspace))), None)
    return str(entry["at"]) if entry else ""


def _logged(workspace: Workspace) -> Iterator[str]:
    """Yield entries of the log that may be an audit's, newest first."""
    with workspace.ledger.reading() as conn:
        texts = [text for _, text, _ in log.entries(conn) if f'"{ACT}"' in text]
    return reversed(texts)


def _audit_in(text: str) -> dict[str, Any] | None:
    """Return the entry of an audit; `None` where it is another's."""
    entry = log.read(text)
    # One with a plan is a commit that took suspects out.
    return entry if entry and entry.get("act") == ACT and "plan" not in entry else None


def remember(workspace: Workspace, report: AuditReport, snapshot: AuditSnapshot | None) -> None:
    """Keep report and snapshot in the vault, and log the act; the log gets a new checkpoint."""
    entry = {
        "act": ACT,
        "at": report.at,
        "report": workspace.vault.put(report_json.dump(report)),
        "snapshot": workspace.vault.put(dump_snapshot(snapshot)) if snapshot else None,
        "findings": dict(sorted(report.levels.items())),
        "failed": [p.name for p in report.incomplete],
    }
    workspace.log_act(entry)
