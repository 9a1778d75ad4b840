"""`ragguard redteam`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, line, note, say, table
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.redteam import Redteam


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
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format.",
)
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
    from ragguard.redteam import redteam as run

    with open_workspace(ctx) as workspace, Progress() as progress:
        found = run(
            workspace,
            names=names,
            campaigns=campaigns,
            documents=documents,
            seed=seed,
            floor=floor,
            progress=progress.update,
        )
    if fmt == "json":
        emit("json", found.as_dict())
    else:
        _show(found)
    return 0 if exit_zero else found.exit_code


def _show(found: Redteam) -> None:
    """Worst first: what would get through, and an example of each."""
    body = found.as_dict()
    if found.stale:
        note(f"note: {found.stale}")
    if found.profile.startswith("shipped"):
        note("note: uncalibrated. The index is too small to know what is usual in it.")
    attacks = sorted(
        body["attacks"], key=lambda a: (a["holds"], _share(a["stopped"]["documents"]), a["attack"])
    )
    figures = ("planted", "stopped %", "interval", "any %", "all %", "top 5", "floor %")
    table(
        ["attack", *figures, "", "found by"],
        [
            [
                a["attack"] + (" *" if a["direct"] else ""),
                str(a["planted"]),
                _percent(a["stopped"]["documents"]),
                _interval(a["stopped"]["documents"]),
                _percent(a["stopped"]["campaigns_any"]),
                _percent(a["stopped"]["campaigns_all"]),
                f"{a['reached_top']} of {a['admitted_with_question']}"
                if a["admitted_with_question"]
                else "-",
                f"{100 * a['floor']:g}",
                "ok" if a["holds"] else "FAILS",
                next(iter(a["first_findings"]), ""),
            ]
            for a in attacks
        ],
        right=frozenset(figures),
    )
    say(
        "any, all: campaigns of which one document, or every one, was stopped. top 5: of the "
        "admitted, those a reader would be given for the question they were written for."
    )
    if any(a["direct"] for a in attacks):
        say("* vectors written straight into the index; judged with them in the text's place.")
    honest = body["honest"]
    say(
        f"Honest documents stopped beside: {100 * honest['stopped']['share']:.2f} % "
        f"(asked {100 * found.rate:g} %)."
    )
    through = [a for a in attacks if a["examples"]]
    if through:
        say("\nWhat would get through:")
        table(
            ["attack", "campaign", "top 5", "begins"],
            [
                [a["attack"], e["campaign"], "yes" if e["reached_top"] else "", line(e["text"])]
                for a in through
                for e in a["examples"]
            ],
        )
    failing = [a["attack"] for a in attacks if not a["holds"]]
    if failing:
        note(
            f"{len(failing)} of {len(attacks)} attacks do better than allowed. Known to be out of "
            f"reach? [redteam.floors] {failing[0]} = 0.0 in ragguard.toml says so."
        )


def _share(body: dict[str, Any] | None) -> float:
    return 1.0 if body is None else float(body["share"])


def _percent(body: dict[str, Any] | None) -> str:
    return "-" if body is None else f"{100 * body['share']:.1f}"


def _interval(body: dict[str, Any] | None) -> str:
    return "-" if body is None else " to ".join(f"{100 * x:.1f}" for x in body["interval"])
