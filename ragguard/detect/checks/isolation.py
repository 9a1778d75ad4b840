"""Find chunks far from everything.

Noise vectors, off-topic junk and gibberish have no near neighbours, neither in the index nor among
the newcomers. Distance to the nearest few is what finds them: Ramaswamy, Rastogi, Shim, "Efficient
Algorithms for Mining Outliers from Large Data Sets", SIGMOD 2000. Local ratios (LOF, LDOF) were
tried beside it and lose them: the nearest of a noise vector are scattered themselves.

Distance of unit vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.knn.topk import merge
from ragguard.model import CorpusView, Evidence, Floats, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.isolation]."""

    k: int = 2  # neighbours
    least: int = 24  # chunks to compare with, below which nothing is far from anything


@check("isolation", family="isolation", params=Params, unit=0.08)
def isolation(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by its mean distance to its k nearest of other documents.

    Returns:
        Raw scores, float64 (n,): chord distance in [0, 2].

    Raises:
        NotApplicable: Fewer than `least` chunks to compare with.
    """
    if len(view.texts) < params.least:
        raise NotApplicable(f"fewer than {params.least} chunks to compare with")
    indices, similarities = merge(
        (view.reference.indices, view.reference.similarities),
        (view.newcomers.indices, view.newcomers.similarities),
        params.k,
    )
    present = indices >= 0
    count = np.maximum(present.sum(axis=1), 1)
    distance = np.where(present, chord(similarities), 0.0).sum(axis=1) / count
    distance[~present.any(axis=1)] = 2.0

    def explain(row: int) -> Evidence:
        return Evidence(
            f"far from everything in the corpus (mean distance {distance[row]:.2f} to its "
            f"{int(count[row])} nearest chunks)",
            {"distance": round(float(distance[row]), 4)},
        )

    return Signal(distance, explain)


def chord(similarities: Floats) -> NDArray[np.float64]:
    """Euclidean distance of unit vectors from their cosine; 2 where there is no neighbour (-1)."""
    distances: NDArray[np.float64] = np.sqrt(
        np.maximum(0.0, 2.0 - 2.0 * similarities.astype(np.float64))
    )
    return distances
