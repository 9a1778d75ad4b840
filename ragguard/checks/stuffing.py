"""Stuffing: the same words over and over, to be found for them.

Source: Ntoulas et al., "Detecting Spam Web Pages through Content Analysis", WWW 2006 (repetition of
n-grams and share of the most frequent words).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ragguard.checks import check
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.stuffing]."""

    shortest: int = 4  # letters of a word that counts
    least: int = 20  # words below which nothing is measured
    top: int = 5  # most frequent words whose share is taken


@check("stuffing", family="text", params=Params, unit=0.05)
def stuffing(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by the share of its few most repeated words and of repeated word triples.

    Returns:
        Raw scores, float64 (n,), the two shares added, in [0, 2].
    """
    scores = np.zeros(view.n)
    top: dict[int, list[tuple[str, int]]] = {}
    for row in range(view.n):
        words = [w for w in view.words[row] if len(w) >= params.shortest]
        if len(words) < params.least:
            continue
        common = Counter(words).most_common(params.top)
        repeated = sum(count - 1 for _, count in common) / len(words)
        triples = Counter(zip(words, words[1:], words[2:], strict=False))
        again = sum(count - 1 for count in triples.values()) / max(1, sum(triples.values()))
        scores[row] = repeated + again
        top[row] = common

    def explain(row: int) -> Evidence:
        listed = ", ".join(f"{word} {count} times" for word, count in top.get(row, [])[:3])
        return Evidence(
            f"the same words over and over: {listed}", {"words": dict(top.get(row, []))}
        )

    return Signal(scores, explain)
