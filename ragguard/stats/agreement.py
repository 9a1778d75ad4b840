"""Measure how far two raters agree beyond chance.

Source: Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological
Measurement 20 (1960). The interval is Wilson's of the share of agreement, with chance taken as it
was counted: unlike the usual standard error it says how little a few things tell, also where all or
none agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ragguard.stats.intervals import Interval, wilson


@dataclass(frozen=True)
class Agreement:
    """Agreement of two raters.

    Attributes:
        n: Things that both rated.
        agreed: Those that both rated the same.
        kappa: From -1 to 1, 0 is what chance gives; `None` where nothing was rated, or both gave
            one and the same rating to all, so that chance alone would have them agree.
        interval: About 95 %, within [-1, 1]; `None` where kappa is.
    """

    n: int
    agreed: int
    kappa: float | None
    interval: Interval | None


def cohen(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Compute Cohen's kappa of two raters.

    Args:
        pairs: What the first and the second said of each thing.
    """
    n = len(pairs)
    agreed = sum(a == b for a, b in pairs)
    if not n:
        return Agreement(0, 0, None, None)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[name] * second[name] for name in first) / (n * n)
    if chance >= 1.0:
        return Agreement(n, agreed, None, None)
    low, kappa, high = (
        max(-1.0, (share - chance) / (1 - chance))
        for share in (wilson(agreed, n)[0], agreed / n, wilson(agreed, n)[1])
    )
    return Agreement(n, agreed, kappa, (low, high))
