"""Compare two rankings, and test whether queries are answered worse than before.

Rankings are sequences of distinct names, best first. What is random is seeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.model import Doubles

PERSISTENCE = 0.9  # of rank-biased overlap: the first ten ranks carry 86 % of the weight
DRAWS = 10_000
LEVEL = 0.95
LEAST = 10  # pairs below which a bootstrap says nothing of chance
_BLOCK = 1_000_000  # numbers drawn at once


def overlap(left: Sequence[str], right: Sequence[str], k: int) -> float:
    """Return the share of the first k names that two rankings have in common, whatever their order.

    Args:
        left: Distinct names, best first.
        right: Likewise.
        k: Depth, at least 1.

    Returns:
        In [0, 1]; 1 is the same names. Of the longer of the two where both are shorter than k; 1
        where both are empty.
    """
    one, other = set(left[:k]), set(right[:k])
    longest = max(len(one), len(other))
    return len(one & other) / longest if longest else 1.0


def rank_biased_overlap(
    left: Sequence[str], right: Sequence[str], persistence: float = PERSISTENCE
) -> float:
    """Extrapolated rank-biased overlap: agreement at each depth, the first ranks weighing most.

    Source: Webber, Moffat, Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4)
    (2010), equation 32: what was seen is taken to go on as it was at the last depth seen.

    Args:
        left: Distinct names, best first.
        right: Likewise; may be of another length.
        persistence: p in (0, 1); how deep a reader looks.

    Returns:
        In [0, 1]; 1 is the same ranking. 1 where both are empty, 0 where one is.
    """
    short, long = sorted((left, right), key=len)
    s, depth = len(short), len(long)
    if not s:
        return 1.0 if not depth else 0.0
    p = persistence
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    shared = shared_at_s = 0
    total = 0.0
    for d in range(1, depth + 1):
        name = long[d - 1]
        seen_long.add(name)
        shared += name in seen_short
        if d <= s:
            seen_short.add(short[d - 1])
            shared += short[d - 1] in seen_long
            shared_at_s = shared
        total += shared / d * p**d
        if d > s:
            total += shared_at_s * (d - s) / (s * d) * p**d
    rest = ((shared - shared_at_s) / depth + shared_at_s / s) * p**depth
    return (1 - p) / p * total + rest


@dataclass(frozen=True)
class PairedDifference:
    """The mean difference of paired values, and what chance makes of it.

    Attributes:
        mean: Mean of after minus before; below 0 is worse.
        low: 2.5 % quantile of the mean over the draws.
        high: 97.5 % quantile.
        p_value: One-sided: how often a mean as low comes up where nothing got worse; `None` where
            fewer than `LEAST` pairs can tell nothing.
        pairs: How many there were.
    """

    mean: float
    low: float
    high: float
    p_value: float | None
    pairs: int


def paired_bootstrap(
    before: Doubles, after: Doubles, *, draws: int = DRAWS, seed: int = 0
) -> PairedDifference:
    """Bootstrap of the mean difference between paired values.

    Source: Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 13 (percentile
    interval) and 16.4 (the test: differences moved to mean 0 are drawn again); for retrieval,
    Sakai, SIGIR 2006.

    Args:
        before: float64 (n,), higher is better.
        after: float64 (n,), of the same queries in the same order.
        draws: Samples of n pairs, with replacement.
        seed: The same seed draws the same.
    """
    differences = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    n = len(differences)
    if not n:
        return PairedDifference(0.0, 0.0, 0.0, None, 0)
    mean = float(differences.mean())
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // n)
    means = np.concatenate(
        [
            differences[rng.integers(0, n, size=(min(step, draws - start), n))].mean(axis=1)
            for start in range(0, draws, step)
        ]
    )
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    p_value: float | None = None
    if n >= LEAST:
        # Without the slack, rounding alone would decide where every mean is the same.
        slack = 1e-12
        p_value = float((1 + np.sum(means - mean <= mean + slack)) / (draws + 1))
    return PairedDifference(mean, float(low), float(high), p_value, n)
