"""The measures, as pure functions over scores. Higher scores are more suspicious everywhere.

Thresholds are conformal: with m honest scores to set it, a threshold at rate r is passed by a
further honest document with probability at most r, and there is none where r < 1 / (m + 1) (Vovk,
Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005). Shares of honest documents carry
Wilson's interval (JASA 22 (1927)). Documents of one campaign stand or fall together, so everything
said of poison carries a percentile interval over a bootstrap that draws whole campaigns (Efron,
Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, sqrt

import numpy as np
from numpy.typing import NDArray

from ragguard.kernels.calibration import Doubles
from ragguard.model import Bools, Ints

DRAWS = 1000
LEVEL = 0.95
Z = 1.959963984540054  # two-sided 95 %
Interval = tuple[float, float]


def threshold(honest: Doubles, rate: float) -> float | None:
    """The score above which (strictly) a document is flagged.

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


def wilson(hits: int, of: int) -> Interval:
    """Wilson's 95 % interval of a share.

    Args:
        hits: Successes.
        of: Trials; (0, 1) when there was none.
    """
    if not of:
        return (0.0, 1.0)
    share, z2 = hits / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return (max(0.0, middle - half), min(1.0, middle + half))


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


def clusters(names: Sequence[str]) -> Ints:
    """Number of each name, int64 (n,), from 0 in order of first appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def grouped_mean(values: Doubles, groups: Ints) -> tuple[float, Interval]:
    """A mean over documents and its interval, bootstrapped by group.

    Args:
        values: float64 (n,), one a document, at least one.
        groups: int64 (n,), the group each is of, numbered from 0 without gaps.

    Returns:
        The mean, and the 2.5 % and 97.5 % quantiles of it over 1,000 draws of as many groups with
        replacement, seeded.
    """
    count = int(groups.max()) + 1
    totals = np.bincount(groups, weights=values, minlength=count)
    sizes = np.bincount(groups, minlength=count).astype(np.float64)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=DRAWS).astype(np.float64)
    means = (drawn @ totals) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(values.mean()), (float(low), float(high))


def by_campaign(caught: Bools, units: Ints) -> tuple[Bools, Bools]:
    """Which campaigns lost a document, and which lost all.

    Args:
        caught: bool (n,), per poisoned document.
        units: int64 (n,), its campaign in its repetition, numbered from 0 without gaps.

    Returns:
        bool (u,) any of its documents was caught; bool (u,) all of them were.
    """
    count = int(units.max()) + 1
    hits = np.bincount(units, weights=caught.astype(np.float64), minlength=count)
    return hits > 0, hits == np.bincount(units, minlength=count)


def roc(poison: Doubles, honest: Doubles, points: int = 200) -> list[tuple[float, float]]:
    """The ROC curve, thinned evenly on a logarithmic axis of false alarms.

    Args:
        poison: float64 (n,).
        honest: float64 (m,).
        points: Most points that are kept.

    Returns:
        (false-alarm rate, detection rate), ascending, from (0, share above every honest document)
        to (1, 1): after k honest documents are flagged, the share of poison strictly above the
        next one.
    """
    falling = np.sort(honest)[::-1]
    m = len(falling)
    kept = np.unique(
        np.concatenate([[0], np.floor(np.geomspace(1, max(m, 1), max(points - 2, 2))), [m]])
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
    """Share of scores in each bin; those beyond the ends count in the end bins."""
    clipped = np.clip(scores, edges[0], edges[-1])
    counts: NDArray[np.int64] = np.histogram(clipped, bins=edges)[0]
    return [float(c) / max(len(scores), 1) for c in counts]
