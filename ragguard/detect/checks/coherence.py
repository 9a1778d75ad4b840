"""Coherence: words in an order nobody writes.

Token optimisation (HotFlip and its kin) puts words together for their vectors' sake. Measured is
the surprisal of each word after the one before it, under word and pair counts of the corpus itself,
over the worst short stretch: the windowed perplexity filter (Jain et al., "Baseline Defenses",
2023; Alon, Kamfonas, "Detecting Language Model Attacks with Perplexity", 2023) without a language
model. Lists of names are the honest text that looks most like it: what is written like a name
counts for no more than a usual word, nor does a number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.text.languages import Languages
from ragguard.text.ngram_model import pair_surprisal_rows
from ragguard.text.tokens import tokens, worst_window, worst_windows
from ragguard.text.words import name_flags


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.coherence]."""

    window: int = 16  # word pairs
    prior: int = 4  # pairs of usual kind added to every stretch
    usual: float = 9.0  # their surprisal, bits
    vouched: int = 8  # other newcomers that may vouch for a word
    name: float = 9.0  # at most so many bits for a number or a word written like a name
    doubt: float = 11.0  # score from which names and other languages are looked for
    least: int = 20_000  # words of reference below which pairs are not known


@check("coherence", family="text", params=Params, unit=0.5)
def coherence(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by the mean surprisal of its worst stretch.

    Returns:
        Raw scores, float64 (n,), bits a word, higher is less likely; 0 without two words of prose.

    Raises:
        NotApplicable: Too few words are known.
    """
    total = sum(view.lexicon.words.values())
    if total < params.least:
        raise NotApplicable(f"fewer than {params.least} words are known")
    bits, lengths = pair_surprisal_rows(
        tokens(view.words[: view.n]),
        view.lexicon,
        total,
        view.documents[: view.n],
        params.vouched,
    )
    scores, places = worst_windows(bits, lengths, params.window, params.prior, params.usual)
    scores[lengths == 0] = 0.0
    doubted = np.flatnonzero(scores > params.doubt)
    languages = Languages(view.lexicon.words)
    ends = np.cumsum(lengths)
    for row in doubted.tolist():
        if languages.foreign(view.words[row]):
            scores[row] = params.usual
            continue
        flags = np.array(name_flags(view.prose[row]), dtype=bool)[1:]
        flags |= np.array([w[0].isdigit() for w in view.words[row][1:]], dtype=bool)
        own = bits[ends[row] - lengths[row] : ends[row]]
        capped = np.where(flags, np.minimum(own, params.name), own)
        scores[row], places[row] = worst_window(capped, params.window, params.prior, params.usual)

    def explain(row: int) -> Evidence:
        start = int(places[row])
        piece = " ".join(view.words[row][start : start + params.window + 1])
        return Evidence(
            f"words in an order nobody writes ({scores[row]:.1f} bits a word): {piece[:120]!r}",
            {"place": start},
        )

    return Signal(scores, explain)
