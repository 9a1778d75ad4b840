"""Compute nDCG@10, recall@k and RR of rankings, each query by itself.

Computed by ir-measures (MacAvaney, Macdonald, Ounis, ECIR 2022), that is by trec_eval. A query
whose ranking is empty has 0 of everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragguard.canary.formats import Rankings

NDCG = "nDCG@10"
DEPTH = 10  # of nDCG; rankings are at least as deep
Qrels = Mapping[str, Mapping[str, int]]
Measures = Mapping[str, Mapping[str, float]]  # measure to query to value


def measured(rankings: Rankings, qrels: Qrels, k: int) -> dict[str, dict[str, float]]:
    """Measures of the judged queries.

    Args:
        rankings: Query id to (document, similarity); similarities strictly fall.
        qrels: Query id to document to grade. Queries with no grade above 0 are left out.
        k: Depth of recall.

    Returns:
        `nDCG@10`, `recall@k` and `RR` to query id to value in [0, 1], higher is better, in the
        order of `qrels`.
    """
    import ir_measures
    from ir_measures import RR, R, nDCG

    judged = {
        q: dict(g) for q, g in qrels.items() if q in rankings and max(g.values(), default=0) > 0
    }
    names = {nDCG @ DEPTH: NDCG, R @ k: f"recall@{k}", RR: "RR"}
    measures = {name: dict.fromkeys(judged, 0.0) for name in names.values()}
    if judged:
        run = {query: dict(rankings[query]) for query in judged}
        for metric in ir_measures.iter_calc(list(names), judged, run):
            measures[names[metric.measure]][metric.query_id] = float(metric.value)
    return measures


def mean(values: Sequence[float]) -> float:
    """Return the mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def common(one: Qrels, other: Qrels) -> dict[str, dict[str, int]]:
    """Tell what both judge: the documents that both sides know."""
    return {
        query: {name: grade for name, grade in grades.items() if name in other[query]}
        for query, grades in one.items()
        if query in other
    }
