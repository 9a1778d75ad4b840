"""Measure false alarms on ordinary documents: nothing is planted, whatever is held is one.

Each protocol goes through the real gate (`bench.scratch`), with default settings:

first import   50, 100, 200 and all documents of a collection into an empty workspace.
judged later   what came in before the index could judge it, at the first ingests that can.
update         the second date over the first, or 50 documents with small ordinary edits; documents
               that waited already are not counted again.
other subject  50 documents of each other collection, by a source of their own, into an index below
               and above 300 documents.
small source   5, 10 and 20 documents of a new source, of the same kind as what is there.
large feed     a tenth and a half of a corpus of records arriving after the rest.
several sites  half of the collections in one index that is large enough to judge; 50 pages of each
               other one, and 10, by a source of their own; 50 further pages of each that is there.
               Then the halves change places.

Only first import, judged later and the feeds change a workspace; all else is judged in passing
(`ingest --dry-run`), so that every batch meets the same index.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from ragguard import __version__
from ragguard.bench.collection import Collection, Paper, read_all
from ragguard.bench.ordinary_edits import edit
from ragguard.bench.scratch import KnownVectors, Scratch, ScratchStep
from ragguard.bench.tally import TallyRow, summarise
from ragguard.bench.vectors import VectorCache
from ragguard.config import Settings
from ragguard.detect.scoring import needed
from ragguard.embed.encoder import Encoder
from ragguard.errors import BenchError
from ragguard.ingest.judge import MOST_LATER
from ragguard.ingest.judge_later import SMALLEST
from ragguard.model import Progress

FORMAT = "ragguard-bench-honest/1"
PROTOCOLS = (
    "first import",
    "judged later",
    "update",
    "other subject",
    "small source",
    "large feed",
    "several sites",
)
SIZES = (50, 100, 200)  # of first imports
EDITED = 50  # documents with an ordinary edit, where there is no second date
VISITORS = 50  # documents on another subject that arrive together
SMALL = (5, 10, 20)  # documents of a new source
SMALL_INDEX = 200  # documents of the index below `LARGE`
LARGE = 300
SITE = 200  # documents of one site in an index of several
ROUNDS = 8  # ingests after which what is not yet judged is left so
LEAST = 10  # documents below which a collection says nothing
HOME, NEW = "home", "new"


@dataclass(frozen=True)
class HonestRequest:
    """What is asked of a run.

    Attributes:
        protocols: Of `PROTOCOLS`.
        seeds: Repetitions, each with its own draws.
        limit: Most documents of a collection.
    """

    protocols: tuple[str, ...] = PROTOCOLS
    seeds: int = 1
    limit: int | None = None
    settings: Settings = field(default_factory=Settings)


Tell = Callable[[str, str, ScratchStep], None]  # protocol, setting, what was heard


def measure(
    places: Sequence[Path],
    asked: HonestRequest | None = None,
    *,
    cache: Path | None = None,
    encoder: Encoder | None = None,
    progress: Progress = lambda stage, done, total: None,
    on_row: Callable[[TallyRow], None] = lambda row: None,
) -> dict[str, Any]:
    """Measure false alarms on ordinary documents.

    Args:
        places: Folders of honest documents, each a collection; see `bench.collection`.
        asked: Protocols, repetitions, sizes, settings.
        cache: Folder where vectors are kept, or `None`.
        encoder: Of the settings' model; opened when `None`.
        on_row: Called with each row when it is known.

    Returns:
        The report (docs/honest.md, "The report").

    Raises:
        BenchError: A folder without documents, an unknown protocol, or refused documents.
    """
    asked = asked or HonestRequest()
    if unknown := [name for name in asked.protocols if name not in PROTOCOLS]:
        raise BenchError(f"no protocol {unknown[0]!r}", hint=f"There are {', '.join(PROTOCOLS)}.")
    collections = read_all(places, asked.limit)
    if encoder is None:
        from ragguard.embed.encoder import open_encoder

        model, chunks = asked.settings.model, asked.settings.chunks
        encoder = open_encoder(
            model.name,
            runtime=model.runtime,
            pooling=model.pooling,
            size=chunks.size,
            overlap=chunks.overlap,
        )
    known = KnownVectors(encoder, VectorCache(cache, encoder.recipe.digest))
    rows: dict[tuple[str, str, str], TallyRow] = {}

    def tell(collection: str, protocol: str, setting: str, step: ScratchStep) -> None:
        key = (collection, protocol, setting)
        row = rows.setdefault(key, TallyRow(*key))
        row.steps.append(step)
        on_row(row)

    turns = [(c, seed) for c in collections for seed in range(asked.seeds)]
    for number, (collection, seed) in enumerate(turns):
        progress("honest documents", number, len(turns))
        others = [c for c in collections if c is not collection]

        def hear(
            protocol: str, setting: str, step: ScratchStep, name: str = collection.name
        ) -> None:
            tell(name, protocol, setting, step)

        _one(collection, others, seed, asked, known, hear)
    progress("honest documents", len(turns), len(turns))
    if "several sites" in asked.protocols:
        for seed in range(asked.seeds):
            _several(collections, seed, asked, known, tell)
    order = {name: n for n, name in enumerate(PROTOCOLS)}
    listed = sorted(rows.values(), key=lambda r: order[r.protocol])
    return {
        "format": FORMAT,
        "version": __version__,
        "model": encoder.recipe.model,
        "plan": {
            "protocols": list(asked.protocols),
            "seeds": asked.seeds,
            "limit": asked.limit,
            "false_alarm_rate": asked.settings.judge.false_alarm_rate,
        },
        "collections": [
            {
                "name": c.name,
                "documents": len(c.papers),
                "later": len(c.later),
                "records": c.records,
                "dropped": c.dropped,
            }
            for c in collections
        ],
        **summarise(listed),
    }


def _one(
    collection: Collection,
    others: Sequence[Collection],
    seed: int,
    asked: HonestRequest,
    encoder: Encoder,
    tell: Tell,
) -> None:
    """All protocols on one collection, once."""
    wanted = set(asked.protocols)
    papers = _shuffled(collection.papers, seed)
    if "first import" in wanted:
        with Scratch(encoder, (HOME,), asked.settings) as scratch:
            for size, setting in _sizes(len(papers)):
                tell("first import", setting, scratch.bring(HOME, papers[:size], keep=False))
    if not wanted - {"first import", "several sites"} or len(papers) < LEAST:
        return
    plan = _divide(collection, papers, seed)
    with Scratch(encoder, (HOME, NEW), asked.settings) as scratch:
        _settle(scratch, plan.home, wanted, tell)
        if "update" in wanted and plan.newer:
            tell("update", plan.how, scratch.bring(HOME, plan.newer, keep=False))
        if "small source" in wanted:
            for size in (n for n in SMALL if n <= len(plan.apart)):
                step = scratch.bring(NEW, plan.apart[:size], keep=False)
                tell("small source", f"{size} documents", step)
        if "large feed" in wanted and collection.records:
            tell("large feed", "a tenth", scratch.bring(HOME, plan.apart, keep=False))
        if "other subject" in wanted:
            _visit(scratch, len(plan.home), others, seed, tell)
    if "other subject" in wanted and others and len(plan.home) >= LARGE:
        with Scratch(encoder, (HOME, NEW), asked.settings) as scratch:
            scratch.bring(HOME, papers[:SMALL_INDEX], keep=True)
            _visit(scratch, SMALL_INDEX, others, seed, tell)
    if "large feed" in wanted and collection.records:
        half = len(papers) // 2
        with Scratch(encoder, (HOME,), asked.settings) as scratch:
            _settle(scratch, papers[half:], set(), tell)
            tell("large feed", "half", scratch.bring(HOME, papers[:half], keep=False))


def _several(
    collections: Sequence[Collection],
    seed: int,
    asked: HonestRequest,
    encoder: Encoder,
    tell: Callable[[str, str, str, ScratchStep], None],
) -> None:
    """An index of several sites, and what arrives there: nothing where it would be too small."""
    sites = {c.name: _shuffled(c.papers, seed) for c in collections}
    halves: tuple[list[str], list[str]] = ([], [])
    for name in sorted(sites, key=lambda n: -len(sites[n])):  # the larger first, to the emptier
        min(halves, key=lambda half: sum(len(sites[n]) for n in half)).append(name)
    least = judged_from(asked.settings)
    for there, away in (halves, halves[::-1]):
        apart = {n: sites[n][:VISITORS] for n in there if len(sites[n]) >= 3 * VISITORS}
        home = {n: sites[n][len(apart.get(n, ())) :][:SITE] for n in there}
        papers = [_within(n, p) for n in there for p in home[n]]
        if not away or len(papers) < least:
            continue
        papers = _shuffled(papers, seed)
        with Scratch(encoder, (HOME, NEW), asked.settings) as scratch:
            _settle(scratch, papers, {"judged later"}, partial(tell, "several sites"))
            for name, more in apart.items():
                step = scratch.bring(HOME, [_within(name, p) for p in more], keep=False)
                tell(name, "several sites", "more of a known site", step)
            for name in away:
                for size in (SMALL[1], VISITORS):
                    batch = [_within(name, p) for p in sites[name][:size]]
                    if len(batch) >= min(size, LEAST):
                        step = scratch.bring(NEW, batch, keep=False)
                        tell(name, "several sites", f"a new site, {size} pages", step)


def judged_from(settings: Settings) -> int:
    """Count the documents from which an index also judges what came in before."""
    judge = settings.judge
    return ceil(needed(judge.least_documents, judge.false_alarm_rate) / (1 - SMALLEST))


def _within(site: str, paper: Paper) -> Paper:
    """Return a page of one of several sites that one source brings."""
    joint = "-" if paper.record else "/"
    return replace(paper, id=f"{site}{joint}{paper.id}")


@dataclass(frozen=True)
class _Parts:
    """A collection cut up: what is there, what is kept apart, what is newer, and since when."""

    home: list[Paper]
    apart: list[Paper]
    newer: list[Paper]
    how: str


def _divide(collection: Collection, papers: list[Paper], seed: int) -> _Parts:
    changed = {p.id for p in collection.later}
    free = [p for p in papers if p.id not in changed]
    count = min(max(SMALL[-1], len(papers) // 10 if collection.records else 0), len(free) // 3)
    apart = free[:count]
    away = {p.id for p in apart}
    home = [p for p in papers if p.id not in away]
    if collection.later:
        return _Parts(home, apart, list(collection.later), "second date")
    rng = random.Random(seed)  # noqa: S311 - a benchmark draws, it does not guard
    pairs = [pair for p in home[: 2 * EDITED] if (pair := edit(p, rng)) is not None][:EDITED]
    older = {old.id: old for old, _ in pairs}
    newer = [new for _, new in pairs]
    home = [older.get(p.id, p) for p in home]
    return _Parts(home, apart, newer, f"{len(newer)} edited")


def _settle(scratch: Scratch, papers: Sequence[Paper], wanted: set[str], tell: Tell) -> None:
    """Import documents; then a few at a time, until what was not yet judged is, or stays so."""
    late = list(papers[: min(2 * ROUNDS, len(papers) // 4)])
    step = scratch.bring(HOME, papers[len(late) :], keep=True)
    left = sum(not h.judged for h in step.heard)
    while late:
        size = 2 if left else len(late)
        step = scratch.bring(HOME, late[:size], keep=True)
        late = late[size:]
        now = min(left, MOST_LATER) if step.caught_up else 0
        left -= now
        if now and "judged later" in wanted:
            pulled = tuple(h for h in step.heard if h.outcome == "pulled")
            told = replace(step, heard=pulled, waited=0, silent=max(now - len(pulled), 0))
            tell("judged later", "after the import", told)


def _visit(
    scratch: Scratch, indexed: int, others: Sequence[Collection], seed: int, tell: Tell
) -> None:
    size = "large" if indexed >= LARGE else "small"
    for other in others:
        batch = _shuffled(other.papers, seed)[:VISITORS]
        if len(batch) >= LEAST:
            step = scratch.bring(NEW, batch, keep=False)
            tell("other subject", f"{other.name}, {size} index", step)


def _shuffled(papers: Sequence[Paper], seed: int) -> list[Paper]:
    return [papers[i] for i in np.random.default_rng(seed).permutation(len(papers)).tolist()]


def _sizes(count: int) -> Iterator[tuple[int, str]]:
    for size in SIZES:
        if size < count:
            yield size, str(size)
    yield count, "all"
