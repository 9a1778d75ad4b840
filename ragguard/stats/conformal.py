"""Turn raw scores into p-values, and many p-values into one.

1. A raw score becomes a p-value against the raw scores of clean reference chunks. Inside the
   reference it is the conformal (1 + #{r >= s}) / (n + 1) (Vovk, Gammerman, Shafer, "Algorithmic
   Learning in a Random World", 2005); in its upper fiftieth an exponential tail through the mean
   excess (Hill, "A Simple General Approach to Inference About the Tail of a Distribution",
   Annals of Statistics 3 (1975)) takes over, and goes on where no reference chunk was.
2. P-values of the checks of one family are multiplied (Fisher, "Statistical Methods for Research
   Workers", 1925): two that are each a little unusual are more than one. Fisher's distribution
   asks for independent p-values, which these are not; so what a family says is compared with what
   it says of the reference documents, which gives its p-value. Where the reference hardly
   knows a check, that comparison counts its rarity a second time, and loses how many chunks were
   looked at: a family's p-value is never below the product of its checks' (which no combination
   of valid p-values falls below).
3. The families are combined by the Cauchy combination (Liu, Xie, "Cauchy Combination Test", Journal
   of the American Statistical Association 115 (2020)), each with its share of the alarm budget. Its
   tail hardly depends on how they depend on each other, and far out it is the smallest p-value over
   its share (weighted Bonferroni). Since every family was compared with the reference before, one
   whose honest documents often score high takes nothing of another's. P-values above one half count
   as one half: an innocent family is no alibi.
4. The combined statistic is compared, again conformally, with that of the reference documents. Only
   this last step makes a promise: whatever happened before, an honest document that is exchangeable
   with the reference is flagged with at most the asked rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Doubles

TAIL = 0.02  # upper share of the reference of a check or family that its tail is fitted on
FEWEST = 20  # and the fewest of it
UPPER = 0.1  # upper share that the tail of a family is fitted on where it seldom speaks
SMALLEST = 1e-12
FEW = 8  # distinct exceedances below which the tail's scale is the check's own unit


def tail_p_values(scores: Doubles, reference: Doubles, unit: float = 1.0) -> Doubles:
    """Compute p-values of a check's raw scores, finely resolved in the tail.

    Args:
        scores: float64 (n,), higher is worse.
        reference: float64 (m,), ascending, raw scores of clean chunks.
        unit: The rise in raw score that makes a chunk e times rarer, where the reference has too
            few exceedances to tell.

    Returns:
        float64 (n,) in (0, 1].
    """
    m = len(reference)
    if not m:
        return np.ones(len(scores))
    p = conformal_p_values(scores, reference)
    start = reference[m - 1 - min(m - 1, max(FEWEST, int(TAIL * m)))]
    beyond = scores > start
    p[beyond] = _exceedance(scores[beyond], reference, float(start), unit)
    return np.asarray(np.clip(p, SMALLEST, 1.0), dtype=np.float64)


def family_p_values(statistics: Doubles, reference: Doubles, products: Doubles) -> Doubles:
    """Compute p-values of a family of checks: counted, and a tail where it is steady.

    A family that speaks of most documents has a tail that goes through its reference, so that one
    odd honest document among thousands does not stand before all that is nearly as odd. One that
    seldom says anything has none; there the count is the better estimate, and a tail goes on only
    beyond the reference.

    Args:
        statistics: float64 (n,), from `family_statistics`.
        reference: float64 (m,), ascending, of clean documents.
        products: float64 (n,), from `family_products`: what is never gone below.

    Returns:
        float64 (n,) in (0, 1].
    """
    m = len(reference)
    if not m:
        return np.ones(len(statistics))
    p = conformal_p_values(statistics, reference)
    start = float(reference[m - 1 - min(m - 1, max(FEWEST, int(TAIL * m)))])
    if len(np.unique(reference[reference > start])) >= FEWEST:
        beyond = statistics > start
        p[beyond] = _exceedance(statistics[beyond], reference, start, 1.0)
    else:
        start = float(reference[int((1.0 - UPPER) * (m - 1))])
        beyond = statistics > reference[-1]
        further = _exceedance(statistics[beyond], reference, start, 1.0)
        p[beyond] = np.minimum(p[beyond], further)
    return np.asarray(np.clip(np.maximum(p, products), SMALLEST, 1.0), dtype=np.float64)


def _exceedance(scores: Doubles, reference: Doubles, start: float, unit: float) -> Doubles:
    """Exponential tail through the mean excess over `start`, float64 (n,)."""
    excess = reference[reference > start] - start
    scale = float(excess.mean()) if len(np.unique(excess)) >= FEW else unit
    share = max(1.0, float(len(excess))) / (len(reference) + 1.0)
    tail: Doubles = share * np.exp(-(scores - start) / max(scale, 1e-9))
    return tail


def combine(p_values: Doubles, weights: Doubles) -> Doubles:
    """Weighted Cauchy statistic of rows of p-values; higher is worse.

    Args:
        p_values: float64 (n, c) in (0, 1]; NaN where a check had nothing to say.
        weights: float64 (c,).

    Returns:
        float64 (n,), at least 0; 0 where there are no checks.
    """
    usable = np.where(np.isnan(p_values), 0.5, np.clip(p_values, SMALLEST, 0.5))
    terms = np.tan((0.5 - usable) * np.pi)
    total = (terms * weights).sum(axis=1) / max(float(weights.sum()), SMALLEST)
    return np.asarray(total, dtype=np.float64)


def family_statistics(p_values: Doubles, weights: Doubles, groups: NDArray[np.int64]) -> Doubles:
    """Multiply the p-values of the checks of each family; log scale, higher is worse.

    Args:
        p_values: float64 (n, c) in (0, 1]; NaN where a check had nothing to say.
        weights: float64 (c,), weight of each check within its family.
        groups: int64 (c,), family of each check, from 0 without gaps.

    Returns:
        float64 (n, families): weighted sum of -log p, at least 0; 0 where a family said nothing.
    """
    logs = -np.log(np.where(np.isnan(p_values), 1.0, np.clip(p_values, SMALLEST, 1.0))) * weights
    statistics = np.zeros((len(p_values), int(groups.max(initial=-1)) + 1))
    np.add.at(statistics.T, groups, logs.T)
    return statistics


def family_products(p_values: Doubles, groups: NDArray[np.int64]) -> Doubles:
    """Product of the p-values of the checks of each family, whatever each weighs.

    Args:
        p_values: float64 (n, c) in (0, 1]; NaN where a check had nothing to say.
        groups: int64 (c,), family of each check, from 0 without gaps.

    Returns:
        float64 (n, families) in (0, 1].
    """
    return np.exp(-family_statistics(p_values, np.ones(len(groups)), groups))


def statistic_of(p_values: Doubles) -> Doubles:
    """Return the Cauchy statistic whose tail a p-value is, to rank it with others.

    Args:
        p_values: float64 (n,) in [0, 1].
    """
    usable = np.clip(p_values, SMALLEST**2, 1.0) / 2.0
    statistic: Doubles = np.where(
        usable < 1e-7, 1.0 / (np.pi * usable), np.tan((0.5 - usable) * np.pi)
    )
    return statistic


def suspicion(statistic: Doubles) -> Doubles:
    """Map the combined statistic to [0, 1), monotone, with room to rank at the upper end.

    L / (1 + L) with L = -log10 of the Cauchy tail of the statistic: 0.5 at one in ten, 0.67 at one
    in a hundred, 0.8 at one in ten thousand.

    Args:
        statistic: float64 (n,), from `combine`.
    """
    p = np.clip(2.0 * (0.5 - np.arctan(statistic) / np.pi), SMALLEST**2, 1.0)
    small = statistic > 1e6
    p[small] = 2.0 / (np.pi * statistic[small])
    level = 0.0 - np.log10(p)
    mapped: Doubles = level / (1.0 + level)
    return mapped


def conformal_p_values(statistics: Doubles, reference: Doubles) -> Doubles:
    """Compute p-values that keep their promise: (1 + #{r >= s}) / (m + 1).

    Args:
        statistics: float64 (n,), higher is worse.
        reference: float64 (m,), ascending.

    Returns:
        float64 (n,); never below 1 / (m + 1).
    """
    above = len(reference) - np.searchsorted(reference, statistics, side="left")
    return np.asarray((1.0 + above) / (len(reference) + 1.0), dtype=np.float64)
