"""What an audit starts when it is done: a full audit, a rebuild beside what serves."""

from __future__ import annotations

import click

from ragguard.audit.findings import AuditReport
from ragguard.audit.triggers import fired
from ragguard.cli.context import open_workspace
from ragguard.cli.output import note
from ragguard.cli.progress import Progress

GRAVITY = (0, 1, 4, 5, 3)  # of exit codes, the gravest last


def start(ctx: click.Context, report: AuditReport, *, full: bool) -> int:
    """Do what `[triggers]` allows for what an audit found.

    Args:
        ctx: Of the command.
        report: Of the audit.
        full: Whether it was a full one, which starts no other.

    Returns:
        The gravest exit code of what was started; 0 where nothing was.
    """
    with open_workspace(ctx, exclusive=False) as workspace:
        asked = fired(workspace.settings.triggers, report)
    codes = [0]
    for act, names in asked.items():
        why = f"[triggers] {', '.join(names)}"
        if act == "audit" and not full:
            codes.append(_audit(ctx, why))
        elif act == "stage":
            codes.append(_stage(ctx, why))
    return max(codes, key=GRAVITY.index)


def _audit(ctx: click.Context, why: str) -> int:
    from ragguard.audit import Asked
    from ragguard.audit import audit as run

    with open_workspace(ctx) as workspace, Progress() as progress:
        report = run(workspace, Asked(full=True), progress.update).report
    note(f"{why}: started a full audit: {len(report.findings)} findings, kept in the log")
    return report.exit_code()


def _stage(ctx: click.Context, why: str) -> int:
    """Build a candidate; it never serves by itself."""
    from ragguard.rebuild.gate import canary_gate
    from ragguard.rebuild.reindex import reindex as run

    with open_workspace(ctx) as workspace, Progress() as progress:
        made = run(workspace, stage=True, gate=canary_gate(workspace), progress=progress.update)
    if made.commit is not None:
        note(
            f"{why}: started reindex --stage: commit {made.commit}, generation "
            f"{made.generation} is a candidate; ragguard cutover start or finish is yours"
        )
    else:
        reasons = [made.skipped, *made.refused, *made.stops]
        said = "; ".join(reason for reason in reasons if reason) or "nothing to do"
        note(f"{why}: started reindex --stage, and there is no new candidate: {said}")
    return made.exit_code
