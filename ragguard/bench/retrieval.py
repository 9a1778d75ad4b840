"""Measure what readers get: honest and target questions, before the gate and after it.

A document ranks by its best chunk, exactly (cosine). `clean`: honest documents only. `let in`:
everything that arrived. `gated`: what the gate admitted. nDCG@10 and recall@5 are computed by
ir_measures (MacAvaney, Macdonald, Ounis, ECIR 2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ragguard.bench.vectors import EmbeddedBenchDocument
from ragguard.model import Bools, Floats

DEPTH = 10
TOP = 5
Ranking = list[list[tuple[int, float]]]  # per query: document numbers and similarities, best first


def document_similarities(queries: Floats, items: Sequence[EmbeddedBenchDocument]) -> Floats:
    """Similarity of each query to the nearest chunk of each document.

    Args:
        queries: float32 (q, d), unit length.

    Returns:
        float32 (q, n).
    """
    sizes = [len(i.prepared.chunks) for i in items]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    chunks = queries @ np.concatenate([i.prepared.vectors for i in items]).T
    return np.asarray(np.maximum.reduceat(chunks, starts, axis=1), dtype=np.float32)


def rank(similarities: Floats, present: Bools, depth: int = DEPTH) -> Ranking:
    """Return the nearest present documents of each query; ties by number."""
    masked = np.where(present[None, :], similarities, -np.inf)
    order = np.argsort(-masked, axis=1, kind="stable")[:, :depth]
    return [
        [(int(i), float(row[i])) for i in nearest if present[i]]
        for row, nearest in zip(masked, order, strict=True)
    ]


def honest_measures(
    ranking: Ranking, queries: Sequence[str], ids: Sequence[str], qrels: Mapping[str, Any]
) -> dict[str, float]:
    """Return the mean nDCG@10 and recall@5 over the judged queries.

    Args:
        queries: Their ids; each has a relevant document in `qrels`.
        ids: Id of each document number.
    """
    import ir_measures
    from ir_measures import R, nDCG

    wanted = {q: dict(qrels[q]) for q in queries}
    run = {
        query: {ids[i]: similarity for i, similarity in ranked}
        for query, ranked in zip(queries, ranking, strict=True)
    }
    measures = ir_measures.calc_aggregate([nDCG @ DEPTH, R @ TOP], wanted, run)
    return {"ndcg@10": float(measures[nDCG @ DEPTH]), "recall@5": float(measures[R @ TOP])}


def target_hits(ranking: Ranking, guilty: Sequence[frozenset[int]]) -> list[int]:
    """Per target question, how many of its own poisoned documents are among the first five."""
    return [
        sum(i in mine for i, _ in ranked[:TOP])
        for ranked, mine in zip(ranking, guilty, strict=True)
    ]
