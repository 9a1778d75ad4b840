"""Compute shares of documents and campaigns with their confidence intervals.

Honest documents are taken as independent: Wilson's interval (JASA 22 (1927)). Documents of one
campaign stand or fall together, so shares of poison carry a percentile interval over a bootstrap
that draws whole campaigns (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from ragguard.model import Bools, Doubles, Ints

DRAWS = 1000
LEVEL = 0.95
Z = 1.959963984540054  # two-sided 95 %
Interval = tuple[float, float]


def wilson(hits: int, of: int) -> Interval:
    """Compute Wilson's 95 % interval of a share.

    Args:
        of: Trials; (0, 1) when there was none.
    """
    if not of:
        return (0.0, 1.0)
    share, z2 = hits / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    # At the ends the two are equal but for rounding.
    return (middle - half if hits else 0.0, middle + half if hits < of else 1.0)


def clopper_pearson(hits: int, of: int) -> Interval:
    """Compute the exact 95 % interval of a share (Clopper, Pearson, Biometrika 26 (1934)).

    It holds the true share at least so often whatever that is, which Wilson's does on average.

    Args:
        of: Trials; (0, 1) when there was none.
    """
    from scipy.special import betaincinv

    if not of:
        return (0.0, 1.0)
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(hits, of - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 1 - tail)) if hits < of else 1.0
    return (low, high)


def number_groups(names: Sequence[str]) -> Ints:
    """Number of each name, int64 (n,), from 0 in order of first appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def share_by_group(hits: Bools, groups: Ints) -> tuple[float, Interval]:
    """Return the share of documents that were hit, and its interval, bootstrapped by group.

    Args:
        hits: bool (n,), one a document, at least one.
        groups: int64 (n,), the group each is of, numbered from 0 without gaps.

    Returns:
        The share in [0, 1], and its 2.5 % and 97.5 % quantiles over 1,000 seeded draws of as many
        groups with replacement. Where all groups agree, so do all draws: then Wilson's interval
        over groups says how little a few of them can tell.
    """
    count = int(groups.max()) + 1
    share, interval = grouped_mean(hits.astype(np.float64), groups)
    if share in (0.0, 1.0):
        return share, wilson(round(share * count), count)
    return share, interval


def grouped_mean(values: Doubles, groups: Ints) -> tuple[float, Interval]:
    """Compute a mean over documents and its interval, bootstrapped by group.

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
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1.0 / count), size=DRAWS)
    means = (drawn @ totals) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(values.mean()), (float(low), float(high))


def any_and_all(hits: Bools, groups: Ints) -> tuple[Bools, Bools]:
    """Tell which groups have a document that was hit, and which had all of theirs hit.

    Args:
        hits: bool (n,), one a document.
        groups: int64 (n,), the group each is of, numbered from 0 without gaps.

    Returns:
        bool (g,) any, bool (g,) all.
    """
    count = int(groups.max()) + 1
    hit_counts = np.bincount(groups, weights=hits.astype(np.float64), minlength=count)
    return hit_counts > 0, hit_counts == np.bincount(groups, minlength=count)


def as_body(share: float, interval: Interval) -> dict[str, object]:
    """Render a share as a JSON object, four digits."""
    return {"share": round(share, 4), "interval": [round(interval[0], 4), round(interval[1], 4)]}
