"""Run the protocols of a plan, repeat them, and put what they say into one report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ragguard import __version__
from ragguard.bench import protocols
from ragguard.bench.bare_gate import Gate, Profiles
from ragguard.bench.folds import Fold, divide
from ragguard.bench.protocols import Repetition
from ragguard.bench.summary import summarise
from ragguard.bench.vectors import EmbeddedBenchDocument
from ragguard.bench.world import PROTOCOLS, EmbeddedDataset, draw, simulate, simulators
from ragguard.errors import BenchError
from ragguard.ingest.calibration import body_of, shares_of
from ragguard.trust.canonical import digest

FORMAT = "ragguard-bench/1"


@dataclass(frozen=True)
class BenchCase:
    """One row of the report: what is repeated, and with which seeds."""

    protocol: str
    family: str
    arriving: float | None
    per_target: int | None
    batches: int | None = None


def run(world: EmbeddedDataset) -> dict[str, Any]:
    """Run everything the plan asks for.

    Returns:
        The report (docs/schemas/bench.json).

    Raises:
        BenchError: Nothing to run, or roles that overlap.
    """
    plan = world.plan
    if unknown := set(plan.protocols) - set(PROTOCOLS):
        raise BenchError(f"--protocol {min(unknown)}: there are {', '.join(PROTOCOLS)}")
    trials: dict[BenchCase, list[Repetition]] = {}
    done = 0
    total = plan.seeds * sum(
        1 if protocol == "whole-index" else len(plan.arriving) for protocol in plan.protocols
    )
    for seed in range(plan.seeds):
        for protocol in PROTOCOLS:
            if protocol not in plan.protocols:
                continue
            for arriving in (1.0,) if protocol == "whole-index" else plan.arriving:
                world.progress("protocols", done, total)
                for case, trial in _repetition(world, protocol, arriving, seed):
                    trials.setdefault(case, []).append(trial)
                done += 1
    world.progress("protocols", total, total)
    if not trials:
        raise BenchError(
            "nothing to run: no family, no topic, or no document left of them",
            hint="Attacks stand in DIR/attacks/*.jsonl; --simulate makes some.",
        )
    return {
        "format": FORMAT,
        "version": __version__,
        "dataset": {
            "name": world.dataset.name,
            "documents": len(world.home),
            "chunks": sum(len(i.prepared.chunks) for i in world.home),
            "digest": digest(sorted(i.entry.digest for i in world.home)),
            "questions": len(world.questions),
            "families": {name: len(items) for name, items in world.families.items()},
            "topics": {name: len(items) for name, items in world.topics.items()},
            "left_out": dict(world.dataset.dropped),
        },
        "model": world.encoder.recipe.model,
        "calibration": body_of(world.learned)["digest"] if world.learned else None,
        "recipe": world.encoder.recipe.digest,
        "plan": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(plan).items()},
        "peers": [p.name for p in world.peers],
        "cases": [
            {
                **asdict(case),
                **summarise(repetitions, plan.rate, honest=case.protocol == "new-topic"),
            }
            for case, repetitions in sorted(trials.items(), key=lambda pair: _order(pair[0]))
        ],
    }


def _order(case: BenchCase) -> tuple[Any, ...]:
    return (
        PROTOCOLS.index(case.protocol),
        case.arriving or 0.0,
        case.family,
        -(case.per_target or 0),
        case.batches or 0,
    )


def _repetition(
    world: EmbeddedDataset, protocol: str, arriving: float, seed: int
) -> Iterator[tuple[BenchCase, Repetition]]:
    """Yield all families of one protocol, on one division of the corpus."""
    plan = world.plan
    fold = divide([i.entry.digest for i in world.home], arriving, seed)
    if protocol == "new-topic":
        if not world.topics:
            return
        with _gate(world, fold) as gate:
            for name, items in world.topics.items():
                batch = draw(items, 1, max(1, round(arriving * len(world.home))), name, seed)
                trial = protocols.new_topic(world, fold, gate, batch, seed)
                yield BenchCase(protocol, name, arriving, None), trial
        return
    there = fold if protocol in {"bulk", "drip"} else None
    families = list(_families(world, fold, there, seed))
    if not families:
        return
    if protocol == "bulk":
        with _gate(world, fold) as gate:
            for number, (name, count, batch) in enumerate(families, 1):
                trial = protocols.bulk(world, fold, gate, batch, seed)
                world.progress(protocol, number, len(families))
                yield BenchCase(protocol, name, arriving, count), trial
        return
    known: Profiles = {}  # every drip begins with the same index
    for number, (name, count, batch) in enumerate(families, 1):
        if protocol == "drip":
            for batches in plan.batches:
                with _gate(world, fold, known) as gate:
                    trial = protocols.drip(world, fold, gate, batch, seed, batches)
                yield BenchCase(protocol, name, arriving, count, batches), trial
        elif protocol == "cold-start":
            trial = protocols.cold_start(world, fold, batch, seed)
            yield BenchCase(protocol, name, arriving, count), trial
        else:
            yield BenchCase(protocol, name, None, count), protocols.whole_index(world, batch, seed)
        world.progress(protocol, number, len(families))


def _gate(world: EmbeddedDataset, fold: Fold, known: Profiles | None = None) -> Gate:
    indexed = [world.home[i] for i in fold.indexed.tolist()]
    if not indexed:
        raise BenchError("--arriving 1 leaves nothing indexed; cold-start is that protocol")
    return Gate(
        indexed,
        world.dimensions,
        world.plan.rate,
        world.plan.engine,
        world.judge,
        known,
        shares_of(world.learned),
    )


def _families(
    world: EmbeddedDataset, fold: Fold, there: Fold | None, seed: int
) -> Iterator[tuple[str, int, list[EmbeddedBenchDocument]]]:
    """Name, documents a target and documents of every family in this repetition.

    A family whose campaigns are smaller than asked is run once at the size it has. A document made
    from an honest one attacks only where that one is indexed.
    """
    indexed = {world.home[i].entry.id for i in there.indexed.tolist()} if there else None
    families = dict(world.families)
    chosen = simulators(world.plan)
    for number, (name, entry) in enumerate(chosen.items()):
        world.progress("simulate", number, len(chosen))
        if name in families:
            raise BenchError(f"the simulator {name!r} and a file have the same name")
        families[name] = simulate(world, entry, fold, seed)
    if chosen:
        world.progress("simulate", len(chosen), len(chosen))
    for name, items in families.items():
        usable = [
            i
            for i in items
            if indexed is None or not i.entry.original or i.entry.original in indexed
        ]
        if not usable:
            continue
        for count in sizes(usable, world.plan.per_target):
            batch = draw(usable, count, world.plan.campaigns, name, seed)
            yield name, count, batch


def sizes(items: Sequence[EmbeddedBenchDocument], asked: Sequence[int]) -> list[int]:
    """List documents a target worth running, falling: none above the largest campaign."""
    counts: dict[str, int] = {}
    for item in items:
        counts[item.entry.campaign] = counts.get(item.entry.campaign, 0) + 1
    most = max(counts.values())
    return sorted({min(count, most) for count in asked}, reverse=True)
