"""Pool the repetitions of one case and measure them.

Scores of all repetitions are pooled: a document keeps its role (`folds`), so the threshold half
still never meets the reported half. Intervals of poison are bootstrapped by campaign over all its
repetitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ragguard.bench import measures
from ragguard.bench.peers import OURS
from ragguard.bench.protocols import Repetition
from ragguard.bench.world import RATES
from ragguard.model import Bools, Doubles, Ints
from ragguard.stats import intervals as shares

BINS = 40
STAGES = ("neighbours", "checks", "judge")
Row = dict[str, Any]


class _Pool:
    """The documents of all repetitions, side by side."""

    def __init__(self, trials: Sequence[Repetition]) -> None:
        self._trials = trials
        self.threshold: Bools = np.concatenate([t.threshold for t in trials])
        names = [c for t in trials for c in t.campaigns]
        self.groups: Ints = shares.number_groups(names)
        self.units: Ints = shares.number_groups(
            [f"{t.seed}\0{c}" for t in trials for c in t.campaigns]
        )
        # Which campaign each (repetition, campaign) is of.
        self.unit_groups: Ints = np.zeros(int(self.units.max()) + 1, dtype=np.int64)
        self.unit_groups[self.units] = self.groups

    def split(self, values: Sequence[Any]) -> tuple[Any, Any]:
        """Honest newcomers and subjects of a per-document array of each repetition."""
        honest = [v[: t.honest] for t, v in zip(self._trials, values, strict=True)]
        subjects = [v[t.honest :] for t, v in zip(self._trials, values, strict=True)]
        return np.concatenate(honest), np.concatenate(subjects)

    def shares(self, caught: Bools) -> Row:
        """Return the share of documents, and of campaigns that lost any or all, with intervals."""
        any_, all_ = shares.any_and_all(caught, self.units)
        rows = {}
        for name, values, groups in (
            ("documents", caught, self.groups),
            ("campaigns_any", any_, self.unit_groups),
            ("campaigns_all", all_, self.unit_groups),
        ):
            share, interval = shares.grouped_mean(values.astype(np.float64), groups)
            rows[name] = _share(share, interval)
        return rows


def summarise(trials: Sequence[Repetition], rate: float, *, honest: bool = False) -> Row:
    """Measure everything about a case.

    Args:
        trials: Its repetitions.
        rate: False-alarm rate the gate was asked for.
        honest: Whether the subjects are honest too, so that what is flagged is a false alarm.

    Returns:
        An entry of `cases` in docs/schemas/bench.json.
    """
    pool = _Pool(trials)
    held, caught = pool.split([t.quarantined for t in trials])
    count = len(held) + len(caught)
    checks = sorted({name for t in trials for name in t.checks})
    seconds = {stage: sum(t.seconds[stage] for t in trials) for stage in STAGES}
    return {
        "subjects": "honest" if honest else "poison",
        "seeds": [t.seed for t in trials],
        "counts": {
            "honest": len(held),
            "setting_thresholds": int(pool.threshold.sum()),
            "reported_honest": int((~pool.threshold).sum()),
            "subjects": len(caught),
            "campaigns": int(pool.groups.max()) + 1,
        },
        "disjoint": {key: [t.sizes[key] for t in trials] for key in trials[0].sizes},
        "gate": {
            "rate": rate,
            "profile": trials[-1].profile[0],
            "promised": trials[-1].profile[1],
            "crashed": sorted({name for t in trials for name in t.crashed}),
            **pool.shares(caught),
            "honest_quarantined": _counted(held),
            "first_findings": _first(trials, pool, caught),
        },
        "methods": {
            name: _method(pool, [t.scores[name] for t in trials]) for name in trials[0].scores
        },
        "checks": {name: _alone(pool, trials, name) for name in checks},
        "distribution": _distribution(pool, [t.scores[OURS] for t in trials]),
        "readers": _readers(trials),
        "milliseconds_per_document": {
            **{stage: _round(1000 * spent / count) for stage, spent in seconds.items()},
            "peers": {
                name: _round(1000 * sum(t.seconds[name] for t in trials) / count)
                for name in trials[0].scores
                if name != OURS
            },
        },
    }


def _round(value: float) -> float:
    return round(float(value), 5)


def _share(share: float, interval: shares.Interval) -> Row:
    return {"share": _round(share), "interval": [_round(interval[0]), _round(interval[1])]}


def _counted(flags: Bools) -> Row:
    hits, of = int(flags.sum()), len(flags)
    return {"count": hits, "of": of, **_share(hits / max(of, 1), shares.wilson(hits, of))}


def _first(trials: Sequence[Repetition], pool: _Pool, caught: Bools) -> dict[str, int]:
    """Quarantined subjects by the check of their first finding."""
    _, names = pool.split([np.array(t.first, dtype=object) for t in trials])
    counts = Counter(str(n) or "none" for n, held in zip(names, caught, strict=True) if held)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _method(pool: _Pool, scores: Sequence[Doubles]) -> Row:
    """AUROC, detection and ROC curve, on honest documents that set no threshold."""
    honest, subjects = pool.split(scores)
    setting, reported = honest[pool.threshold], honest[~pool.threshold]
    area, interval = shares.grouped_mean(measures.wins(subjects, reported), pool.groups)
    return {
        "auroc": _share(area, interval),
        "at": [_at(pool, setting, reported, subjects, rate) for rate in RATES],
        "roc": [[_round(x), _round(y)] for x, y in measures.roc(subjects, reported)],
    }


def _at(pool: _Pool, setting: Doubles, reported: Doubles, subjects: Doubles, rate: float) -> Row:
    limit = measures.threshold(setting, rate)
    if limit is None:
        return {
            "rate": rate,
            "reason": f"{len(setting)} honest documents set the threshold; this rate takes "
            f"{measures.needed(rate)}",
            "observed": None,
            "detection": None,
        }
    return {
        "rate": rate,
        "reason": None,
        "observed": _counted(reported > limit),
        "detection": pool.shares(subjects > limit),
    }


def _alone(pool: _Pool, trials: Sequence[Repetition], name: str) -> Row:
    """Tell what a single check would have found."""
    silent = [t.checks.get(name, np.zeros(len(t.quarantined))) for t in trials]
    honest, subjects = pool.split(silent)
    setting, reported = honest[pool.threshold], honest[~pool.threshold]
    rows: list[Row] = []
    for rate in RATES:
        limit = measures.threshold(setting, rate)
        detection = None if limit is None else _round((subjects > limit).mean())
        seen = None if limit is None else _round((reported > limit).mean())
        rows.append({"rate": rate, "observed": seen, "detection": detection})
    return {"auroc": _round(measures.auroc(subjects, reported)), "at": rows}


def _distribution(pool: _Pool, scores: Sequence[Doubles]) -> Row:
    honest, subjects = pool.split(scores)
    edges = np.linspace(0.0, 1.0, BINS + 1)
    return {
        "edges": [_round(e) for e in edges],
        "honest": [_round(s) for s in measures.histogram(honest[~pool.threshold], edges)],
        "subjects": [_round(s) for s in measures.histogram(subjects, edges)],
    }


def _readers(trials: Sequence[Repetition]) -> Row:
    """Means over repetitions of what honest and target questions get."""
    honest = [t.retrieval["honest"] for t in trials if "honest" in t.retrieval]
    targets = [t.retrieval["targets"] for t in trials if "targets" in t.retrieval]
    result: Row = {"honest": None, "targets": None}
    if honest:
        result["honest"] = {
            "queries": int(np.mean([h["queries"] for h in honest])),
            "qrels_dropped": int(np.mean([h["qrels dropped"] for h in honest])),
            **{
                state.replace(" ", "_"): {
                    name: _round(np.mean([h[state][name] for h in honest]))
                    for name in ("ndcg@10", "recall@5")
                }
                for state in ("clean", "let in", "gated")
            },
        }
    if targets:
        groups = shares.number_groups([c for t in targets for c in t["campaigns"]])
        rows: Row = {"questions": len(groups)}
        for state in ("let in", "gated"):
            hits = np.concatenate([np.array(t[state], dtype=np.float64) for t in targets])
            reached, interval = shares.grouped_mean((hits > 0).astype(np.float64), groups)
            most, most_interval = shares.grouped_mean((hits >= 3).astype(np.float64), groups)
            rows[state.replace(" ", "_")] = {
                "poison_in_top_5": _round(hits.mean()),
                "reached": _share(reached, interval),
                "majority": _share(most, most_interval),
            }
        result["targets"] = rows
    return result
