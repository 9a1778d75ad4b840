"""Compute how sure the gate is that a held document is poison, to sort cases by.

It ranks cases for people and is no probability: a p-value says how rarely an honest document looks
like this, and nothing of how often poison comes.
"""

from __future__ import annotations

from math import log10
from typing import Literal

MEDIUM, HIGH = 0.7, 0.95  # at the asked rate, and at a twentieth of it
STRICTER = 20.0
MOST = 0.99  # at a four-hundredth and below: nothing is certain
Level = Literal["low", "medium", "high"]


def confidence(p_value: float | None, asked: float) -> float:
    """Map a p-value to a confidence in [0, 0.99]; the smaller the p-value, the higher.

    Linear in -log10 p between four points: p = 1 gives 0, the asked false-alarm rate 0.7, a
    twentieth of it 0.95, a four-hundredth and less 0.99.

    Args:
        p_value: Combined p-value of a document; `None` for a rule that needs none, which is as
            sure as can be said: 0.99.
        asked: False-alarm rate asked, in (0, 1).
    """
    if p_value is None:
        return MOST
    depth = -log10(max(p_value, 1e-300))
    first, step = -log10(asked), log10(STRICTER)
    if depth <= first:
        return round(MEDIUM * max(0.0, depth) / first, 3)
    if depth <= first + step:
        return round(MEDIUM + (HIGH - MEDIUM) * (depth - first) / step, 3)
    return round(min(MOST, HIGH + (MOST - HIGH) * (depth - first - step) / step), 3)


def level(value: float) -> Level:
    """Say the same in a word: `high` from 0.95, `medium` from 0.7, else `low`."""
    return "high" if value >= HIGH else "medium" if value >= MEDIUM else "low"
