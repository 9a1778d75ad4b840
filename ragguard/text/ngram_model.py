"""Measure how unlikely letters and word pairs are, against counts of a reference text.

Characters: a trigram model, bits a character. Words: a pair model interpolated with single words,
bits a word. Counts are hashed (CRC-32), so collisions make things look a little more
usual than they are, never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Floats, Ints, Lexicon
from ragguard.text.tokens import Tokens, elsewhere, own_counts
from ragguard.text.words import stable_hash

TRIGRAM_BUCKETS = 1 << 16
BIGRAM_BUCKETS = 1 << 21
_PAIR_SHARE = 0.6  # weight of the pair model against the single words
_MERSENNE = 2_147_483_647
_BLOCK = 256  # texts looked at together
_ALPHABET = 64.0  # characters an unknown context may be followed by


def trigram_buckets(text: str) -> NDArray[np.int64]:
    """Bucket of every character trigram of a text, and of the bigram that is its context.

    Args:
        text: Lower-cased text; it is framed by spaces.

    Returns:
        int64 (2, len + 0): row 0 trigrams, row 1 their contexts.
    """
    return np.stack(_buckets(f"  {text} "))


def _buckets(framed: str) -> tuple[Ints, Ints]:
    raw = np.frombuffer(framed.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes: Ints = raw.astype(np.int64)
    first, second, third = codes[:-2], codes[1:-1], codes[2:]
    context = _modulo(first * 40_503 + second * 2_654_435)
    trigram = _modulo(context * 31 + third * 97 + 17)
    half = TRIGRAM_BUCKETS // 2
    return trigram % half, context % half


def _modulo(values: Ints) -> Ints:
    """`values % (2**31 - 1)` for values in [0, 2**61), without a division."""
    folded = (values & _MERSENNE) + (values >> 31)
    result: Ints = folded - np.where(folded >= _MERSENNE, _MERSENNE, 0)
    return result


def count_trigrams(texts: Iterable[str]) -> Floats:
    """Return the counts over texts: the lower half holds trigrams, the upper half their contexts.

    Returns:
        float32 (2**16,).
    """
    half = TRIGRAM_BUCKETS // 2
    counts = np.zeros(TRIGRAM_BUCKETS, dtype=np.float64)
    for text in texts:
        buckets = trigram_buckets(text.lower())
        counts[:half] += np.bincount(buckets[0], minlength=half)
        counts[half:] += np.bincount(buckets[1], minlength=half)
    return counts.astype(np.float32)


def char_surprisal(text: str, counts: Floats) -> NDArray[np.float64]:
    """Bits of each character given the two before it.

    Args:
        text: Lower-cased text.
        counts: From `count_trigrams`.

    Returns:
        float64 (len + 1,), higher is less likely.
    """
    half = TRIGRAM_BUCKETS // 2
    buckets = trigram_buckets(text)
    together = counts[:half][buckets[0]].astype(np.float64)
    context = counts[half:][buckets[1]].astype(np.float64)
    bits: NDArray[np.float64] = -np.log2((together + 0.5) / (context + 0.5 * _ALPHABET))
    return bits


def char_surprisals(
    texts: Sequence[str], counts: Floats
) -> Iterator[tuple[NDArray[np.float64], Ints]]:
    """`char_surprisal` of many texts, in blocks.

    Args:
        texts: Lower-cased texts.
        counts: From `count_trigrams`.

    Yields:
        Bits of the characters of a few texts, one after the other, float64 (t,), and how many each
        of the texts has, int64.
    """
    half = TRIGRAM_BUCKETS // 2
    together = np.log2(counts[:half].astype(np.float64) + 0.5)
    context = np.log2(counts[half:].astype(np.float64) + 0.5 * _ALPHABET)
    for start in range(0, len(texts), _BLOCK):
        block = texts[start : start + _BLOCK]
        lengths = np.fromiter(map(len, block), dtype=np.int64, count=len(block)) + 1
        trigrams, contexts = _buckets("".join(f"  {text} " for text in block))
        # Two trigrams at each seam belong to neither text.
        own = np.arange(int(lengths.sum())) + 2 * np.repeat(np.arange(len(block)), lengths)
        yield context[contexts[own]] - together[trigrams[own]], lengths


def pair_buckets(words: Sequence[str]) -> NDArray[np.int64]:
    """Bucket of every pair of adjacent words, int64 (len - 1,)."""
    hashes = np.array([stable_hash(w) for w in words], dtype=np.int64)
    if len(hashes) < 2:
        return np.empty(0, dtype=np.int64)
    mixed: NDArray[np.int64] = ((hashes[:-1] * 31 + hashes[1:] * 17) % 2_147_483_647) % (
        BIGRAM_BUCKETS
    )
    return mixed


def pair_surprisals(
    words: Sequence[str],
    lexicon: Lexicon,
    total: int,
    own_words: Mapping[str, int],
    own_pairs: Mapping[int, int],
) -> NDArray[np.float64]:
    """Bits of each word after the one before it.

    Args:
        words: Words of a text.
        lexicon: Reference counts (chunks a word or a pair is in).
        total: Sum of the reference's word counts.
        own_words: Counts to be taken off the words', see `text.words`.
        own_pairs: Counts to be taken off the pairs', by bucket.

    Returns:
        float64 (len - 1,), higher is less likely.
    """
    known = lexicon.words
    single = np.array([known.get(w, 0) - own_words.get(w, 0) for w in words], dtype=np.float64)
    single = np.maximum(single, 0.0)
    buckets = pair_buckets(words)
    pair = lexicon.bigrams[buckets].astype(np.float64)
    if own_pairs:
        pair = np.maximum(pair - [own_pairs.get(int(b), 0) for b in buckets], 0.0)
    return _pair_bits(pair, single[:-1], single[1:], total, len(known))


def pair_surprisal_rows(
    texts: Tokens, lexicon: Lexicon, total: int, documents: Ints, vouched: int = 0
) -> tuple[NDArray[np.float64], Ints]:
    """`pair_surprisals` of many texts at once.

    Args:
        lexicon: Reference counts; where it includes these texts, what a text's own document has
            added is taken off.
        total: Sum of the reference's word counts.
        documents: int64 (n,), the document of each text.
        vouched: Other documents among these texts that may vouch for a word, at most.

    Returns:
        Bits of the pairs of all texts, one after the other, float64 (t,), and how many each text
        has, int64 (n,).
    """
    known = lexicon.words
    counts = np.array([known.get(w, 0) for w in texts.vocabulary], dtype=np.int64)
    hashes = np.array([stable_hash(w) for w in texts.vocabulary], dtype=np.int64)
    single = counts[texts.ids]
    inside = texts.rows[:-1] == texts.rows[1:]
    first, second = texts.ids[:-1][inside], texts.ids[1:][inside]
    buckets = _modulo(hashes[first] * 31 + hashes[second] * 17) % BIGRAM_BUCKETS
    pair = lexicon.bigrams[buckets].astype(np.int64)
    if lexicon.includes_batch:
        single = single - own_counts(texts.ids, texts.rows, documents, len(texts.vocabulary))
        pair -= own_counts(buckets, texts.rows[1:][inside], documents, BIGRAM_BUCKETS)
    single = np.maximum(single, 0).astype(np.float64)
    # Words alone are vouched for, never pairs: a trigger that a whole campaign repeats stays odd.
    after = single
    if vouched and not lexicon.includes_batch:
        after = single + elsewhere(texts, documents, vouched)
    bits = _pair_bits(
        np.maximum(pair, 0).astype(np.float64),
        single[:-1][inside],
        after[1:][inside],
        total,
        len(known),
    )
    return bits, np.maximum(texts.lengths - 1, 0)


def _pair_bits(
    pair: NDArray[np.float64],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    total: int,
    distinct: int,
) -> NDArray[np.float64]:
    together = np.divide(pair, before, out=np.zeros_like(pair), where=before > 0)
    alone = (after + 0.5) / (total + distinct)
    bits: NDArray[np.float64] = -np.log2(
        _PAIR_SHARE * np.minimum(together, 1.0) + (1.0 - _PAIR_SHARE) * alone
    )
    return bits
