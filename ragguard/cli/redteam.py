"""`ragguard redteam`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import answer, format_of_one_option, line, note, say, table
from ragguard.cli.progress import Progress
from ragguard.model import FIRST_IMPORT

if TYPE_CHECKING:
    from ragguard.redteam.run import RedteamResult

SHOWN = 2  # examples of an attack


@click.command()
@click.option("--attack", "names", multiple=True, help="Only this attack; may be repeated.")
@click.option(
    "--campaigns",
    default=10,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Campaigns of each attack.",
)
@click.option(
    "--documents",
    type=click.IntRange(1, 100),
    help="Documents of each campaign, where the attack has a choice.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed plants the same.")
@click.option(
    "--floor",
    type=click.FloatRange(0, 1),
    help="Share of each attack that must be stopped; else [redteam] floor.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 where it would be 1.")
@format_of_one_option
@click.pass_context
def redteam(
    ctx: click.Context,
    names: tuple[str, ...],
    campaigns: int,
    documents: int | None,
    seed: int,
    floor: float | None,
    exit_zero: bool,
    fmt: str,
) -> int:
    """Attack your own corpus, and see what would get through.

    Simulated poison is judged among honest documents as ingest would judge it now, in a scratch
    view: nothing is written. Exit 1 when less of an attack is stopped than its floor asks; single
    attacks can have their own in [redteam.floors].

    \b
    Example:
      ragguard redteam --attack paraphrase --attack fact_edit --floor 0.8
    """
    from ragguard.redteam.run import redteam as run

    with open_workspace(ctx) as workspace, Progress() as progress:
        exercise = run(
            workspace,
            names=names,
            campaigns=campaigns,
            documents=documents,
            seed=seed,
            floor=floor,
            progress=progress.update,
        )
    return answer(fmt, exercise, lambda: _show(exercise), exit_zero=exit_zero)


def _show(exercise: RedteamResult) -> None:
    """Worst first: what would get through, and some of it."""
    body = exercise.as_dict()
    if exercise.stale:
        note(f"note: {exercise.stale}")
    if exercise.profile == FIRST_IMPORT:
        note("note: first import. The index is too small to know what is usual in it.")
    ran = [a for a in body["attacks"] if a["planted"]]
    ran.sort(key=lambda a: (a["holds"], a["stopped"]["documents"]["share"], a["attack"]))
    figures = ("docs", "stopped %", "any", "all", "top 5", "honest held")
    if ran:
        table(
            ["attack", *figures, "", "found by"],
            [
                [
                    a["attack"] + (" *" if a["direct"] else ""),
                    str(a["planted"]),
                    _with_interval(a["stopped"]["documents"]),
                    _percent(a["stopped"]["campaigns_any"]["share"]),
                    _percent(a["stopped"]["campaigns_all"]["share"]),
                    f"{a['reached_top']}/{a['admitted_with_question']}"
                    if a["admitted_with_question"]
                    else "",
                    f"{a['honest']['held']}/{a['honest']['judged']}",
                    "ok" if a["holds"] else "FAILS",
                    next(iter(a["first_findings"]), ""),
                ]
                for a in ran
            ],
            right=frozenset(figures),
        )
        _say_more(exercise, body, ran)
    if idle := [a["attack"] for a in body["attacks"] if not a["planted"]]:
        say(f"Nothing to attack for {', '.join(idle)}: the corpus has nothing of what they change.")
    through = [(a, e) for a in ran for e in a["examples"][:SHOWN]]
    if through:
        say("\nWhat would get through, two of each (--format json has up to five):")
        table(
            ["document", "top 5", "begins"],
            [[e["id"], "yes" if e["reached_top"] else "", line(e["text"])] for _, e in through],
        )
    if failing := [a["attack"] for a in ran if not a["holds"]]:
        note(
            f"{len(failing)} of {len(ran)} attacks do better than their floor allows. Known to be "
            f"out of reach? {failing[0]} = 0.0 under [redteam.floors] in ragguard.toml says so."
        )


def _say_more(exercise: RedteamResult, body: dict[str, Any], ran: list[dict[str, Any]]) -> None:
    """What the columns mean, and the price."""
    floors = sorted({a["floor"] for a in ran})
    asked = " to ".join(f"{100 * f:g}" for f in dict.fromkeys((floors[0], floors[-1])))
    say(
        f"stopped: of the documents (95 % interval), asked {asked} %; any, all: % of campaigns of "
        "which one document, or every one, was. top 5: of those admitted, how many a reader is "
        "given for the question they were written for. honest held: of the honest documents that "
        "arrived with it."
    )
    if any(a["direct"] for a in ran):
        say("* vectors written straight into the index; judged with them in the text's place.")
    honest = body["honest"]
    share, (low, high) = honest["stopped"]["share"], honest["stopped"]["interval"]
    say(
        f"Honest documents held beside: {honest['held']} of {honest['judged']}, "
        f"{100 * share:.2f} % (95 % interval {100 * low:.2f}-{100 * high:.2f} %; "
        f"asked {100 * exercise.rate:g} %)."
    )
    gate = exercise.observed
    if gate.released or gate.open:
        say(
            "They had been admitted once. With those that were not: reviewers released "
            f"{gate.released} of {gate.honest}, {100 * gate.rate:.2f} %"
            + (
                f"; {100 * gate.if_open_honest:.2f} % if all {gate.open} that wait are honest."
                if gate.open
                else "."
            )
        )


def _percent(share: float) -> str:
    """Whole percent, rounded down: nothing is called 100 that is not."""
    return str(int(100 * share + 1e-9))


def _with_interval(body: dict[str, Any]) -> str:
    low, high = (_percent(end) for end in body["interval"])
    return f"{_percent(body['share'])} ({low}-{high})"
