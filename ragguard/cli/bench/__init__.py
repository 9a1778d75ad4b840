"""`ragguard bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ragguard.cli.bench.honest import exit_code, measure, refuse_others, show, write_report
from ragguard.cli.context import FILE, FOLDER, NEW_FOLDER
from ragguard.cli.output import emit, format_of_one_option, note, percent, say, short, table
from ragguard.cli.progress import Progress
from ragguard.errors import UsageError

PROTOCOLS = ("bulk", "drip", "new-topic", "cold-start", "whole-index")
FIGURES = ("found", "honest", "1 %", "5 %", "open", "gated")  # of more, a terminal has no room


@click.command()
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--honest",
    is_flag=True,
    help="Measure false alarms on ordinary documents; every DIR is a collection of them.",
)
@click.option("--attacks", multiple=True, type=FOLDER, help="Further folder of attack files.")
@click.option("--topic", "topics", multiple=True, type=FILE, help="Honest corpus on another topic.")
@click.option("--family", "families", multiple=True, help="Only this family of attacks.")
@click.option(
    "--simulate", "simulate", is_flag=True, help="Attack with the built-in simulators too."
)
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(PROTOCOLS),
    help="Only this protocol; else all.",
)
@click.option(
    "--arriving",
    multiple=True,
    default=(0.1, 0.5),
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the corpus that arrives.",
)
@click.option(
    "--per-target",
    multiple=True,
    default=(5, 3, 1),
    show_default=True,
    type=click.IntRange(1),
    help="Documents of each campaign that arrive.",
)
@click.option(
    "--campaigns",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Most campaigns that arrive together.",
)
@click.option(
    "--batches",
    multiple=True,
    default=(50,),
    show_default=True,
    type=click.IntRange(2, 10_000),
    help="Batches a drip is cut into.",
)
@click.option(
    "--seeds", type=click.IntRange(1), help="Repetitions; 3, with --honest 1, unless told."
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="False-alarm rate asked of the gate; 0.01, with --honest the default of [judge].",
)
@click.option("--sample", type=click.IntRange(20), help="Use so many documents of the corpus.")
@click.option(
    "--calibration",
    type=FILE,
    help="Weights learned by `calibrate`; on other documents than these.",
)
@click.option(
    "--limit", type=click.IntRange(10), help="With --honest: most documents of a collection."
)
@click.option(
    "--fail-above",
    type=click.FloatRange(0, 1),
    help="With --honest: exit 1 when more than this share of a first import or an update is held.",
)
@click.option("--model", help="Embedding model; else the default of [model] name.")
@click.option(
    "--engine",
    type=click.Choice(["memory", "edge"]),
    default="memory",
    show_default=True,
    help="Where the index lives: the exact reference, or Qdrant in this process.",
)
@click.option("--peers", type=FOLDER, help="Folder of published methods to run beside (runs it).")
@click.option(
    "--cache", type=NEW_FOLDER, help="Keep vectors here, so that a second run does not embed."
)
@click.option(
    "-o", "--output", type=NEW_FOLDER, help="Write result.json and report.html into this folder."
)
@format_of_one_option
@click.pass_context
def bench(
    context: click.Context,
    folders: tuple[Path, ...],
    honest: bool,
    attacks: tuple[Path, ...],
    topics: tuple[Path, ...],
    families: tuple[str, ...],
    simulate: bool,
    protocols: tuple[str, ...],
    arriving: tuple[float, ...],
    per_target: tuple[int, ...],
    campaigns: int,
    batches: tuple[int, ...],
    seeds: int | None,
    rate: float | None,
    sample: int | None,
    calibration: Path | None,
    limit: int | None,
    fail_above: float | None,
    model: str | None,
    engine: str,
    peers: Path | None,
    cache: Path | None,
    output: Path | None,
    fmt: str,
) -> None:
    """Measure what the gate finds of attacks on a corpus, and at which price.

    DIR holds corpus.jsonl, queries.jsonl, qrels.trec and attacks/*.jsonl (docs/benchmarks.md).
    With --honest each DIR holds documents nobody planted anything in (docs/honest.md).

    \b
    Examples:
      ragguard bench nq --topic med/documents.jsonl --cache .vectors -o result
      ragguard bench --honest docs-site wiki -o result --fail-above 0.02
    """
    if honest:
        refuse_others(context)
        measured = measure(folders, seeds or 1, rate, limit, model, cache, output)
        if fmt == "json":
            emit("json", measured)
        else:
            show(measured)
        context.exit(exit_code(measured, fail_above))
    if len(folders) != 1 or limit is not None or fail_above is not None:
        raise UsageError(
            "several DIR, --limit and --fail-above go with --honest",
            hint="Name one benchmark folder, or add --honest.",
        )
    (folder,) = folders
    from ragguard.bench import dataset, page, runner, world
    from ragguard.bench.peers import load_peers
    from ragguard.config import ChunkSettings, ModelSettings
    from ragguard.embed.encoder import open_encoder
    from ragguard.ingest.calibration import load

    plan = world.BenchPlan(
        protocols=protocols or PROTOCOLS,
        seeds=seeds or 3,
        arriving=tuple(dict.fromkeys(arriving)),
        per_target=tuple(dict.fromkeys(per_target)),
        campaigns=campaigns,
        batches=tuple(dict.fromkeys(batches)),
        rate=rate or 0.01,
        sample=sample,
        simulate=() if simulate else None,
        families=families,
        engine="edge" if engine == "edge" else "memory",
    )
    learned = load(calibration.read_bytes(), short(calibration)) if calibration else None
    published = load_peers(peers) if peers is not None else []
    if output is not None:
        page.require()
    benchmark = dataset.load(folder, attacks, topics, families)
    chunks = ChunkSettings()
    with Progress() as progress:
        progress.update("load model", 0, 1)
        encoder = open_encoder(
            model or ModelSettings().name,
            runtime="auto",
            size=chunks.size,
            overlap=chunks.overlap,
        )
        progress.update("load model", 1, 1)
        bench_world = world.build(
            benchmark, plan, encoder, cache, published, progress.update, chunks, learned=learned
        )
        report = runner.run(bench_world)
    if output is not None:
        write_report(output, report, page.render(report))
    if fmt == "json":
        emit("json", report)
        return
    _show(report)


def _show(report: dict[str, Any]) -> None:
    """What a person wants first: detection, its price, and what readers get."""
    if crashed := sorted({name for c in report["cases"] for name in c["gate"]["crashed"]}):
        note(f"checks crashed and quarantined all they could not examine: {', '.join(crashed)}")
    poison = [c for c in report["cases"] if c["subjects"] == "poison"]
    honest = [c for c in report["cases"] if c["subjects"] == "honest"]
    asked = f"{100 * report['plan']['rate']:g} %"
    if poison:
        say(f"Poison found; verdicts at {asked} false alarms asked, scores at thresholds held out.")
        table(
            ["protocol", "family", *FIGURES],
            [
                [
                    *_name(c),
                    percent(c["gate"]["documents"]["share"]),
                    percent(c["gate"]["honest_quarantined"]["share"]),
                    *(_at(c, "ragguard", rate) for rate in (0.01, 0.05)),
                    *_reached(c),
                ]
                for c in poison
            ],
            right=frozenset(FIGURES),
        )
        say(
            "found: quarantined; honest: newcomers quarantined beside; open, gated: target "
            "questions with poison among their first five, without the gate and behind it. "
            "The page and the JSON have more."
        )
    if honest:
        say("\nHonest batches on another topic; what is quarantined is a false alarm.")
        table(
            ["protocol", "topic", "quarantined", "of", "interval"],
            [
                [
                    *_name(c),
                    percent(c["gate"]["documents"]["share"]),
                    str(c["counts"]["subjects"]),
                    " to ".join(percent(x) for x in c["gate"]["documents"]["interval"]),
                ]
                for c in honest
            ],
            right=frozenset(["quarantined", "of"]),
        )
    poison = [c for c in poison if len(c["methods"]) > 1]  # peers know no drip
    if poison:
        rate = 0.01 if all(_detected(c, "ragguard", 0.01) is not None for c in poison) else 0.05
        say(f"\nDetection at {100 * rate:g} % false alarms beside published methods.")
        table(
            ["protocol", "family", "ragguard", "best other", "which"],
            [
                [*_name(c), _at(c, "ragguard", rate), *_best(c, report["peers"], rate)]
                for c in poison
            ],
            right=frozenset(["ragguard", "best other"]),
        )


def _best(case: dict[str, Any], peers: list[str], rate: float) -> list[str]:
    """Return the published method that finds most, and its name; the page shows them all."""
    shares = [(share, name) for name in peers if (share := _detected(case, name, rate)) is not None]
    if not shares:
        return ["-", ""]
    share, name = max(shares)
    return [percent(share), name]


def _name(case: dict[str, Any]) -> list[str]:
    parts = [case["protocol"]]
    if case["arriving"] is not None:
        parts.append(f"{100 * case['arriving']:g} %")
    if case["batches"]:
        parts.append(f"in {case['batches']}")
    size = f" x{case['per_target']}" if case["per_target"] else ""
    return [" ".join(parts), case["family"] + size]


def _detected(case: dict[str, Any], method: str, rate: float) -> float | None:
    rows = case["methods"].get(method, {"at": []})["at"]
    detections = [r["detection"] for r in rows if r["rate"] == rate]
    return float(detections[0]["documents"]["share"]) if detections and detections[0] else None


def _at(case: dict[str, Any], method: str, rate: float) -> str:
    """Detection by document; a dash where the threshold cannot be set or the method did not run."""
    share = _detected(case, method, rate)
    return "-" if share is None else percent(share)


def _reached(case: dict[str, Any]) -> list[str]:
    targets = case["readers"]["targets"]
    if not targets:
        return ["-", "-"]
    return [percent(targets[state]["reached"]["share"]) for state in ("let_in", "gated")]
