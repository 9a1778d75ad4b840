"""`ragguard doctor`."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import NARROW, console, emit, format_option, quiet_option, say
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.doctor import DoctorFinding


@click.command()
@click.option("--probe", is_flag=True, help="Look for triggers in the model (half a minute).")
@quiet_option
@format_option
@click.pass_context
def doctor(ctx: click.Context, probe: bool, quiet: bool, fmt: str) -> int:
    """Look at everything that can be wrong with a workspace.

    Trust root, keys, clock, disk, model files, engine, authentication, single writer, calibration.
    With --probe every word that the model knows is tried: does one, put into any query, bring all
    of them to one place? Exit 3 when one does.

    \b
    Example:
      ragguard doctor
      ragguard doctor --probe
    """
    from ragguard.doctor import examine

    with open_workspace(ctx) as workspace, Progress(quiet or fmt != "table") as progress:
        findings = examine(workspace, probe=probe, progress=progress.update)
    codes = {f.exit_code for f in findings}
    code = next((c for c in (70, 3, 5, 2) if c in codes), 0)
    if fmt != "table":
        emit(fmt, [f.__dict__ for f in findings])
        return code
    for row in lines(findings, console().width if sys.stdout.isatty() else None):
        say(row)
    return code


def lines(findings: Sequence[DoctorFinding], width: int | None) -> Iterator[str]:
    """Yield findings with their hints, wrapped beside state and name; not wrapped without width."""
    for finding in findings:
        head = f"{finding.state:5}  {finding.name:14} "
        hint = [finding.hint] if finding.hint and finding.state != "ok" else []
        for text in (finding.detail, *hint):
            room = max(NARROW, (width or sys.maxsize) - len(head))
            for part in textwrap.wrap(text, room, break_on_hyphens=False) or [""]:
                yield head + part
                head = " " * len(head)
