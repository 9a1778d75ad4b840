"""Find chunks that stand in the very middle of what is indexed around them.

A passage made to be retrieved for many questions at once lies where its neighbours' mean lies,
nearer to all of them than they are to each other; an honest passage has something of its own and
lies as far off the middle as they do. It needs no companions: one such vector is enough, and one is
found. Copies of a boilerplate are near everything too, but so are their neighbours.

After Radovanovic, Nanopoulos, Ivanovic, "Hubs in Space", JMLR 11 (2010), where hubs are the points
nearest to the mean of their region, and the attacks of Zhong et al., "Poisoning Retrieval Corpora
by Injecting Adversarial Passages", EMNLP 2023, and Xue et al., "BadRAG", 2024. What breaks it: a
hub over fewer passages than are looked at, and regions that the reference does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Evidence, Signal

BLOCK = 256  # rows whose neighbours' vectors are held at once, 10 MB


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.hubness]."""

    least: int = 12  # neighbours in the reference below which nothing is measured
    softening: float = 0.02  # added to a chunk's distance from the middle


@check("hubness", family="influence", params=Params, unit=0.1)
def hubness(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by how much nearer it is to the middle of its neighbours than they are.

    With s the mean similarity of a chunk to its neighbours in the reference and c that of the
    neighbours to each other, s * s / c is the share of the chunk that lies along their mean, and c
    that of a neighbour.

    Returns:
        Raw scores, float64 (n,), log of (1 - c) / (1 - s * s / c), at least 0; 0 where the
        reference has too few neighbours.

    Raises:
        NotApplicable: No chunk has enough neighbours in the reference.
    """
    present = view.reference.indices >= 0
    count = present.sum(axis=1)
    enough = np.flatnonzero(count >= max(2, params.least))
    if not len(enough):
        raise NotApplicable(f"fewer than {params.least} indexed chunks to compare with")
    close = np.where(present, view.reference.similarities, 0.0).sum(axis=1, dtype=np.float64)
    close /= np.maximum(count, 1)
    among = np.zeros(view.n)
    scores = np.zeros(view.n)
    for start in range(0, len(enough), BLOCK):
        rows = enough[start : start + BLOCK]
        there = present[rows]
        near = view.vectors[np.where(there, view.reference.indices[rows], 0)]
        total = np.where(there[:, :, None], near, 0.0).sum(axis=1, dtype=np.float64)
        k = count[rows]
        # Of unit vectors, the squared length of the sum is k plus all similarities of pairs.
        among[rows] = ((total * total).sum(axis=1) - k) / (k * (k - 1))
    common = np.clip(among[enough], 1e-3, 1.0)
    along = np.clip(close[enough], 0.0, 1.0) ** 2 / common
    off = np.maximum(1.0 - along, 0.0) + params.softening
    scores[enough] = np.maximum(np.log(np.maximum(1.0 - common, 1e-9) / off), 0.0)

    def explain(row: int) -> Evidence:
        return Evidence(
            f"stands in the middle of {int(count[row])} indexed passages, nearer to them "
            f"(similarity {close[row]:.2f}) than they are to each other ({among[row]:.2f}), as a "
            "passage made to be found for many questions does",
            {
                "similarity": round(float(close[row]), 4),
                "among_neighbours": round(float(among[row]), 4),
            },
        )

    return Signal(scores, explain)
