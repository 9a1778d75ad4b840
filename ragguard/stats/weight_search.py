"""Learn weights of checks from p-values of simulated poison and of honest documents.

Coordinate search: one weight after the other is tried at a few multiples of its prior, and the
best is kept, until a whole pass changes nothing. P-values are computed once; a step only recombines
them. Few degrees of freedom, bounds, and a penalty on leaving the prior keep what is learned from a
few hundred simulated documents from being learned by heart (ridge towards a prior: Hoerl, Kennard,
Technometrics 12 (1970)). A check that never helped keeps its prior weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np

from ragguard.model import Doubles
from ragguard.stats.conformal import SMALLEST

MULTIPLES = (1 / 50, 1 / 15, 1 / 5, 1 / 2, 1.0, 2.0, 5.0)
PASSES = 6
PULL = 0.001  # price of a weight e times its prior, in detection
LOSS = 1.0  # price of an attack of which less is found than with the prior, beside the mean's own
SOFT = 0.1  # share of the objective that sees how near a document is to the threshold


def terms(p_values: Doubles) -> Doubles:
    """Compute the summands of the Cauchy combination, see `conformal.combine`.

    Args:
        p_values: float64 (n, c) in (0, 1]; NaN where a check had nothing to say.
    """
    usable = np.where(np.isnan(p_values), 0.5, np.clip(p_values, SMALLEST, 0.5))
    return np.asarray(np.tan((0.5 - usable) * np.pi), dtype=np.float64)


def threshold(statistics: Doubles, rate: float) -> float:
    """Return the statistic above which (strictly) a document is flagged, set on honest ones.

    Args:
        statistics: float64 (m,), of honest documents.
        rate: Share of honest documents that may be flagged.

    Returns:
        The floor(rate * (m + 1))-th largest; the largest where m is too small for the rate.
    """
    allowed = max(1, floor(rate * (len(statistics) + 1) + 1e-9))
    return float(np.sort(statistics)[-allowed])


def detection(
    poison: Sequence[Doubles],
    families: Sequence[str],
    honest: Doubles,
    weights: Doubles,
    rate: float,
) -> tuple[float, float]:
    """Share of poison found at a rate: mean over families of the mean over their attacks.

    Args:
        poison: Terms of each attack's documents, float64 (n_i, c), none empty.
        families: Family of each attack.
        honest: Terms of honest documents, float64 (m, c).
        weights: float64 (c,).
        rate: Share of honest documents that may be flagged.

    Returns:
        The share, and the same with a document's distance to the threshold counted smoothly.
    """
    bar = threshold(honest @ weights, rate)
    rates: dict[str, list[tuple[float, float]]] = {}
    for table, family in zip(poison, families, strict=True):
        statistics = table @ weights
        ratio = np.maximum(statistics, 1e-9) / max(bar, 1e-9)
        soft = ratio / (1.0 + ratio)
        rates.setdefault(family, []).append((float((statistics > bar).mean()), float(soft.mean())))
    means = np.array([np.mean(rates[family], axis=0) for family in sorted(rates)]).mean(axis=0)
    return float(means[0]), float(means[1])


def learn(
    poison: Sequence[Doubles],
    families: Sequence[str],
    honest: Doubles,
    prior: Doubles,
    rate: float,
) -> Doubles:
    """Learn weights that find more of the poison at a rate.

    Args:
        poison: Terms of each attack's documents, float64 (n_i, c), none empty.
        families: Family of each attack.
        honest: Terms of honest documents, float64 (m, c).
        prior: Shipped weights, float64 (c,), positive.
        rate: Share of honest documents that may be flagged.

    Returns:
        float64 (c,), each within the multiples of its prior.
    """
    multiples = np.ones(len(prior))

    def each(weights: Doubles) -> Doubles:
        bar = threshold(honest @ weights, rate)
        return np.array([(table @ weights > bar).mean() for table in poison])

    base = each(prior)

    def worth(tried: Doubles) -> float:
        share, soft = detection(poison, families, honest, prior * tried, rate)
        lost = float(np.maximum(base - each(prior * tried), 0.0).mean())
        return share + SOFT * soft - LOSS * lost - PULL * float((np.log(tried) ** 2).sum())

    best = worth(multiples)
    for _ in range(PASSES):
        before = best
        for column in range(len(prior)):
            for multiple in MULTIPLES:
                tried = multiples.copy()
                tried[column] = multiple
                value = worth(tried)
                if value > best + 1e-9:
                    best, multiples = value, tried
        if best == before:
            break
    return np.asarray(prior * multiples, dtype=np.float64)
