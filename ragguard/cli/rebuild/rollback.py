"""`ragguard rollback`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import answer, format_option, quiet_option, say, say_rest, table
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.rebuild.rollback import RolledBack

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
        made = run(workspace, where, leave_out=leave_out, dry_run=dry_run, progress=progress.update)
    return answer(fmt, made, lambda: _show(made, dry_run))


def _show(made: RolledBack, dry_run: bool) -> None:
    if made.recovered:
        say(f"finished {made.recovered} commits that an interrupted run had begun")
    done = made.commit is not None
    if done:
        said = f"{made.to} serves again" if made.switched else f"back to {made.to}"
        say(f"commit {made.commit}: {said} ({sum(made.seconds.values()):.1f} s)")
    elif dry_run:
        say(f"would go back to {made.to}")
    elif made.exit_code:
        say(f"nothing to do: what may serve of {made.to} serves")
    else:
        say(f"nothing to do: {made.to} is what serves")
    will = "" if done else "would "
    if done or made.switched or not made.unchanged:
        say(f"  {made.before} documents served, {made.after} {will}serve")
    if made.embedded:
        say(f"  {made.embedded} texts were embedded")
    rows = [
        *_rows("comes back", made.back, made.freed),
        *_rows("goes", made.gone),
        *(
            ["goes on waiting", label, "in quarantine: a reviewer decides"]
            for label in made.waiting
        ),
        *(["left out", one.label, one.findings[0].detail] for one in made.left),
    ]
    if rows:
        told = any(why for *_, why in rows)
        shown = [row if told else row[:2] for row in rows[:SHOWN]]
        table(["", "document", "why"][: len(shown[0])], shown)
    say_rest(len(rows) - SHOWN)
    if dry_run:
        say("next: the same without --dry-run")
    elif done:
        say("next: ragguard audit judges what came back; ragguard history shows the commits")


def _rows(what: str, labels: Sequence[str], freed: Sequence[str] = ()) -> list[list[str]]:
    out = set(freed)
    why = "a rebuild had put it into quarantine"
    return [[what, label, why if label in out else ""] for label in labels]
