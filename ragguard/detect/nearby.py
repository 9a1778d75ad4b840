"""Compares odd passages with indexed ones on the same subject.

Some subjects are written in rare words and enumerations, others in plain sentences. What is odd in
the corpus as a whole may be the way of its subject, so a score is taken relative to what the same
measurement says of the nearest indexed passages: context anomalies (Song, Wu, Jermaine, Ranka,
"Conditional Anomaly Detection", IEEE TKDE 19 (2007)). Only the serving index is asked: newcomers
can not vouch for each other, and who would lower a score must have passages admitted first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ragguard.model import CorpusView, Doubles, Ints

NEAREST = 20  # indexed passages that a passage is compared with


def relative_to_nearby(
    view: CorpusView,
    scores: Doubles,
    doubt: float,
    usual: float,
    measure: Callable[[Ints], Doubles],
) -> Doubles:
    """Take off what a measurement says of the nearest indexed passages beyond what is usual.

    Args:
        view: What the check sees.
        scores: float64 (n,), of the judged rows, higher is odder.
        doubt: Scores up to this one stay: they hold nothing, and measuring costs time.
        usual: Mean of the measurement over ordinary passages.
        measure: Scores of context rows, float64, of int64 row numbers.

    Returns:
        float64 (n,); unchanged where nothing is indexed nearby.
    """
    doubted = np.flatnonzero(scores > doubt)
    nearest = view.reference.indices[doubted, :NEAREST]
    present = nearest >= 0
    if not present.any():
        return scores
    rows, place = np.unique(nearest[present], return_inverse=True)
    found = np.zeros(nearest.shape)
    found[present] = measure(rows)[place]
    count = present.sum(axis=1)
    mean = found.sum(axis=1) / np.maximum(count, 1)
    made = scores.copy()
    made[doubted] -= np.where(count > 0, mean - usual, 0.0)
    return made
