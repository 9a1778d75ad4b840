"""Find words in an order nobody writes.

Token optimisation (HotFlip and its kin) puts words together for their vectors' sake. Measured is
the surprisal of each word after the one before it, under word and pair counts of the corpus itself,
over the worst short stretch: the windowed perplexity filter (Jain et al., "Baseline Defenses",
2023; Alon, Kamfonas, "Detecting Language Model Attacks with Perplexity", 2023) without a language
model. Lists of names are the honest text that looks most like it: what is written like a name
counts for no more than a usual word, nor does a number. A list of ailments is made of rare words
among others like it; so an odd chunk is compared with the indexed ones nearest to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.detect.nearby import relative_to_nearby, written_abroad, written_as_names
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Doubles, Evidence, Ints, Lexicon, Signal
from ragguard.text.languages import Languages
from ragguard.text.ngram_model import pair_surprisal_rows
from ragguard.text.tokens import tokens, worst_windows


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.coherence]."""

    window: int = 16  # word pairs
    prior: int = 4  # pairs of usual kind added to every stretch
    usual: float = 9.0  # their surprisal, bits
    vouched: int = 8  # other newcomers that may vouch for a word
    name: float = 9.0  # at most so many bits for a number or a word written like a name
    doubt: float = 11.0  # score from which names and other languages are looked for
    nearby: float = 10.0  # mean score of ordinary chunks, each against all others
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
    scores, places = _worst_stretches(view, np.arange(view.n), view.lexicon, params)
    scores = relative_to_nearby(
        view,
        scores,
        params.doubt,
        params.nearby,
        lambda near, counts: _worst_stretches(view, near, counts, params)[0],
    )

    def explain(row: int) -> Evidence:
        start = int(places[row])
        piece = " ".join(view.words[row][start : start + params.window + 1])
        return Evidence(
            f"words in an order nobody writes ({scores[row]:.1f} bits a word): {piece[:120]!r}",
            {"place": start},
        )

    return Signal(scores, explain)


def _worst_stretches(
    view: CorpusView, rows: Ints, lexicon: Lexicon, params: Params
) -> tuple[Doubles, Ints]:
    """Bits a word over the worst stretch of some rows, and where it starts; float64, int64 (n,)."""
    chosen = [view.words[row] for row in rows.tolist()]
    total = sum(lexicon.words.values())
    bits, lengths = pair_surprisal_rows(
        tokens(chosen), lexicon, total, view.documents[rows], params.vouched
    )
    scores, places = worst_windows(bits, lengths, params.window, params.prior, params.usual)
    scores[lengths == 0] = 0.0
    languages = Languages(lexicon.words)
    ends = np.cumsum(lengths)
    for number in np.flatnonzero(scores > params.doubt).tolist():
        abroad = written_abroad(view, int(rows[number]), languages)
        if languages.strange(chosen[number], abroad):
            scores[number] = params.usual
            continue
        digits = np.array([w[0].isdigit() for w in chosen[number]], dtype=bool)
        flags = (written_as_names(view, int(rows[number])) | digits)[1:]
        own = bits[ends[number] - lengths[number] : ends[number]]
        capped = np.where(flags, np.minimum(own, params.name), own)
        scores[number], places[number] = languages.worst_window(
            capped, chosen[number], params.window, params.prior, params.usual, abroad
        )
    return scores, places
