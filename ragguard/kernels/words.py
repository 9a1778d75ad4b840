"""What everybody writes."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nsmallest

import numpy as np


def common_words(counts: Mapping[str, int], top: int) -> frozenset[str]:
    """The most frequent words; ties in alphabetical order."""
    if not 0 < top < len(counts):
        return frozenset(counts if top > 0 else ())
    numbers = np.fromiter(counts.values(), dtype=np.int64, count=len(counts))
    least = int(np.partition(numbers, len(numbers) - top)[len(numbers) - top])
    often = (word for word, number in counts.items() if number >= least)
    return frozenset(nsmallest(top, often, key=lambda w: (-counts[w], w)))
