"""Windowed perplexity, with the corpus's own word-pair model in the place of a language model.

Source: Jain et al., "Baseline Defenses for Adversarial Attacks Against Aligned Language Models",
arXiv:2309.00614 (2023): the text is cut into contiguous windows of ten tokens, and the window of
highest perplexity decides. A token is a word here, and its probability is that of a pair model
interpolated with single words (`ragguard.text.ngram_model`), counted on what was indexed before;
on everything where nothing was. What a document itself adds to the counts is taken off again.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from ragguard.bench.scan import Scan
from ragguard.model import Lexicon
from ragguard.text.ngram_model import BIGRAM_BUCKETS, TRIGRAM_BUCKETS, pair_buckets, pair_surprisals

NAME = "windowed perplexity"
WINDOW = 10  # tokens
LEAST = 20_000  # indexed words from which they alone are the reference


def score(scan: Scan) -> NDArray[np.float64]:
    """Logarithm of the perplexity of a document's worst window.

    Returns:
        float64 (m,), bits a word; 0 for texts of fewer than two words. Higher is more suspicious.
    """
    counted = ~scan.is_new
    if sum(len(scan.words[row]) for row in np.flatnonzero(counted)) < LEAST:
        counted = np.ones(len(scan.words), dtype=bool)
    single: Counter[str] = Counter()
    pairs = np.zeros(BIGRAM_BUCKETS, dtype=np.int64)
    for row in np.flatnonzero(counted):
        single.update(set(scan.words[row]))
        pairs[np.unique(pair_buckets(scan.words[row]))] += 1
    lexicon = Lexicon(
        documents=int(counted.sum()),
        words=single,
        bigrams=np.minimum(pairs, 65_535).astype(np.uint16),
        trigrams=np.zeros(TRIGRAM_BUCKETS, dtype=np.float32),
        closeness=(float("nan"), float("nan")),
    )
    total = sum(single.values())
    scores = np.zeros(len(scan.words))
    for row, words in enumerate(scan.words):
        own = counted[row]
        own_words = dict.fromkeys(words, 1) if own else {}
        own_pairs = dict.fromkeys(pair_buckets(words).tolist(), 1) if own else {}
        bits = pair_surprisals(words, lexicon, total, own_words, own_pairs)
        if len(bits):
            scores[row] = _worst(bits)
    return scores


def _worst(bits: NDArray[np.float64]) -> float:
    """Highest mean over contiguous windows; a remainder of under half a window joins the last."""
    starts = np.arange(0, len(bits), WINDOW)
    if len(starts) > 1 and len(bits) - starts[-1] < WINDOW / 2:
        starts = starts[:-1]
    ends = np.append(starts[1:], len(bits))
    return float(np.max(np.add.reduceat(bits, starts) / (ends - starts)))
