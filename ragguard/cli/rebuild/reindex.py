"""`ragguard reindex`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ragguard.cli.context import duration, open_workspace
from ragguard.cli.output import (
    answer,
    format_option,
    line,
    note,
    quiet_option,
    say,
    say_rest,
    table,
)
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.rebuild.reindex import ReindexResult

SHOWN = 20  # documents named one by one
NAMED = 5  # documents in a command that is proposed


@click.command()
@click.option(
    "--from-clean",
    is_flag=True,
    required=True,
    help="Start from documents whose provenance is good today and that nobody denied.",
)
@click.option(
    "--at", type=click.IntRange(1), metavar="COMMIT", help="From the corpus as of this commit."
)
@click.option("--re-embed", is_flag=True, help="Embed every text again.")
@click.option(
    "--if-older-than", metavar="AGE", help="Only if the serving generation is older: 30d."
)
@click.option("--dry-run", is_flag=True, help="Say what would go and why, and change nothing.")
@click.option(
    "--stage", is_flag=True, help="Build it as a candidate, for `ragguard cutover`; do not switch."
)
@click.option("--yes", is_flag=True, help="Go on where it would stop to ask.")
@quiet_option
@format_option
@click.pass_context
def reindex(
    ctx: click.Context,
    from_clean: bool,
    at: int | None,
    re_embed: bool,
    if_older_than: str | None,
    dry_run: bool,
    stage: bool,
    yes: bool,
    quiet: bool,
    fmt: str,
) -> int:
    """Rebuild the index from what is clean, and switch to it.

    Documents that are denied, stand on keys or contracts that are good no more, or are strong
    suspects today are left out; all but the denied wait in quarantine. The old generation serves
    until the new one is whole. It stops and asks where much would go.

    \b
    Example:
      ragguard reindex --from-clean --dry-run
      ragguard reindex --from-clean
      ragguard reindex --from-clean --stage
    """
    from ragguard.rebuild.gate import canary_gate
    from ragguard.rebuild.reindex import reindex as run

    def ask(rebuilt: ReindexResult) -> bool:
        if not sys.stdin.isatty():
            return False
        for reason in rebuilt.stops:
            note(reason)
        return click.confirm("Rebuild nevertheless?", err=True)

    age = duration(if_older_than) if if_older_than else None
    with open_workspace(ctx) as workspace, Progress(quiet or fmt != "table") as progress:
        rebuilt = run(
            workspace,
            at=at,
            re_embed=re_embed,
            dry_run=dry_run,
            yes=yes,
            stage=stage,
            older_than=age,
            gate=canary_gate(workspace),
            ask=ask,
            progress=progress.update,
        )
    return answer(fmt, rebuilt, lambda: _show(rebuilt, dry_run))


def _say_what_to_do(rebuilt: ReindexResult) -> None:
    """What somebody does who was asked and is not there to answer."""
    names = [f"{v.source}/{v.id}" for v in rebuilt.suspects]
    if names:
        shown = line(" ".join(names[:NAMED])) + (" …" if len(names) > NAMED else "")
        say(f"next: read what is suspect: ragguard search, ragguard trace {line(names[0])}")
        say(f"  what is wrong goes out: ragguard quarantine hold {shown} --reason TEXT")
        say("  what is honest may stay: then the same with --yes")
    else:
        say("next: look into it, then the same with --yes")


def _show(run: ReindexResult, dry_run: bool) -> None:
    if run.recovered:
        say(f"finished {run.recovered} commits that an interrupted run had begun")
    if run.skipped:
        say(f"nothing to do: {run.skipped}")
        return
    committed = run.commit is not None
    if run.staged:
        say(f"commit {run.commit}: generation {run.generation} is a candidate; what serves stays")
    elif committed:
        say(f"commit {run.commit}: generation {run.generation} serves")
    else:
        say(f"generation {run.generation} goes on serving")
    will = "" if committed and not run.staged else "would "
    say(f"  {run.before} documents served, {run.kept} {will}serve ({run.chunks} chunks)")
    if run.waiting:
        say(f"  {run.waiting} go on waiting in quarantine")
    if run.recipe_changed:
        say("  by another recipe: texts are read, cut or embedded otherwise than in the old index")
    rows = [
        [
            omitted.label,
            "quarantine" if omitted.waits else "out",
            f"{omitted.findings[0].check}: {omitted.findings[0].detail}",
        ]
        for omitted in run.left
    ]
    rows += [[name, "out", "did not serve at that commit"] for name in run.gone]
    rows += [
        [f"{v.source}/{v.id}", "stays", f"{v.findings[0].check}: {v.findings[0].detail}"]
        for v in run.suspects
        if v.findings
    ]
    if rows:
        table(["document", "goes", "why"], rows[:SHOWN])
    say_rest(len(rows) - SHOWN)
    if run.compared is not None:
        from ragguard.rebuild.compare import lines

        for text in lines(run.compared):
            say(f"  {text}")
    for name in run.dropped:
        say(f"  dropped {name}")
    for reason in run.refused:
        say(f"refused: {reason}")
    for reason in run.stops:
        say(f"{'asked' if committed else 'stopped'}: {reason}")
    if committed and run.gated:
        say("  the canaries were asked of both: the gate let it pass")
    elif committed:
        note("note: no canaries: nothing was compared.")
    if dry_run:
        say("next: the same without --dry-run")
    elif run.staged:
        say("next: ragguard cutover start --traffic 10% --days 7, or ragguard cutover finish")
    elif run.stops and not committed:
        _say_what_to_do(run)
    elif committed:
        say("next: ragguard audit; ragguard rollback gN goes back to a generation that is kept")
