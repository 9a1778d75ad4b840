"""Isolation: chunks far from everything, and farther than their neighbours are from each other.

Catches noise vectors, junk and gibberish; finds next to nothing of retrieval poison, which is dense
(see `collusion`). Sources: Ramaswamy, Rastogi, Shim, "Efficient Algorithms for Mining Outliers",
SIGMOD 2000 (k-NN distance); Breunig et al., SIGMOD 2000 (LOF).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.checks import check
from ragguard.errors import NotApplicable
from ragguard.kernels.density import chord, ldof
from ragguard.kernels.neighbours import merge
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.isolation]."""

    k: int = 8  # neighbours


@check("isolation", family="isolation", params=Params, unit=0.08)
def isolation(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by its mean distance to its k nearest plus the log of its local outlier factor.

    Returns:
        Raw scores, float64 (n,): chord distance in [0, 2] plus log(max(LDOF, 1)).

    Raises:
        NotApplicable: Fewer than 3 * k chunks to compare with.
    """
    if len(view.texts) < 3 * params.k:
        raise NotApplicable(f"fewer than {3 * params.k} chunks to compare with")
    indices, similarities = merge(
        (view.reference.indices, view.reference.similarities),
        (view.newcomers.indices, view.newcomers.similarities),
        params.k,
    )
    present = indices >= 0
    count = np.maximum(present.sum(axis=1), 1)
    distance = np.where(present, chord(similarities), 0.0).sum(axis=1) / count
    distance[~present.any(axis=1)] = 2.0
    scores = distance.copy()
    factor = ldof(view.vectors, indices, similarities)
    scores += np.log(np.maximum(factor, 1.0))

    def explain(row: int) -> Evidence:
        return Evidence(
            f"far from everything in the corpus (mean distance {distance[row]:.2f} to its "
            f"{int(count[row])} nearest chunks)",
            {"distance": round(float(distance[row]), 4)},
        )

    return Signal(scores, explain)
