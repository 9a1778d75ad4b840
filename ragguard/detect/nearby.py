"""Compare odd passages with indexed ones on the same subject, as far as the index knows it.

Some subjects are written in rare words and enumerations, others in plain sentences. What is odd in
the corpus as a whole may be the way of its subject, so a score is taken relative to what the same
measurement says of the nearest indexed passages: conditional anomaly detection (Song, Wu, Jermaine,
Ranka, "Conditional Anomaly Detection", IEEE TKDE 19 (2007)). Where nothing indexed is near, the
corpus cannot tell which words are odd, and the measurement says nothing. Only the serving index is
asked: newcomers cannot vouch for each other, and who would lower a score must have passages
admitted first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ragguard.model import Bools, CorpusView, Doubles, Ints, Lexicon
from ragguard.text.languages import Languages
from ragguard.text.words import name_flags

NEAREST = 20  # indexed passages that a passage is compared with
CLOSEST = 4  # those of them whose similarity tells whether the index knows the subject
# How belief falls where the index is farther than usual: half is left at `CENTRE` standard
# deviations. Optimised tokens lay between -3.2 and -0.7, honest batches on a subject of which the
# index had nothing between -5.2 and -3.5, on one of which it had little between -3.4 and -1.8.
SLOPE, CENTRE = 6.0, -3.25


def relative_to_nearby(
    view: CorpusView,
    scores: Doubles,
    doubt: float,
    usual: float,
    measure: Callable[[Ints, Lexicon], Doubles],
) -> Doubles:
    """Take off what a measurement says of the nearest indexed passages beyond what is usual.

    Nothing is added where they are plainer than usual: a plain surrounding makes nobody odder.

    Args:
        view: What the check sees.
        scores: float64 (n,), of the judged rows, higher is odder.
        doubt: Scores up to this one stay: they hold nothing, and measuring costs time.
        usual: Mean of the measurement over ordinary passages.
        measure: Scores of context rows, float64, of int64 row numbers, under word counts that hold
            those rows themselves.

    Returns:
        float64 (n,); `usual` where the index has nothing near; unchanged without an index, and
        where the word counts are the batch's own.
    """
    if view.lexicon.includes_batch:
        return scores
    doubted = np.flatnonzero(scores > doubt)
    nearest = view.reference.indices[doubted, :NEAREST]
    present = nearest >= 0
    if not present.any():
        return scores
    rows, place = np.unique(nearest[present], return_inverse=True)
    nearby_scores = np.zeros(nearest.shape)
    nearby_scores[present] = measure(rows, replace(view.lexicon, includes_batch=True))[place]
    beside = nearby_scores.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    relative_scores = scores.copy()
    less = np.maximum(beside - usual, 0.0)
    relative_scores[doubted] = usual + known_subject(view, doubted) * (
        scores[doubted] - less - usual
    )
    return relative_scores


def written_as_names(view: CorpusView, row: int) -> Bools:
    """Find the words of a row's prose that are written like names; see `text.words.name_flags`.

    Args:
        view: What the check sees; it keeps the answer for the next check.
        row: Any row.

    Returns:
        bool, one a word of the row.
    """
    known: dict[int, Bools] = view.shared.setdefault(written_as_names, {})
    if row not in known:
        known[row] = np.array(name_flags(view.prose[row]), dtype=np.bool_)
    return known[row]


def written_abroad(view: CorpusView, row: int, languages: Languages) -> bool:
    """Tell whether a row's document is in a language that the corpus hardly has anything of.

    Args:
        view: What the check sees; it keeps the answer for the next row and check.
        row: Any row.
        languages: What the corpus speaks.
    """
    known: dict[int, bool] = view.shared.setdefault(written_abroad, {})
    document = int(view.documents[row])
    if document not in known:
        rows = np.flatnonzero(view.documents == document).tolist()
        known[document] = languages.foreign([word for r in rows for word in view.words[r]])
    return known[document]


def known_subject(view: CorpusView, rows: Ints) -> Doubles:
    """How far the index knows the subject of some rows, float64 in (0, 1); 1 where it cannot tell.

    Args:
        view: Its lexicon says how near the nearest of other documents usually are.
        rows: int64, judged rows.
    """
    mean, deviation = view.lexicon.closeness
    if not np.isfinite(mean) or deviation <= 0:
        return np.ones(len(rows))
    near = view.reference.similarities[rows, :CLOSEST].astype(np.float64).mean(axis=1)
    belief: Doubles = 1.0 / (1.0 + np.exp(-SLOPE * ((near - mean) / deviation - CENTRE)))
    return belief
