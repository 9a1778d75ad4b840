"""Compare two runs of the same queries: may the second take the place of the first?

Both are judged by the same qrels: those of documents that both corpora hold. What was dropped is
reported, since poison that is taken out must not look like quality that is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ragguard.canary.formats import Rankings
from ragguard.canary.measures import NDCG, common, mean, measured
from ragguard.canary.result import Run, told
from ragguard.errors import UsageError
from ragguard.stats.compare_rankings import (
    DRAWS,
    PairedDifference,
    overlap,
    paired_bootstrap,
    rank_biased_overlap,
)
from ragguard.stats.two_sample import holm
from ragguard.text.safe_display import cut

TOLERANCE = 0.05  # mean loss, absolute
ALPHA = 0.05  # of the three measures together
NAMED = 10  # reasons of one kind that are written out


@dataclass(frozen=True)
class MeasureDifference:
    """One measure, before and after.

    Attributes:
        before: Mean over the queries that both runs answer and are judged for.
        after: Likewise.
        paired: Bootstrap of the mean difference.
        p_value: Of it getting worse, corrected for the number of measures (Holm); `None` where
            there are too few queries to tell.
    """

    before: float
    after: float
    paired: PairedDifference
    p_value: float | None


@dataclass(frozen=True)
class QueryChange:
    """One query, before and after.

    Attributes:
        overlap: Share of the first k documents in common.
        rbo: Rank-biased overlap of all that was ranked.
        before: Its measures; empty when it is not judged.
        after: Likewise.
        left: First documents before, best first.
        right: First documents after.
    """

    query: str
    overlap: float
    rbo: float
    before: Mapping[str, float]
    after: Mapping[str, float]
    left: Sequence[str]
    right: Sequence[str]

    @property
    def loss(self) -> float:
        """nDCG@10 lost; below 0 it won."""
        return self.before.get(NDCG, 0.0) - self.after.get(NDCG, 0.0)


@dataclass(frozen=True)
class Comparison:
    """Two runs, side by side.

    Attributes:
        before: The first run.
        after: The second.
        k: Depth of overlap and recall.
        seed: Of the bootstrap.
        differences: Measure to its difference; empty where no query is judged in both.
        queries: Every query of both runs, the most changed first.
        dropped: (query, document) of relevant documents that one of the two does not hold.
    """

    before: Run
    after: Run
    k: int
    seed: int
    differences: Mapping[str, MeasureDifference]
    queries: Sequence[QueryChange]
    dropped: Sequence[tuple[str, str]]

    @property
    def overlap(self) -> float:
        """Mean overlap."""
        return mean([q.overlap for q in self.queries])

    @property
    def rbo(self) -> float:
        """Mean rank-biased overlap."""
        return mean([q.rbo for q in self.queries])

    @property
    def eliminated(self) -> list[str]:
        """Triggers that were alive before and are not any more."""
        alive = {t.text for t in self.after.alive}
        asked = {t.text for t in self.after.triggers or ()}
        return [t.text for t in self.before.alive if t.text in asked - alive]

    def as_dict(self) -> dict[str, Any]:
        """As docs/schemas/canary.json describes it, but for the gate's answer."""
        sides = {}
        for side, run in (("before", self.before), ("after", self.after)):
            whole = run.as_dict()
            kept = ("name", "canaries", "forbidden", "triggers", "latency_ms")
            sides[side] = {key: whole[key] for key in kept}
        return {
            **sides,
            "k": self.k,
            "seed": self.seed,
            "measures": {name: _plain(d) for name, d in self.differences.items()},
            "overlap": self.overlap,
            "rbo": self.rbo,
            "eliminated": self.eliminated,
            "dropped": [{"query": query, "document": name} for query, name in self.dropped],
            "queries": [asdict(q) for q in self.queries],
        }


def _plain(difference: MeasureDifference) -> dict[str, Any]:
    return {
        "before": difference.before,
        "after": difference.after,
        "difference": difference.paired.mean,
        "low": difference.paired.low,
        "high": difference.paired.high,
        "p_value": difference.p_value,
        "queries": difference.paired.pairs,
    }


def compare(before: Run, after: Run, *, seed: int = 0) -> Comparison:
    """Hold a run against another one.

    Args:
        before: What serves.
        after: What would take its place.
        seed: Of the bootstrap; the same seed draws the same.

    Raises:
        UsageError: They have no query in common.
    """
    shared = [query for query in before.rankings if query in after.rankings]
    if not shared:
        raise UsageError(
            f"{before.name} and {after.name} have no query in common",
            hint="Both must be runs of the canary set in force.",
        )
    k = min(before.k, after.k)
    left = {query: before.rankings[query] for query in shared}
    right = {query: after.rankings[query] for query in shared}
    qrels = common(before.qrels, after.qrels)
    old, new = measured(left, qrels, k), measured(right, qrels, k)
    pairs = {
        name: paired_bootstrap(
            np.array(list(values.values()), dtype=np.float64),
            np.array([new[name][query] for query in values], dtype=np.float64),
            draws=DRAWS,
            seed=seed,
        )
        for name, values in old.items()
        if values
    }
    return Comparison(
        before,
        after,
        k,
        seed,
        {
            name: MeasureDifference(
                mean(list(old[name].values())), mean(list(new[name].values())), pairs[name], p_value
            )
            for name, p_value in _corrected(pairs).items()
        },
        _changed(left, right, old, new, k),
        list(dict.fromkeys((*before.dropped, *after.dropped))),
    )


def _corrected(pairs: Mapping[str, PairedDifference]) -> dict[str, float | None]:
    p_values = {name: p.p_value for name, p in pairs.items() if p.p_value is not None}
    raised = holm(np.array(list(p_values.values()), dtype=np.float64)).tolist()
    return {name: dict(zip(p_values, raised, strict=True)).get(name) for name in pairs}


def _changed(
    left: Rankings,
    right: Rankings,
    old: Mapping[str, Mapping[str, float]],
    new: Mapping[str, Mapping[str, float]],
    k: int,
) -> list[QueryChange]:
    changed = []
    for query in left:
        before, after = [n for n, _ in left[query]], [n for n, _ in right[query]]
        changed.append(
            QueryChange(
                query,
                overlap(before, after, k),
                rank_biased_overlap(before, after),
                {m: values[query] for m, values in old.items() if query in values},
                {m: values[query] for m, values in new.items() if query in values},
                before[:k],
                after[:k],
            )
        )
    return sorted(changed, key=lambda q: (-abs(q.loss), q.rbo, q.query))


def gate(comparison: Comparison, tolerance: float = TOLERANCE) -> list[str]:
    """Tell why the second run may not take the first one's place.

    Args:
        comparison: Of the two.
        tolerance: Mean loss of a measure, absolute, that is let pass where it may be chance.

    Returns:
        Reasons, each a sentence; may quote hostile text. Empty: it may.
    """
    after = comparison.after
    reasons = _first([f"must not appear: {told(hit)}" for hit in after.forbidden], "must-not hits")
    reasons += _first(
        [f"trigger {cut(t.text, 80)!r} is alive: {t.reason}" for t in after.alive], "triggers"
    )
    if comparison.before.qrels and not comparison.differences:
        reasons.append("no canary query is judged in both: nothing says that it answers as well")
    for name, difference in comparison.differences.items():
        lost = -difference.paired.mean
        figures = f"{name} falls from {difference.before:.3f} to {difference.after:.3f}"
        if lost > tolerance:
            reasons.append(f"{figures}, by more than {tolerance:g}")
        elif lost > 0 and difference.p_value is not None and difference.p_value <= ALPHA:
            reasons.append(f"{figures}, which is no chance (p = {difference.p_value:.2g})")
    return reasons


def _first(reasons: list[str], noun: str) -> list[str]:
    """Return the first of many."""
    if len(reasons) <= NAMED:
        return reasons
    return [*reasons[:NAMED], f"… and {len(reasons) - NAMED} more {noun}"]
