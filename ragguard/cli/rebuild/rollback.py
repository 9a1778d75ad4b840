"""`ragguard rollback`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import answer, format_option, quiet_option, say, say_rest, table
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.rebuild.rollback import RollbackResult

SHOWN = 20  # documents named one by one


@click.command()
@click.argument("where", metavar="COMMIT|gN")
@click.option("--dry-run", is_flag=True, help="Say what would come and go, and change nothing.")
@click.option(
    "--leave-out",
    is_flag=True,
    help="Go back to a commit without the documents for which it would be refused.",
)
@quiet_option
@format_option
@click.pass_context
def rollback(
    ctx: click.Context, where: str, dry_run: bool, leave_out: bool, quiet: bool, fmt: str
) -> int:
    """Go back to the corpus as of a commit, or to a kept generation.

    It is one more commit: nothing is deleted from history. A number is a commit; what came later
    leaves the index, and what a reviewer denied or today's trust does not prove is refused.
    g and a number is a generation: it serves again, with what happened since done to it too.

    \b
    Example:
      ragguard rollback 12 --dry-run
      ragguard rollback 12
      ragguard rollback g2
    """
    from ragguard.rebuild.rollback import rollback as run

    with open_workspace(ctx) as workspace, Progress(quiet or fmt != "table") as progress:
        rolled_back = run(
            workspace, where, leave_out=leave_out, dry_run=dry_run, progress=progress.update
        )
    return answer(fmt, rolled_back, lambda: _show(rolled_back, dry_run))


def _show(rolled_back: RollbackResult, dry_run: bool) -> None:
    if rolled_back.recovered:
        say(f"finished {rolled_back.recovered} commits that an interrupted run had begun")
    committed = rolled_back.commit is not None
    if committed:
        outcome = (
            f"{rolled_back.to} serves again"
            if rolled_back.switched
            else f"back to {rolled_back.to}"
        )
        say(f"commit {rolled_back.commit}: {outcome} ({sum(rolled_back.seconds.values()):.1f} s)")
    elif dry_run:
        say(f"would go back to {rolled_back.to}")
    elif rolled_back.exit_code:
        say(f"nothing to do: what may serve of {rolled_back.to} serves")
    else:
        say(f"nothing to do: {rolled_back.to} is what serves")
    will = "" if committed else "would "
    if committed or rolled_back.switched or not rolled_back.unchanged:
        say(f"  {rolled_back.before} documents served, {rolled_back.after} {will}serve")
    if rolled_back.embedded:
        say(f"  {rolled_back.embedded} texts were embedded")
    rows = [
        *_rows("comes back", rolled_back.back, rolled_back.freed),
        *_rows("goes", rolled_back.gone),
        *(
            ["goes on waiting", label, "in quarantine: a reviewer decides"]
            for label in rolled_back.waiting
        ),
        *(["left out", omitted.label, omitted.findings[0].detail] for omitted in rolled_back.left),
    ]
    if rows:
        told = any(why for *_, why in rows)
        shown = [row if told else row[:2] for row in rows[:SHOWN]]
        table(["", "document", "why"][: len(shown[0])], shown)
    say_rest(len(rows) - SHOWN)
    if dry_run:
        say("next: the same without --dry-run")
    elif committed:
        say("next: ragguard audit judges what came back; ragguard history shows the commits")


def _rows(fate: str, labels: Sequence[str], freed: Sequence[str] = ()) -> list[list[str]]:
    out = set(freed)
    why = "a rebuild had put it into quarantine"
    return [[fate, label, why if label in out else ""] for label in labels]
