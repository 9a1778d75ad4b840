"""Collusion: newcomers that say one thing in different words, tighter than anything around them.

Retrieval poison is not isolated, it is over-dense: several passages written for one question stand
closer together than honest passages on a subject do, while sharing few words, because copies would
be noticed. A clean corpus that already knows the subject shows how close is usual there.

Paraphrase neighbours (high cosine, low word overlap) follow RAGSieve's score; the comparison of
newcomers with the reference and the local ratio are ours. The ratio has LOF's shape (Breunig et
al., SIGMOD 2000): how far the surroundings are, over how far the companions are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragguard.checks import check
from ragguard.errors import NotApplicable
from ragguard.kernels.text import jaccard
from ragguard.model import CorpusView, Evidence, Neighbours, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.collusion]."""

    overlap: float = 0.6  # word Jaccard above which two texts are copies, not paraphrases
    companions: int = 4  # companions averaged
    softening: float = 0.02  # added to the companions' distance


def _paraphrases(
    view: CorpusView, neighbours: Neighbours, overlap: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Similarities of paraphrase neighbours, descending, 0 where absent; and their rows."""
    n, k = neighbours.indices.shape
    rows = np.repeat(np.arange(n), k)
    columns = neighbours.indices.ravel()
    present = columns >= 0
    shared = np.ones(n * k, dtype=np.float32)
    shared[present] = jaccard(view.terms, rows[present], columns[present])
    kept = (present & (shared <= overlap)).reshape(n, k)
    values = np.where(kept, np.maximum(neighbours.similarities, 0.0), 0.0).astype(np.float64)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), np.where(
        np.take_along_axis(kept, order, axis=1),
        np.take_along_axis(neighbours.indices, order, axis=1),
        -1,
    )


@check("collusion", family="collusion", params=Params, unit=0.15)
def collusion(view: CorpusView, params: Params) -> Signal:
    """Score how far a chunk and its companions among the newcomers stand out from their region.

    Returns:
        Raw scores, float64 (n,), log of (distance to the surroundings / distance to the
        companions), at least 0, damped where the reference hardly knows the region.

    Raises:
        NotApplicable: Nothing arrived beside this document and nothing waits in quarantine.
    """
    near, rows = _paraphrases(view, view.newcomers, params.overlap)
    if not (rows >= 0).any():
        raise NotApplicable("no other newcomer to compare with")
    known, _ = _paraphrases(view, view.reference, params.overlap)
    width = min(params.companions, near.shape[1])
    scores = np.zeros(view.n)
    for size in {2, width}:
        companions = near[:, :size].mean(axis=1)
        trusted = known[:, :size].mean(axis=1)
        beyond = near[:, 2 * size + 1] if near.shape[1] > 2 * size + 1 else np.zeros(view.n)
        floor = np.maximum(beyond, trusted)
        ratio = np.log((1.0 - floor) / (1.0 - companions + params.softening))
        scores = np.maximum(scores, ratio)
    scores *= _familiarity(view, known[:, :width].mean(axis=1))

    def explain(row: int) -> Evidence:
        found = [int(r) for r in rows[row, :width] if r >= 0]
        names = [view.labels[view.documents[r]] for r in found]
        close = [round(float(s), 3) for s in near[row, : len(found)]]
        waiting = sum(view.zones[r] == "quarantine" for r in found)
        also = f", {waiting} of them waiting in quarantine" if waiting else ""
        return Evidence(
            f"says the same as {len(found)} other newcomers in different words (similarity "
            f"{close[0] if close else 0:.2f}){also}, closer than documents on this subject "
            "usually are",
            {"companions": names, "similarities": close},
        )

    return Signal(scores, explain)


def _familiarity(view: CorpusView, trusted: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well the reference knows each chunk's region, in (0, 1); 1 without a reference.

    A batch on a subject the corpus never had is dense among itself for an honest reason.
    """
    mean, deviation = view.lexicon.closeness
    if not np.isfinite(mean) or deviation <= 0:
        return np.ones(view.n)
    z = (trusted - mean) / deviation
    weight: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-3.0 * (z + 1.0)))
    return weight
