"""`ragguard cutover`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import (
    answer,
    emit,
    format_option,
    note,
    quiet_option,
    say,
    say_rest,
    table,
)
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.rebuild.cutover import CutoverResult, Status

SHOWN = 20  # documents named one by one
SHADOWS = click.Choice(["candidate", "all", "none"])


def _share(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """`10%` or `0.1`."""
    text = value.strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise click.BadParameter(f"{text!r}: expected a share such as 10% or 0.1, at most 100%")
    return share


@click.group()
def cutover() -> None:
    """Try a rebuilt index beside the one that serves, then switch to it.

    `ragguard reindex --from-clean --stage` builds the candidate.
    """


@cutover.command()
@click.option(
    "--traffic",
    callback=_share,
    required=True,
    metavar="SHARE",
    help="Share of the queries it answers: 10% or 0.1.",
)
@click.option("--days", type=click.IntRange(1, 365), required=True, help="How long.")
@click.option(
    "--shadow",
    type=SHADOWS,
    default="candidate",
    show_default=True,
    help="Which queries both indexes are asked, to be compared.",
)
@format_option
@click.pass_context
def start(ctx: click.Context, traffic: float, days: int, shadow: Any, fmt: str) -> None:
    """Let the candidate answer a share of the queries.

    Which ones is decided by the query alone: the same one is always answered by the same index.
    Where the answers differ by more than [cutover] divergence, the trial ends by itself.

    \b
    Example:
      ragguard cutover start --traffic 10% --days 7
    """
    from ragguard.rebuild.cutover import start as run
    from ragguard.rebuild.cutover import status as look

    with open_workspace(ctx) as workspace:
        trial = run(workspace, traffic, timedelta(days=days), shadow)
        status = look(workspace)
    if fmt != "table":
        emit(fmt, _body(status))
        return
    say(
        f"generation {trial.generation.id} answers {100 * trial.share:.3g} % of the queries until "
        f"{trial.until}"
    )
    say("next: ragguard cutover status, then ragguard cutover finish or abort")


@cutover.command()
@format_option
@click.pass_context
def status(ctx: click.Context, fmt: str) -> None:
    """Show the candidate, its trial, and how far apart the answers are.

    \b
    Example:
      ragguard cutover status
    """
    from ragguard.rebuild.cutover import status as look

    with open_workspace(ctx, exclusive=False) as workspace:
        status = look(workspace)
    if fmt != "table":
        emit(fmt, _body(status))
    elif status is None:
        say("there is no candidate")
        say("next: ragguard reindex --from-clean --stage")
    else:
        _show(status)


@cutover.command()
@click.option("--yes", is_flag=True, help="Also where its trial ended by itself.")
@quiet_option
@format_option
@click.pass_context
def finish(ctx: click.Context, yes: bool, quiet: bool, fmt: str) -> int:
    """Bring the candidate up to date, compare once more, and let it serve.

    What was ingested, removed or denied since it was built is caught up first. Where the canary
    gate refuses, nothing switches.

    \b
    Example:
      ragguard cutover finish
    """
    from ragguard.rebuild.cutover import finish as run
    from ragguard.rebuild.gate import canary_gate

    with open_workspace(ctx) as workspace, Progress(quiet or fmt != "table") as progress:
        finished = run(workspace, gate=canary_gate(workspace), yes=yes, progress=progress.update)
    return answer(fmt, finished, lambda: _tell(finished))


@cutover.command()
@format_option
@click.pass_context
def abort(ctx: click.Context, fmt: str) -> None:
    """Give the candidate up; what serves goes on serving.

    \b
    Example:
      ragguard cutover abort
    """
    from ragguard.rebuild.cutover import abort as run

    with open_workspace(ctx) as workspace:
        aborted = run(workspace)
    if fmt != "table":
        body = {
            "generation": aborted.generation,
            "commit": aborted.commit,
            "dropped": [*aborted.dropped],
        }
        emit(fmt, body)
        return
    say(f"commit {aborted.commit}: generation {aborted.generation} is given up")
    for name in aborted.dropped:
        say(f"  dropped {name}")


def _show(status: Status) -> None:
    trial, figures = status.trial, status.figures
    number = trial.generation.id
    says = {
        "staged": "was not tried yet",
        "running": f"answers {100 * trial.share:.3g} % of the queries",
        "over": "was on trial; its days are over",
        "stopped": "was on trial, which ended by itself",
    }[status.state]
    say(f"generation {number}, built by commit {trial.built}, {says}")
    say(f"generation {status.serving} serves; the candidate is {status.behind} commits behind")
    if trial.number is not None:
        say(f"from {trial.since} until {trial.until}, both asked: {trial.shadow}")
    if trial.stopped:
        say(
            f"it ended {trial.stopped.get('at')}: divergence {trial.stopped.get('divergence')} "
            f"over {trial.stopped.get('compared')} queries, allowed {trial.stopped.get('bound')}"
        )
    if figures is not None:
        rows = [
            [
                str(generation),
                "candidate" if generation == number else "serving",
                str(figures.queries.get(generation, 0)),
                f"{figures.ms[generation]:.1f}" if generation in figures.ms else "-",
            ]
            for generation in (status.serving, number)
        ]
        columns = ["generation", "is", "queries answered", "median ms"]
        table(columns, rows, right=frozenset({"queries answered", "median ms"}))
        if figures.mean is None:
            say("divergence: nothing was compared yet")
        else:
            say(
                f"divergence {figures.mean:.3f} (95 % {figures.low:.3f} to {figures.high:.3f}) "
                f"over {figures.compared} queries"
            )
        if figures.worst:
            table(
                ["query (SHA-256)", "rank-biased overlap", "documents in common"],
                [[w.query[:16], f"{w.rbo:.3f}", f"{w.overlap:.2f}"] for w in figures.worst],
                right=frozenset({"rank-biased overlap", "documents in common"}),
            )
    if status.state == "staged":
        say("next: ragguard cutover start --traffic 10% --days 7, or finish, or abort")
    else:
        say("next: ragguard cutover finish, or ragguard cutover abort")


def _tell(finished: CutoverResult) -> None:
    if finished.refused:
        say(f"generation {finished.generation} goes on serving")
        for reason in finished.refused:
            say(f"refused: {reason}")
        say("next: ragguard cutover abort, or look into it and finish again")
        return
    say(f"commit {finished.commit}: generation {finished.generation} serves")
    say(f"  {finished.documents} documents serve, {finished.behind} commits were caught up")
    rows = [[name, "comes", ""] for name in finished.came] + [
        [name, "goes", ""] for name in finished.gone
    ]
    why = {omitted.label: omitted for omitted in finished.left}
    for row in rows:
        if (omitted := why.get(row[0])) is not None:
            row[2] = f"{omitted.findings[0].check}: {omitted.findings[0].detail}"
    if rows:
        table(["document", "goes or comes", "why"], rows[:SHOWN])
    say_rest(len(rows) - SHOWN)
    for name in finished.dropped:
        say(f"  dropped {name}")
    if finished.gated:
        say("  the canaries were asked of both: the gate let it pass")
    else:
        note("note: no canaries: nothing was compared.")
    say("next: ragguard audit; ragguard rollback gN goes back to a generation that is kept")


def _body(status: Status | None) -> dict[str, Any]:
    if status is None:
        return {"state": "none"}
    trial, figures = status.trial, status.figures
    body: dict[str, Any] = {
        "state": status.state,
        "generation": trial.generation.id,
        "built": trial.built,
        "serving": status.serving,
        "behind": status.behind,
        "trial": None,
    }
    if figures is not None:
        body["trial"] = {
            "share": trial.share,
            "since": trial.since,
            "until": trial.until,
            "shadow": trial.shadow,
            "salt": trial.salt,
            "stopped": dict(trial.stopped) or None,
            "queries": {str(n): count for n, count in sorted(figures.queries.items())},
            "median_ms": {str(n): ms for n, ms in figures.ms.items()},
            "compared": figures.compared,
            "divergence": figures.mean,
            "interval": None if figures.mean is None else [figures.low, figures.high],
            "worst": [
                {"query": w.query, "rbo": w.rbo, "overlap": w.overlap, "at": w.at}
                for w in figures.worst
            ],
        }
    return body
