"""Find the same words over and over, to be found for them. Only prose is looked at.

Source: Ntoulas et al., "Detecting Spam Web Pages through Content Analysis", WWW 2006 (repetition of
n-grams and share of the most frequent words).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.stuffing]."""

    shortest: int = 4  # letters of a word that counts
    least: int = 20  # words below which nothing is measured
    top: int = 5  # most frequent words whose share is taken
    natural: float = 0.45  # repetition that ordinary writing reaches (tables, references)


@check("stuffing", family="text", params=Params, unit=0.05)
def stuffing(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by the share of its few most repeated words and of repeated word triples.

    Returns:
        Raw scores, float64 (n,), the two shares added, less what is natural, in [0, 1.55].
    """
    scores = np.zeros(view.n)
    for row in range(view.n):
        scores[row] = max(0.0, _repetition(view.words[row], params) - params.natural)

    def explain(row: int) -> Evidence:
        long = _long(view.words[row], params)
        top = Counter(long).most_common(params.top) if len(long) >= params.least else []
        listed = ", ".join(f"{word} {count} times" for word, count in top[:3])
        return Evidence(f"the same words over and over: {listed}", {"words": dict(top)})

    return Signal(scores, explain)


def _long(row: Sequence[str], params: Params) -> list[str]:
    return [w for w in row if len(w) >= params.shortest]


def _repetition(row: Sequence[str], params: Params) -> float:
    """Return the two shares added, in [0, 2]."""
    long = _long(row, params)
    if len(long) < params.least:
        return 0.0
    counts = sorted(Counter(long).values(), reverse=True)[: params.top]
    repeated = (sum(counts) - len(counts)) / len(long)
    triples = max(0, len(long) - 2)
    distinct = len(set(zip(long, long[1:], long[2:], strict=False)))
    return repeated + (triples - distinct) / max(1, triples)
