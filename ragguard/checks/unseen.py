"""Unseen words: stretches full of words that nobody in the corpus writes.

Typing errors, pasted word pieces and random strings are words of no document. A new subject brings
new words too, but between them stand the corpus's commonest words, as in any honest sentence; in
damaged text those are damaged as well. So an unseen word counts for, a common word against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.checks import check
from ragguard.errors import NotApplicable
from ragguard.kernels.windows import worst_window
from ragguard.kernels.words import OwnCounts, common_words
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.unseen]."""

    window: int = 40  # words
    prior: int = 8  # words of usual kind added to every stretch
    usual: float = -0.35  # their mean value: +1 unseen, -1 common
    common: int = 100  # most frequent words that count as common
    least: int = 2_000  # distinct known words below which nothing can be said


@check("unseen", family="text", params=Params, unit=0.06)
def unseen(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by its worst stretch: share of unseen words less share of common ones.

    Returns:
        Raw scores, float64 (n,), in [0, 2]; 1 where the two balance.

    Raises:
        NotApplicable: Too few words are known.
    """
    known = view.lexicon.words
    if len(known) < params.least:
        raise NotApplicable(f"fewer than {params.least} distinct words are known")
    common = common_words(known, params.common)
    own = OwnCounts(view)
    scores = np.zeros(view.n)
    found: dict[int, list[str]] = {}
    for row in range(view.n):
        others = own.words(row)
        strange = [w.isalpha() and known.get(w, 0) - others.get(w, 0) <= 0 for w in view.words[row]]
        values = [
            1.0 if odd else -1.0 if w in common else 0.0
            for w, odd in zip(view.words[row], strange, strict=True)
        ]
        scores[row] = 1.0 + worst_window(values, params.window, params.prior, params.usual)[0]
        found[row] = [w for w, odd in zip(view.words[row], strange, strict=True) if odd]

    def explain(row: int) -> Evidence:
        sample = list(dict.fromkeys(found[row]))[:8]
        return Evidence(
            f"{len(found[row])} of {len(view.words[row])} words occur nowhere else, such as "
            f"{', '.join(sample)}",
            {"words": sample},
        )

    return Signal(scores, explain)
