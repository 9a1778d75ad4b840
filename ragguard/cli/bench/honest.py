"""Print what `ragguard bench --honest` finds: false alarms on ordinary documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ragguard.cli.output import note, percent, say, short, table
from ragguard.cli.progress import Progress
from ragguard.errors import UsageError

OWN = ("folders", "honest", "seeds", "rate", "limit", "fail_above", "model", "cache")
SHOWN = ("output", "fmt")
GATED = ("first import", "update", "several sites")  # what `--fail-above` looks at
EXAMPLES = 12  # held documents in the terminal; the page and the JSON have all
FIGURES = frozenset(["held", "of", "%", "95 %", "first", "at all", "found"])


def refuse_others(context: click.Context) -> None:
    """Refuse options that say nothing beside `--honest`.

    Raises:
        UsageError: One was given.
    """
    for name in context.params:
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and name not in (*OWN, *SHOWN):
            option = next(p.opts[0] for p in context.command.params if p.name == name)
            raise UsageError(
                f"{option} says nothing about honest documents",
                hint="Leave it away, or --honest.",
            )


def measure(
    folders: Sequence[Path],
    seeds: int,
    rate: float | None,
    limit: int | None,
    model: str | None,
    cache: Path | None,
    output: Path | None,
) -> dict[str, Any]:
    """Run the protocols, and write both files where that is asked for; returns the report."""
    from ragguard.bench import honest, honest_page
    from ragguard.config import Settings

    sections: dict[str, dict[str, Any]] = {}
    if rate is not None:
        sections["judge"] = {"false_alarm_rate": rate}
    if model is not None:
        sections["model"] = {"name": model}
    asked = honest.HonestRequest(
        seeds=seeds, limit=limit, settings=Settings.model_validate(sections)
    )
    with Progress() as progress:
        report = honest.measure(folders, asked, cache=cache, progress=progress.update)
    if output is not None:
        write_report(output, report, honest_page.render(report))
    return report


def write_report(folder: Path, report: Mapping[str, Any], page: str) -> None:
    """Write a report as JSON and as a page, and say where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    (folder / "report.html").write_text(page, "utf-8")
    note(f"wrote {short(folder / 'result.json')} and {short(folder / 'report.html')}")


def exit_code(report: Mapping[str, Any], most: float | None) -> int:
    """1 when a protocol of `GATED` held a larger share, over all collections, than allowed."""
    if most is None:
        return 0
    above = [p for p in report["protocols"] if p["protocol"] in GATED and p["share"] > most]
    for gated in above:
        note(f"{gated['protocol']}: {percent(gated['share'])} % held, allowed {percent(most)} %")
    return 1 if above else 0


def show(report: Mapping[str, Any]) -> None:
    """Tables: all together, each batch, each check and rule, and some of what was held."""
    asked = percent(report["plan"]["false_alarm_rate"])
    say(
        f"Ordinary documents, nothing planted: {report['judged']} in "
        f"{len(report['collections'])} collections; whatever is held is a false alarm. "
        f"Asked: {asked} %."
    )
    table(
        ["protocol", "held", "of", "%", "95 %", "worst batch"],
        [[p["protocol"], *_figures(p), percent(p["worst"])] for p in report["protocols"]],
        right=FIGURES | {"worst batch"},
    )
    say()
    table(
        ["collection", "batch", "held", "of", "%", "95 %", "by check (first finding)"],
        [[c["collection"], _batch(c), *_figures(c), _first(c)] for c in report["cases"]],
        right=FIGURES,
    )
    for heading, kind in (("check", "checks"), ("rule", "rules")):
        if report[kind]:
            say()
            _rates(heading, report[kind])
    _examples(report)


def _rates(heading: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Honest rates: documents with a finding, held with it, held with it first."""
    first = heading == "check"
    columns = [heading, "found", "held", *(["first"] if first else []), "held %", "at most %"]
    table(
        columns,
        [
            [
                row["name"],
                str(row["found"]),
                str(row["held"]),
                *([str(row.get("first", 0))] if first else []),
                percent(row["share"], 2),
                percent(row["interval"][1], 2),
            ]
            for row in rows
        ],
        right=frozenset(columns[1:]),
    )


def _examples(report: Mapping[str, Any]) -> None:
    seen: dict[tuple[str, str], list[str]] = {}
    for case in report["cases"]:
        for held in case["held_documents"]:
            key = (case["collection"], held["id"])
            seen.setdefault(key, [held["id"], held["reason"][:110]])
    if not seen:
        return
    say()
    step = max(1, len(seen) // EXAMPLES)
    table(["held, for instance", "reason"], list(seen.values())[::step][:EXAMPLES])
    say(f"{len(seen)} documents were held at least once; the page and the JSON list them all.")


def _batch(case: Mapping[str, Any]) -> str:
    unit = " documents" if case["setting"].isdigit() else ""
    return f"{case['protocol']}: {case['setting']}{unit}"


def _figures(row: Mapping[str, Any]) -> list[str]:
    low, high = row["interval"]
    return [
        str(row["held"]),
        str(row["documents"]),
        percent(row["share"]),
        f"{percent(low)} to {percent(high)}",
    ]


def _first(case: Mapping[str, Any]) -> str:
    parts = [f"{name} {count}" for name, count in case["first"].items()]
    for key, words in (("rejected", "rejected"), ("not_yet_judged", "not yet judged")):
        if case[key]:
            parts.append(f"({case[key]} {words})")
    return ", ".join(parts)
