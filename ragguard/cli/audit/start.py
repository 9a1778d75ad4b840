"""What `ragguard audit` starts when it is done, told on the terminal."""

from __future__ import annotations

from functools import partial

import click

from ragguard.audit.findings import AuditReport
from ragguard.cli.context import open_workspace, workspace_folder
from ragguard.cli.output import note
from ragguard.cli.progress import Progress


def start(ctx: click.Context, report: AuditReport, *, full: bool) -> int:
    """Do what `[triggers]` allows for what an audit found; see `jobs.started`."""
    from ragguard.integrations.jobs import started
    from ragguard.workspace import meant

    allowed = meant.settings(workspace_folder(ctx)).triggers
    with Progress() as progress:
        return started.start(
            partial(open_workspace, ctx),
            allowed,
            report,
            full=full,
            progress=progress.update,
            say=note,
        )
