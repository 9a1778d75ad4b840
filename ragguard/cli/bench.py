"""`ragguard bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ragguard.cli.output import emit, note, say, short, table
from ragguard.cli.progress import Progress

PROTOCOLS = ("bulk", "drip", "new-topic", "cold-start", "whole-index")
FIGURES = ("found", "honest", "1 %", "5 %", "open", "gated")  # of more, a terminal has no room
FOLDER = click.Path(file_okay=False, exists=True, path_type=Path)
FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
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
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Repetitions.")
@click.option(
    "--rate",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="False-alarm rate asked of the gate.",
)
@click.option("--sample", type=click.IntRange(20), help="Use so many documents of the corpus.")
@click.option(
    "--calibration",
    type=FILE,
    help="Weights learned by `calibrate`; on other documents than these.",
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
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep vectors here, so that a second run does not embed.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write result.json and report.html into this folder.",
)
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format.",
)
def bench(
    folder: Path,
    attacks: tuple[Path, ...],
    topics: tuple[Path, ...],
    families: tuple[str, ...],
    simulate: bool,
    protocols: tuple[str, ...],
    arriving: tuple[float, ...],
    per_target: tuple[int, ...],
    campaigns: int,
    batches: tuple[int, ...],
    seeds: int,
    rate: float,
    sample: int | None,
    calibration: Path | None,
    model: str | None,
    engine: str,
    peers: Path | None,
    cache: Path | None,
    output: Path | None,
    fmt: str,
) -> None:
    """Measure what the gate finds of attacks on a corpus, and at which price.

    DIR holds corpus.jsonl, queries.jsonl, qrels.trec and attacks/*.jsonl (docs/benchmarks.md).

    \b
    Example:
      ragguard bench nq --topic med/documents.jsonl --cache .vectors -o result
    """
    from ragguard.bench import dataset, page, retrieval, runner, world
    from ragguard.bench.peers import load_peers
    from ragguard.config import ChunkSettings, ModelSettings
    from ragguard.encode.encoder import open_encoder
    from ragguard.steps.calibration import load

    plan = world.Plan(
        protocols=protocols or PROTOCOLS,
        seeds=seeds,
        arriving=tuple(dict.fromkeys(arriving)),
        per_target=tuple(dict.fromkeys(per_target)),
        campaigns=campaigns,
        batches=tuple(dict.fromkeys(batches)),
        rate=rate,
        sample=sample,
        simulate=() if simulate else None,
        families=families,
        engine="edge" if engine == "edge" else "memory",
    )
    learned = load(calibration.read_bytes(), short(calibration)) if calibration else None
    published = load_peers(peers) if peers is not None else []
    retrieval.require()
    if output is not None:
        page.require()
    found = dataset.load(folder, attacks, topics, families)
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
        made = world.build(
            found, plan, encoder, cache, published, progress.update, chunks, learned=learned
        )
        report = runner.run(made)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "result.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        (output / "report.html").write_text(page.render(report), "utf-8")
        note(f"wrote {short(output / 'result.json')} and {short(output / 'report.html')}")
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
            [[*_name(c), *_verdicts(c), *_scores(c), *_reached(c)] for c in poison],
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
                    _percent(c["gate"]["documents"]["share"]),
                    str(c["counts"]["subjects"]),
                    " to ".join(_percent(x) for x in c["gate"]["documents"]["interval"]),
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
    """The published method that finds most, and its name; the page shows them all."""
    found = [(share, name) for name in peers if (share := _detected(case, name, rate)) is not None]
    if not found:
        return ["-", ""]
    share, name = max(found)
    return [_percent(share), name]


def _name(case: dict[str, Any]) -> list[str]:
    parts = [case["protocol"]]
    if case["arriving"] is not None:
        parts.append(f"{100 * case['arriving']:g} %")
    if case["batches"]:
        parts.append(f"in {case['batches']}")
    size = f" x{case['per_target']}" if case["per_target"] else ""
    return [" ".join(parts), case["family"] + size]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _verdicts(case: dict[str, Any]) -> list[str]:
    gate = case["gate"]
    return [
        _percent(gate["documents"]["share"]),
        _percent(gate["honest_quarantined"]["share"]),
    ]


def _scores(case: dict[str, Any]) -> list[str]:
    return [_at(case, "ragguard", rate) for rate in (0.01, 0.05)]


def _detected(case: dict[str, Any], method: str, rate: float) -> float | None:
    rows = case["methods"].get(method, {"at": []})["at"]
    found = [r["detection"] for r in rows if r["rate"] == rate]
    return float(found[0]["documents"]["share"]) if found and found[0] else None


def _at(case: dict[str, Any], method: str, rate: float) -> str:
    """Detection by document; a dash where the threshold cannot be set or the method did not run."""
    share = _detected(case, method, rate)
    return "-" if share is None else _percent(share)


def _reached(case: dict[str, Any]) -> list[str]:
    targets = case["readers"]["targets"]
    if not targets:
        return ["-", "-"]
    return [_percent(targets[state]["reached"]["share"]) for state in ("let_in", "gated")]
