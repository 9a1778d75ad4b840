"""Run a protocol: who arrives with whom, and what is there already. One call, one repetition.

bulk         honest newcomers and a family's documents arrive in one batch.
drip         the same documents, cut into many batches; what is admitted is indexed and counts as
             recent, what is not waits in quarantine, and so does what a later batch makes suspect.
             Peers, who have no batches, do not run.
new-topic    honest documents of another corpus arrive; whatever is flagged is a false alarm. The
             threshold is set by honest newcomers of the corpus itself.
cold-start   the index is empty; honest documents and the family's are the first batch.
whole-index  nobody knows who is new: the nightly audit over every document, honest or not. The
             setting of published scans.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ragguard.bench import retrieval
from ragguard.bench.audited import audit_documents
from ragguard.bench.bare_gate import BatchVerdicts, Gate
from ragguard.bench.folds import Fold, divide, require_disjoint, sets_threshold
from ragguard.bench.peers import OURS, score_documents
from ragguard.bench.vectors import EmbeddedBenchDocument
from ragguard.bench.world import EmbeddedDataset
from ragguard.model import Bools, Doubles


@dataclass(frozen=True)
class Repetition:
    """One repetition: honest newcomers first, then the subjects (poison, or another topic).

    Attributes:
        honest: Number of honest newcomers.
        threshold: bool (honest,), who of them sets thresholds.
        campaigns: Campaign of each subject.
        scores: Per method, float64 (honest + subjects,).
        quarantined: bool (honest + subjects,), the gate's verdicts.
        first: The check of each document's first finding.
        checks: Per check, -log10 of each document's p-value.
        sizes: Documents fitted on, setting thresholds and reported; they are disjoint.
        profile: Reference used, and the smallest rate it can promise.
        seconds: By stage, and of each peer.
        retrieval: What readers get; empty where it was not measured.
    """

    seed: int
    honest: int
    threshold: Bools
    campaigns: list[str]
    scores: dict[str, Doubles]
    quarantined: Bools
    first: list[str]
    checks: dict[str, Doubles]
    sizes: dict[str, int]
    profile: tuple[str, float]
    crashed: tuple[str, ...]
    seconds: dict[str, float]
    retrieval: dict[str, Any] = field(default_factory=dict)


def bulk(
    world: EmbeddedDataset,
    fold: Fold,
    gate: Gate,
    subjects: Sequence[EmbeddedBenchDocument],
    seed: int,
) -> Repetition:
    """Let everything arrive in one batch.

    Args:
        fold: Who is indexed and who arrives.
        gate: Over what the fold says is indexed.
        subjects: Documents of a family.
    """
    arriving = [*_newcomers(world, fold), *subjects]
    judged = gate.bring(arriving, seed)
    return _trial(world, fold, gate.fitted, subjects, judged, seed)


def drip(
    world: EmbeddedDataset,
    fold: Fold,
    gate: Gate,
    subjects: Sequence[EmbeddedBenchDocument],
    seed: int,
    batches: int,
) -> Repetition:
    """Return the same, in many batches, on an index that grows.

    Args:
        fold: Who is indexed and who arrives.
        gate: Over what the fold says is indexed; it is changed.
        subjects: Documents of a family.
        batches: Number of batches; fewer when there are fewer documents.
    """
    arriving = [*_newcomers(world, fold), *subjects]
    fitted = set(gate.fitted)
    order = np.random.default_rng([seed, batches]).permutation(len(arriving))
    parts = np.array_split(order, min(batches, len(arriving)))
    judgements = []
    for number, part in enumerate(parts):
        world.progress("drip batches", number, len(parts))
        batch = [arriving[i] for i in part]
        judged = gate.bring(batch, seed)
        gate.accept(batch, judged)
        judgements.append(judged)
    world.progress("drip batches", len(parts), len(parts))
    whole = _together(judgements, [p.tolist() for p in parts], len(arriving))
    place = {item.prepared.label: i for i, item in enumerate(arriving)}
    for judged in judgements:
        for label, score in judged.pulled.items():  # admitted once, caught by what came later
            at = place[label]
            whole.quarantined[at] = True
            whole.scores[at] = max(whole.scores[at], score)
            whole.first[at] = whole.first[at] or "second look"
    return _trial(world, fold, fitted, subjects, whole, seed, peers=False)


def new_topic(
    world: EmbeddedDataset,
    fold: Fold,
    gate: Gate,
    subjects: Sequence[EmbeddedBenchDocument],
    seed: int,
) -> Repetition:
    """Return an honest batch on another subject, and one of the corpus's own beside it.

    Args:
        fold: Who is indexed and who arrives.
        gate: Over what the fold says is indexed.
        subjects: Honest documents of the other corpus.
    """
    own = _newcomers(world, fold)
    judgements = [gate.bring(own, seed), gate.bring(subjects, seed)]
    places = [list(range(len(own))), list(range(len(own), len(own) + len(subjects)))]
    whole = _together(judgements, places, len(own) + len(subjects))
    return _trial(world, fold, gate.fitted, subjects, whole, seed, readers=False)


def cold_start(
    world: EmbeddedDataset, fold: Fold, subjects: Sequence[EmbeddedBenchDocument], seed: int
) -> Repetition:
    """Return the first batch of an empty index: the fold's newcomers and a family.

    Args:
        fold: Its newcomers arrive; what it says is indexed is not there.
        subjects: Documents of a family.
    """
    alone = Fold(fold.indexed[:0], fold.newcomers, fold.sets_threshold)
    with Gate([], world.dimensions, world.plan.rate, world.plan.engine, world.judge) as gate:
        judged = gate.bring([*_newcomers(world, alone), *subjects], seed)
        return _trial(world, alone, gate.fitted, subjects, judged, seed)


def whole_index(
    world: EmbeddedDataset, subjects: Sequence[EmbeddedBenchDocument], seed: int
) -> Repetition:
    """Return every document with every other, as the nightly audit sees them.

    Args:
        subjects: Documents of a family that got in.
    """
    fold = divide([i.entry.digest for i in world.home], 1.0, seed)
    every = [*_newcomers(world, fold), *subjects]
    order = np.random.default_rng([seed, 1]).permutation(len(every))
    judged = audit_documents([every[i] for i in order], world.dimensions, world.plan.rate)
    whole = _together([judged], [order.tolist()], len(every))
    return _trial(world, fold, set(), subjects, whole, seed)


def _newcomers(world: EmbeddedDataset, fold: Fold) -> list[EmbeddedBenchDocument]:
    return [world.home[i] for i in fold.newcomers.tolist()]


def _together(
    judgements: Sequence[BatchVerdicts], places: Sequence[list[int]], count: int
) -> BatchVerdicts:
    """Judgements of parts as one, each document in its place."""
    quarantined = np.zeros(count, dtype=np.bool_)
    scores = np.zeros(count)
    first = [""] * count
    checks = {name: np.zeros(count) for judged in judgements for name in judged.checks}
    seconds: dict[str, float] = {}
    for judged, part in zip(judgements, places, strict=True):
        quarantined[part] = judged.quarantined
        scores[part] = judged.scores
        for place, name in zip(part, judged.first, strict=True):
            first[place] = name
        for name, check_scores in judged.checks.items():
            checks[name][part] = check_scores
        for stage, spent in judged.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    skipped = tuple(dict.fromkeys(s for judged in judgements for s in judged.skipped))
    last = judgements[-1]
    return BatchVerdicts(
        quarantined, scores, first, checks, last.profile, last.promised, skipped, seconds
    )


def _trial(
    world: EmbeddedDataset,
    fold: Fold,
    fitted: set[str],
    subjects: Sequence[EmbeddedBenchDocument],
    judged: BatchVerdicts,
    seed: int,
    *,
    peers: bool = True,
    readers: bool = True,
) -> Repetition:
    """What was judged, with the peers' word on the same documents; fails on an overlap of roles."""
    newcomers = _newcomers(world, fold)
    sizes = require_disjoint(
        fitted_on=fitted | world.learned_on,
        setting_thresholds=[
            i.entry.digest for i, sets in zip(newcomers, fold.sets_threshold, strict=True) if sets
        ],
        reported=[
            *(i.entry.digest for i in newcomers if not sets_threshold(i.entry.digest)),
            *(i.entry.digest for i in subjects),
        ],
    )
    scores = {OURS: judged.scores}
    seconds = dict(judged.seconds)
    if peers and world.peers:
        theirs, spent = _peers(world, fold, subjects, seed)
        scores |= theirs
        seconds |= spent
    return Repetition(
        seed,
        len(newcomers),
        fold.sets_threshold,
        [i.entry.campaign or i.entry.digest for i in subjects],
        scores,
        judged.quarantined,
        judged.first,
        judged.checks,
        sizes,
        (judged.profile, judged.promised),
        tuple(s.check for s in judged.skipped if s.crashed),
        seconds,
        _readers(world, fold, subjects, judged.quarantined) if readers else {},
    )


def _peers(
    world: EmbeddedDataset, fold: Fold, subjects: Sequence[EmbeddedBenchDocument], seed: int
) -> tuple[dict[str, Doubles], dict[str, float]]:
    """Scores of every peer on the fold's newcomers and the subjects, and the seconds it took.

    A scan sees the whole corpus; only where part of it is not there at all does it see less.
    """
    home = len(world.home)
    here = np.sort(np.concatenate([fold.indexed, fold.newcomers]))
    corpus = world.corpus
    new = np.zeros(home, dtype=np.bool_)
    new[fold.newcomers] = True
    place = np.arange(home)
    if len(here) < home:
        from ragguard.bench.peers import Corpus

        corpus = Corpus([world.home[i] for i in here.tolist()])
        new, place = new[here], np.searchsorted(here, place)
    scan, owners = corpus.scan(new, subjects, seed)
    wanted = np.concatenate([place[fold.newcomers], len(here) + np.arange(len(subjects))])
    scores: dict[str, Doubles] = {}
    seconds: dict[str, float] = {}
    for peer in world.peers:
        began = time.perf_counter()
        scores[peer.name] = score_documents(peer, scan, owners)[wanted]
        seconds[peer.name] = time.perf_counter() - began
    return scores, seconds


def _readers(
    world: EmbeddedDataset,
    fold: Fold,
    subjects: Sequence[EmbeddedBenchDocument],
    quarantined: Bools,
) -> dict[str, Any]:
    """Honest and target questions on what is there: clean, let in, gated."""
    newcomers = _newcomers(world, fold)
    indexed = [world.home[i] for i in fold.indexed.tolist()]
    every = [*indexed, *newcomers, *subjects]
    poison = np.arange(len(every)) >= len(indexed) + len(newcomers)
    held = np.concatenate([np.zeros(len(indexed), dtype=np.bool_), quarantined])
    states = {"clean": ~poison, "let in": np.ones(len(every), dtype=np.bool_), "gated": ~held}
    result: dict[str, Any] = {}
    ids = [i.entry.id for i in every]
    # A poisoned document may claim an honest document's id; it is relevant to nothing.
    run_ids = [f"poison {n}" if bad else ids[n] for n, bad in enumerate(poison)]
    known = {i for i, bad in zip(ids, poison, strict=True) if not bad}
    kept = {
        q.id: {d: r for d, r in world.qrels.get(q.id, {}).items() if d in known and r > 0}
        for q in world.questions
    }
    judged = [q for q in world.questions if kept[q.id]]
    if judged:
        near = retrieval.document_similarities(np.stack([q.vector for q in judged]), every)
        result["honest"] = {
            "queries": len(judged),
            "qrels dropped": sum(len(world.qrels.get(q.id, {})) for q in world.questions)
            - sum(len(relevant) for relevant in kept.values()),
            **{
                state: retrieval.honest_measures(
                    retrieval.rank(near, present), [q.id for q in judged], run_ids, kept
                )
                for state, present in states.items()
            },
        }
    targets: dict[tuple[str, str], set[int]] = {}
    for number, item in enumerate(subjects, len(indexed) + len(newcomers)):
        if item.entry.question:
            key = (item.entry.campaign, item.entry.question)
            targets.setdefault(key, set()).add(number)
    if targets:
        near = retrieval.document_similarities(world.embed([q for _, q in targets]), every)
        guilty = [frozenset(mine) for mine in targets.values()]
        result["targets"] = {
            "campaigns": [campaign for campaign, _ in targets],
            **{
                state: retrieval.target_hits(retrieval.rank(near, states[state]), guilty)
                for state in ("let in", "gated")
            },
        }
    return result
