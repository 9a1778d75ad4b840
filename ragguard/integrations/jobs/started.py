"""Start what an audit calls for: a full audit, a rebuild beside what serves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from ragguard.audit import AuditRequest, audit
from ragguard.audit.findings import AuditReport
from ragguard.audit.triggers import fired
from ragguard.config import TriggerSettings
from ragguard.model import Progress
from ragguard.rebuild.gate import canary_gate
from ragguard.rebuild.reindex import reindex
from ragguard.workspace import Workspace

GRAVITY = (0, 1, 4, 5, 3)  # of exit codes, the gravest last
Opened = Callable[[], AbstractContextManager[Workspace]]
Say = Callable[[str], None]


def start(
    opened: Opened,
    allowed: TriggerSettings,
    report: AuditReport,
    *,
    full: bool,
    progress: Progress,
    say: Say,
) -> int:
    """Do what `[triggers]` allows for what an audit found.

    Args:
        opened: Opens the workspace, locked.
        allowed: What the operator allowed.
        full: Whether it was a full one, which starts no other.
        say: Told what was started, and what came of it.

    Returns:
        The gravest exit code of what was started; 0 where nothing was.
    """
    codes = [0]
    for act, names in fired(allowed, report).items():
        why = f"[triggers] {', '.join(names)}"
        if act == "audit" and not full:
            codes.append(_audit(opened, why, progress, say))
        elif act == "stage":
            codes.append(_stage(opened, why, progress, say))
    return max(codes, key=GRAVITY.index)


def _audit(opened: Opened, why: str, progress: Progress, say: Say) -> int:
    with opened() as workspace:
        report = audit(workspace, AuditRequest(full=True), progress).report
    say(f"{why}: started a full audit: {len(report.findings)} findings, kept in the log")
    return report.exit_code()


def _stage(opened: Opened, why: str, progress: Progress, say: Say) -> int:
    """Build a candidate; it never serves by itself."""
    with opened() as workspace:
        rebuilt = reindex(workspace, stage=True, gate=canary_gate(workspace), progress=progress)
    if rebuilt.commit is not None:
        say(
            f"{why}: started reindex --stage: commit {rebuilt.commit}, generation "
            f"{rebuilt.generation} is a candidate; ragguard cutover start or finish is yours"
        )
    else:
        reasons = [rebuilt.skipped, *rebuilt.refused, *rebuilt.stops]
        explanation = "; ".join(reason for reason in reasons if reason) or "nothing to do"
        say(f"{why}: started reindex --stage, and there is no new candidate: {explanation}")
    return rebuilt.exit_code
