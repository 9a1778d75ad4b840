"""Coherence: words in an order nobody writes.

Token optimisation (HotFlip and its kin) puts words together for their vectors' sake. Measured is
the surprisal of each word after the one before it, under word and pair counts of the corpus itself,
over the worst short stretch: the windowed perplexity filter (Jain et al., "Baseline Defenses",
2023; Alon, Kamfonas, "Detecting Language Model Attacks with Perplexity", 2023) without a language
model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.checks import check
from ragguard.errors import NotApplicable
from ragguard.kernels.surprisal import pair_surprisals
from ragguard.kernels.windows import worst_window
from ragguard.kernels.words import OwnCounts
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.coherence]."""

    window: int = 16  # word pairs
    prior: int = 4  # pairs of usual kind added to every stretch
    usual: float = 9.0  # their surprisal, bits
    least: int = 20_000  # words of reference below which pairs are not known


@check("coherence", family="text", params=Params, unit=0.5)
def coherence(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by the mean surprisal of its worst stretch.

    Returns:
        Raw scores, float64 (n,), bits a word, higher is less likely.

    Raises:
        NotApplicable: Too few words are known.
    """
    total = sum(view.lexicon.words.values())
    if total < params.least:
        raise NotApplicable(f"fewer than {params.least} words are known")
    own = OwnCounts(view)
    scores = np.zeros(view.n)
    places = np.zeros(view.n, dtype=np.int64)
    for row in range(view.n):
        bits = pair_surprisals(view.words[row], view.lexicon, total, own.words(row), own.pairs(row))
        scores[row], places[row] = worst_window(bits, params.window, params.prior, params.usual)

    def explain(row: int) -> Evidence:
        start = int(places[row])
        piece = " ".join(view.words[row][start : start + params.window + 1])
        return Evidence(
            f"words in an order nobody writes ({scores[row]:.1f} bits a word): {piece[:120]!r}",
            {"place": start},
        )

    return Signal(scores, explain)
