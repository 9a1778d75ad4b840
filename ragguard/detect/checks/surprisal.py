"""Find runs of characters that the corpus makes unlikely.

Gibberish, encoded payloads and foreign scripts in the middle of ordinary prose: the highest mean
over a window, since a short burst disappears in the mean over a chunk. The idea of the perplexity
filter (Jain et al., "Baseline Defenses for Adversarial Attacks", 2023) with a character model
counted on the corpus itself, so that it needs no language model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.text.languages import Languages
from ragguard.text.ngram_model import char_surprisals
from ragguard.text.tokens import worst_windows


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.surprisal]."""

    window: int = 60  # characters
    shortest: int = 24  # characters of prose below which a chunk says nothing
    doubt: float = 4.2  # bits a character from which other languages are looked for
    least: int = 20_000  # characters of reference below which nothing can be said


@check("surprisal", family="text", params=Params, unit=0.4)
def surprisal(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by the bits a character of its most surprising window.

    Returns:
        Raw scores, float64 (n,), bits a character, higher is less likely; 0 where there is hardly
        any prose.

    Raises:
        NotApplicable: Too little text to count on.
    """
    counts = view.lexicon.trigrams
    if float(counts.sum()) < 2 * params.least:
        raise NotApplicable(f"fewer than {params.least} characters of reference")
    scores = np.zeros(view.n)
    places = np.zeros(view.n, dtype=np.int64)
    start = 0
    for bits, lengths in char_surprisals([t.lower() for t in view.prose[: view.n]], counts):
        rows = slice(start, start + len(lengths))
        scores[rows], places[rows] = worst_windows(bits, lengths, params.window)
        start += len(lengths)
    short = [len(text) < params.shortest for text in view.prose[: view.n]]
    scores[np.array(short, dtype=bool)] = 0.0
    languages = Languages(view.lexicon.words)
    for row in np.flatnonzero(scores > params.doubt).tolist():
        if languages.foreign(view.words[row]):
            scores[row] = 0.0

    def explain(row: int) -> Evidence:
        start = max(0, int(places[row]) - 1)
        piece = view.prose[row][start : start + params.window].strip()
        return Evidence(
            f"unlikely letters ({scores[row]:.1f} bits a character): {piece!r}",
            {"place": start},
        )

    return Signal(scores, explain)
