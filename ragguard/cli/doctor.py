"""`ragguard doctor`."""

from __future__ import annotations

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, say


@click.command()
@format_option
@click.pass_context
def doctor(ctx: click.Context, fmt: str) -> int:
    """Look at everything that can be wrong with a workspace.

    Trust root, keys, clock, disk, model files, engine, authentication, single writer, calibration.

    \b
    Example:
      ragguard doctor
    """
    from ragguard.doctor import examine

    with open_workspace(ctx) as workspace:
        found = examine(workspace)
    codes = {f.exit_code for f in found}
    code = next((c for c in (70, 3, 5, 2) if c in codes), 0)
    if fmt != "table":
        emit(fmt, [f.__dict__ for f in found])
        return code
    for finding in found:
        say(f"{finding.state:5}  {finding.name:14} {finding.detail}")
        if finding.hint and finding.state != "ok":
            say(f"{'':21} {finding.hint}")
    return code
