"""Word counts of a view: what everybody writes, and what only the judged document itself does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ragguard.kernels.surprisal import pair_buckets
from ragguard.model import CorpusView

_NONE: Mapping[str, int] = {}
_NO_PAIRS: Mapping[int, int] = {}


def common_words(counts: Mapping[str, int], top: int) -> frozenset[str]:
    """The most frequent words; ties in alphabetical order."""
    return frozenset(sorted(counts, key=lambda w: (-counts[w], w))[:top])


class OwnCounts:
    """What a judged document has itself added to the lexicon, to be taken off again.

    Only a lexicon counted on the batch itself (a cold start) holds any of it.

    Args:
        view: The view.
    """

    def __init__(self, view: CorpusView) -> None:
        self._view = view
        self._words: dict[int, Counter[str]] = {}
        self._pairs: dict[int, Counter[int]] = {}
        if not view.lexicon.includes_batch:
            return
        for row in range(view.n):
            document = int(view.documents[row])
            self._words.setdefault(document, Counter()).update(set(view.words[row]))
            buckets = np.unique(pair_buckets(view.words[row])).tolist()
            self._pairs.setdefault(document, Counter()).update(buckets)

    def words(self, row: int) -> Mapping[str, int]:
        """Chunks of the row's own document that each word is in."""
        return self._words.get(int(self._view.documents[row]), _NONE)

    def pairs(self, row: int) -> Mapping[int, int]:
        """Chunks of the row's own document that each word pair is in, by bucket."""
        return self._pairs.get(int(self._view.documents[row]), _NO_PAIRS)
