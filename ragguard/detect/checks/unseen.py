"""Find stretches full of words that nobody in the corpus writes.

Typing errors, pasted word pieces and random strings are words of no document. A new subject brings
new words too, but between them stand the corpus's commonest words, as in any honest sentence; in
damaged text those are damaged as well. So an unseen word counts for, a common word against, and a
name counts little; and an odd chunk is compared with the indexed ones nearest to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.detect.nearby import relative_to_nearby, written_abroad, written_as_names
from ragguard.errors import NotApplicable
from ragguard.model import Bools, CorpusView, Doubles, Evidence, Ints, Lexicon, Signal
from ragguard.text.languages import Languages
from ragguard.text.tokens import elsewhere, own_counts, tokens, worst_windows
from ragguard.text.words import common_words


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.unseen]."""

    window: int = 40  # words
    prior: int = 8  # words of usual kind added to every stretch
    usual: float = -0.35  # their mean value: +1 unseen, -1 common
    shared: float = 0.25  # value of an unseen word that other newcomers write too
    name: float = 0.25  # value of an unseen word written like a name
    doubt: float = 0.7  # score from which names and other languages are looked for
    nearby: float = 0.6  # mean score of ordinary chunks, each against all others
    common: int = 100  # most frequent words that count as common
    least: int = 2_000  # distinct known words below which nothing can be said


@check("unseen", family="text", params=Params, unit=0.06)
def unseen(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by its worst stretch: share of unseen words less share of common ones.

    Returns:
        Raw scores, float64 (n,), in [0, 2]; 1 where the two balance; 0 where there is no prose.

    Raises:
        NotApplicable: Too few words are known.
    """
    known = view.lexicon.words
    if len(known) < params.least:
        raise NotApplicable(f"fewer than {params.least} distinct words are known")
    every = np.arange(view.n)
    scores, strange, ends = _worst_stretches(view, every, view.lexicon, params)
    scores = relative_to_nearby(
        view,
        scores,
        params.doubt,
        params.nearby,
        lambda near, counts: _worst_stretches(view, near, counts, params)[0],
    )

    def explain(row: int) -> Evidence:
        own = strange[ends[row] - len(view.words[row]) : ends[row]]
        unseen_words = [w for w, odd in zip(view.words[row], own, strict=True) if odd]
        sample = list(dict.fromkeys(unseen_words))[:8]
        return Evidence(
            f"{len(unseen_words)} of {len(view.words[row])} words occur nowhere else, such as "
            f"{', '.join(sample)}",
            {"words": sample},
        )

    return Signal(scores, explain)


def _worst_stretches(
    view: CorpusView, rows: Ints, lexicon: Lexicon, params: Params
) -> tuple[Doubles, Bools, Ints]:
    """Scores of some rows, float64 (n,); which of their words are unseen; where each row ends."""
    known = lexicon.words
    common = common_words(known, params.common)
    judged = tokens([view.words[row] for row in rows.tolist()])
    documents = view.documents[rows]
    counts = np.array([known.get(w, 0) for w in judged.vocabulary], dtype=np.int64)
    alphabetic = np.array([w.isalpha() for w in judged.vocabulary], dtype=bool)
    usual = np.array([w in common for w in judged.vocabulary], dtype=bool)
    others = counts[judged.ids]
    if lexicon.includes_batch:
        others = others - own_counts(judged.ids, judged.rows, documents, len(judged.vocabulary))
    strange = alphabetic[judged.ids] & (others <= 0)
    values = np.where(strange, 1.0, np.where(usual[judged.ids], -1.0, 0.0))
    if not lexicon.includes_batch:
        beside = elsewhere(judged, documents, 1)
        values = np.where(strange & (beside > 0), params.shared, values)
    worst, _ = worst_windows(values, judged.lengths, params.window, params.prior, params.usual)
    scores = np.where(judged.lengths > 0, 1.0 + worst, 0.0)
    ends = np.cumsum(judged.lengths)
    languages = Languages(known)
    for number in np.flatnonzero(scores > params.doubt).tolist():
        row = rows[number]
        abroad = written_abroad(view, int(row), languages)
        if languages.strange(view.words[row], abroad):
            scores[number] = 1.0 + params.usual
            continue
        flags = written_as_names(view, int(row))
        own = values[ends[number] - judged.lengths[number] : ends[number]]
        lowered = np.where(flags & (own > 0), params.name, own)
        worst_mean, _ = languages.worst_window(
            lowered, view.words[row], params.window, params.prior, params.usual, abroad
        )
        scores[number] = 1.0 + worst_mean
    return scores, strange, ends
