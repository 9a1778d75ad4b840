"""Words of many texts as numbers, so that a measure runs over all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ragguard.model import Ints


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
    """Number the words of texts.

    Args:
        rows: Words of each text.
    """
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
    """How many other documents of the same batch write a word.

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
