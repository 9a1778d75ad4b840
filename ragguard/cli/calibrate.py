"""`ragguard calibrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_of_one_option, note, percent, say, table
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.ingest.calibration import Calibration, Share


@click.command()
@click.option(
    "--rate",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="False-alarm rate to be best at; else [judge] false_alarm_rate.",
)
@click.option(
    "--campaigns",
    default=10,
    show_default=True,
    type=click.IntRange(3, 1000),
    help="Campaigns of each attack, once to learn from and once to report.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same weights.")
@click.option("--dry-run", is_flag=True, help="Measure and report; write nothing.")
@format_of_one_option
@click.pass_context
def calibrate(
    ctx: click.Context, rate: float | None, campaigns: int, seed: int, dry_run: bool, fmt: str
) -> None:
    """Learn on your own corpus how much each check is worth.

    Attacks a scratch view of the serving index with the built-in simulators and writes
    calibration.json, which ingest uses from then on. Part of the corpus is set apart to report on.

    \b
    Example:
      ragguard calibrate --rate 0.01 --dry-run
    """
    from ragguard.ingest import calibration
    from ragguard.redteam.calibrate import calibrate as run

    with open_workspace(ctx) as workspace, Progress() as progress:
        fit = run(
            workspace,
            rate=rate,
            campaigns=campaigns,
            seed=seed,
            dry_run=dry_run,
            progress=progress.update,
        )
        prior = dict(calibration.shares_of(None))
    if fmt == "json":
        emit("json", calibration.body_of(fit))
    else:
        _show(fit, prior)
    if dry_run:
        note("next: the same without --dry-run")
    else:
        note(f"wrote {calibration.FILE}; next: ragguard redteam")


def _show(fit: Calibration, prior: dict[str, float]) -> None:
    """What was learned, and what it gains."""
    report = fit.report
    if fit.learned:
        say("Shares of the alarm budget, where they changed:")
        changed = {k: w for k, w in fit.weights.items() if abs(w - prior.get(k, 1.0)) > 1e-9}
        table(
            ["family", "shipped", "learned"],
            [[name, f"{prior.get(name, 1.0):g}", f"{w:.3g}"] for name, w in changed.items()],
            right=frozenset({"shipped", "learned"}),
        )
    else:
        say("Nothing did better than the shipped shares on attacks held out: they stay.")
    say()
    say(f"Stopped at {fit.rate:.2%} false alarms, of attacks and documents nothing was learned on:")
    figures = ("shipped %", "now %", "interval", "any %", "all %")
    table(
        ["attack", "family", *figures],
        [
            [
                a.name,
                a.family,
                percent(a.before.documents.share),
                percent(a.after.documents.share),
                _interval(a.after.documents),
                percent(a.after.any.share),
                percent(a.after.all.share),
            ]
            for a in sorted(report.attacks, key=lambda a: (a.after.documents.share, a.name))
        ],
        right=frozenset(figures),
    )
    say("any, all: campaigns of which one document, or every one, is stopped.")
    say(
        f"Mean over families: {percent(report.mean_before)} % shipped, "
        f"{percent(report.mean_after)} % now."
    )
    share = report.false_alarms_after
    say(
        f"Honest documents stopped: {share.share:.2%} of {report.honest} "
        f"(95 % interval {_interval(share)} %); asked {fit.rate:.2%}. "
        f"Rates from {fit.promised_rate:.2%} can be promised."
    )


def _interval(share: Share) -> str:
    low, high = share.interval
    return f"{percent(low)} to {percent(high)}"
