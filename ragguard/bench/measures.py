"""Compute the measures over scores. Higher scores are more suspicious everywhere.

Thresholds are conformal: with m honest scores to set it, a threshold at rate r is passed by a
further honest document with probability at most r, and there is none where r < 1 / (m + 1) (Vovk,
Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005). Intervals: `stats.intervals`.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Doubles

ROC_POINTS = 200  # of a curve at most


def threshold(honest: Doubles, rate: float) -> float | None:
    """Return the score above which (strictly) a document is flagged.

    Args:
        honest: float64 (m,), scores of honest documents that are not reported.
        rate: Share of honest documents that may be flagged.

    Returns:
        The floor(rate * (m + 1))-th largest score; `None` where that is the zeroth.
    """
    allowed = floor(rate * (len(honest) + 1) + 1e-9)
    if allowed < 1:
        return None
    return float(np.sort(honest)[-allowed])


def needed(rate: float) -> int:
    """Honest documents that a threshold at a rate takes."""
    count = max(1, round(1.0 / rate) - 1)
    while floor(rate * (count + 1) + 1e-9) < 1:
        count += 1
    return count


def wins(poison: Doubles, honest: Doubles) -> Doubles:
    """Per poisoned document the share of honest ones it is above; ties count one half.

    Their mean is the area under the ROC curve (Mann, Whitney, 1947; Hanley, McNeil, 1982).

    Args:
        poison: float64 (n,).
        honest: float64 (m,), at least one.

    Returns:
        float64 (n,) in [0, 1].
    """
    ordered = np.sort(honest)
    below = np.searchsorted(ordered, poison, side="left")
    up_to = np.searchsorted(ordered, poison, side="right")
    return np.asarray((below + up_to) / (2.0 * len(ordered)), dtype=np.float64)


def auroc(poison: Doubles, honest: Doubles) -> float:
    """Area under the ROC curve: 0.5 is chance, 1 a perfect ranking."""
    return float(wins(poison, honest).mean())


def roc(poison: Doubles, honest: Doubles) -> list[tuple[float, float]]:
    """Return the ROC curve, thinned evenly on a logarithmic axis of false alarms.

    Args:
        poison: float64 (n,).
        honest: float64 (m,).

    Returns:
        (false-alarm rate, detection rate), ascending, from (0, share above every honest document)
        to (1, 1): after k honest documents are flagged, the share of poison strictly above the
        next one.
    """
    falling = np.sort(honest)[::-1]
    m = len(falling)
    kept = np.unique(
        np.concatenate([[0], np.floor(np.geomspace(1, max(m, 1), ROC_POINTS - 2)), [m]])
    ).astype(np.int64)
    ordered = np.sort(poison)
    curve = []
    for k in kept.tolist():
        above = (
            len(ordered)
            if k >= m
            else len(ordered) - int(np.searchsorted(ordered, falling[k], side="right"))
        )
        curve.append((k / m, above / len(ordered)))
    return curve


def histogram(scores: Doubles, edges: Doubles) -> list[float]:
    """Return the share of scores in each bin; those beyond the ends count in the end bins."""
    clipped = np.clip(scores, edges[0], edges[-1])
    counts: NDArray[np.int64] = np.histogram(clipped, bins=edges)[0]
    return [float(c) / max(len(scores), 1) for c in counts]
