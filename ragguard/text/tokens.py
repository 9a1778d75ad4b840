"""Number the words of many texts, so that a measure runs over all of them at once.

The worst stretch of a sequence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Ints

BLOCK = 256  # sequences laid side by side at once


@dataclass(frozen=True)
class Tokens:
    """The words of `n` texts, one after the other.

    Attributes:
        ids: int64 (t,), number of each word in the vocabulary.
        rows: int64 (t,), the text it stands in, ascending.
        lengths: int64 (n,), words of each text.
        vocabulary: The words by number, in order of first appearance.
    """

    ids: Ints
    rows: Ints
    lengths: Ints
    vocabulary: list[str]


def tokens(rows: Sequence[Sequence[str]]) -> Tokens:
    """Number the words of texts."""
    known: defaultdict[str, int] = defaultdict()
    known.default_factory = known.__len__
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    ids = np.fromiter(
        map(known.__getitem__, chain.from_iterable(rows)), dtype=np.int64, count=lengths.sum()
    )
    return Tokens(ids, np.repeat(np.arange(len(rows)), lengths), lengths, list(known))


def own_counts(keys: Ints, rows: Ints, documents: Ints, span: int) -> Ints:
    """In how many texts of its own document each key occurs.

    A lexicon counted on the judged texts themselves (a cold start) holds what a document itself
    has added; this is what has to be taken off again.

    Args:
        keys: int64 (t,), numbers of words or buckets of word pairs, in [0, span).
        rows: int64 (t,), the text each stands in.
        documents: int64 (n,), the document of each text.
        span: Number of possible keys.

    Returns:
        int64 (t,), at least 1.
    """
    distinct = np.unique(rows * span + keys)
    held, counts = np.unique(
        documents[distinct // span] * span + distinct % span, return_counts=True
    )
    result: Ints = counts[np.searchsorted(held, documents[rows] * span + keys)]
    return result


def elsewhere(texts: Tokens, documents: Ints, most: int) -> Ints:
    """Count how many other documents of the same batch write a word.

    Honest newcomers on a new subject share its words. So may poison, and with few documents it
    could vouch for itself: no more than `most` count.

    Args:
        texts: The batch's words.
        documents: int64 (n,), the document of each text.
        most: Largest number told.

    Returns:
        int64 (t,), in [0, most].
    """
    span = len(texts.vocabulary)
    held = np.unique(documents[texts.rows] * span + texts.ids) % max(span, 1)
    number = np.bincount(held, minlength=span)
    result: Ints = np.minimum(number[texts.ids] - 1, most)
    return result


def worst_window(
    values: Sequence[float] | NDArray[np.float64], width: int, prior: int = 0, usual: float = 0.0
) -> tuple[float, int]:
    """Highest mean over a window, shrunk towards what is usual so that short texts do not win.

    Args:
        values: One value a position.
        width: Positions of the window; shorter sequences are one window.
        prior: Positions of usual value added to every window.
        usual: That value.

    Returns:
        The mean and where its window starts; (usual, 0) for an empty sequence without which
        nothing can be said.
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return usual, 0
    width = min(width, len(array))
    sums = np.cumsum(np.concatenate([[0.0], array]))
    means = (sums[width:] - sums[:-width] + prior * usual) / (width + prior)
    place = int(np.argmax(means))
    return float(means[place]), place


def worst_windows(
    values: NDArray[np.float64], lengths: Ints, width: int, prior: int = 0, usual: float = 0.0
) -> tuple[NDArray[np.float64], Ints]:
    """`worst_window` of many sequences at once; the same numbers to the last bit.

    Args:
        values: float64 (t,), the sequences one after the other.
        lengths: int64 (n,), how long each is.
        width: See `worst_window`.
        prior: See `worst_window`.
        usual: See `worst_window`.

    Returns:
        Means float64 (n,) and starts int64 (n,).
    """
    means = np.full(len(lengths), usual)
    places = np.zeros(len(lengths), dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    for at in range(0, len(order), BLOCK):
        rows = order[at : at + BLOCK]
        columns = np.arange(int(lengths[rows[-1]]))
        inside = columns < lengths[rows, None]
        laid = np.where(
            inside, values[np.minimum(starts[rows, None] + columns, len(values) - 1)], 0.0
        )
        sums = np.zeros((len(rows), len(columns) + 1))
        np.cumsum(laid, axis=1, out=sums[:, 1:])
        whole = lengths[rows] <= width
        if whole.any():
            short = rows[whole]
            total = sums[np.flatnonzero(whole), lengths[short]]
            means[short] = (total + prior * usual) / (lengths[short] + prior)
        if whole.all():
            continue
        long, sums = rows[~whole], sums[~whole]
        window_means = (sums[:, width:] - sums[:, :-width] + prior * usual) / (width + prior)
        window_means[np.arange(window_means.shape[1]) > (lengths[long] - width)[:, None]] = -np.inf
        places[long] = window_means.argmax(axis=1)
        means[long] = window_means[np.arange(len(long)), places[long]]
    return means, places
