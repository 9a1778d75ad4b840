"""Split texts into words, and measure how much two texts share.

Texts are compared after NFKC, without invisible characters, in lower case: what a reader would take
for the same words is the same words here.

What everybody writes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from heapq import nsmallest
from itertools import chain
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

# Vowel signs and points are no letters to `re`, but part no word: those of scripts up to Georgian.
_MARKS = "".join(c for c in map(chr, range(0x300, 0x1100)) if unicodedata.category(c)[0] == "M")
_LETTERS = rf"(?:[^\W_][{_MARKS}]*)+"
_WORD = re.compile(rf"{_LETTERS}(?:['\u2019]{_LETTERS})*")
# ASCII in lower case; what is neither letter nor digit parts words, apostrophes within them do not.
_ASCII_WORDS = "".join(c.lower() if c.isalnum() or c == "'" else " " for c in map(chr, range(128)))
_HUMP = re.compile("[a-z]{2}[A-Z]")  # of a name in code; letters that changed places make none
LONGEST_NAME = 5  # words
_MANY_CAPITALS = bytes([True] * (LONGEST_NAME + 1))
_INVISIBLE = dict.fromkeys(
    [
        0x00AD,
        0x034F,
        0x061C,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180E,
        0x3164,
        0xFEFF,
        0xFFA0,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        *range(0xE0000, 0xE01F0),
    ]
)


def normalise(text: str) -> str:
    """NFKC, without invisible characters."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_INVISIBLE))


@lru_cache(4096)
def script_of(char: str) -> str:
    """Name the script of a letter, as Unicode names letters; empty if ASCII and no letter."""
    if char.isascii():
        return "LATIN" if char.isalpha() else ""
    return unicodedata.name(char, "").partition(" ")[0]


def words(text: str) -> list[str]:
    """Lower-cased words, in order; letters and digits of any script, with their marks."""
    if not text.isascii():
        return _WORD.findall(text.lower())
    # The same for plain text, several times faster than the pattern.
    pieces = text.translate(_ASCII_WORDS).split()
    if "'" not in text:
        return pieces
    tokens: list[str] = []
    for piece in pieces:
        if "'" in piece:
            tokens.extend(_WORD.findall(piece))
        else:
            tokens.append(piece)
    return tokens


def name_flags(text: str) -> list[bool]:
    """Which words of a text are written like names: with a capital, as xmlNode is, in short runs.

    Encoders that read no case yield lower-case tokens when attacked; names are what honest text
    has most of that nobody else writes. Capitals all along a line, nothing parting them, name
    nothing: a run of more than `LONGEST_NAME` words does not count.

    Args:
        text: Normalised text, in its own case.

    Returns:
        One flag a word of `words(text)`.
    """
    number = len(words(text))  # lower case may be longer than the text itself
    flags = [word[0].isupper() or bool(_HUMP.search(word)) for word in _WORD.findall(text)]
    if len(flags) != number:
        return [False] * number
    if _MANY_CAPITALS not in bytes(flags):
        return flags
    matches = list(_WORD.finditer(text))
    start = 0
    while start < len(matches):
        end = start + 1
        if flags[start]:
            while (
                end < len(matches)
                and flags[end]
                and text[matches[end - 1].end() : matches[end].start()].isspace()
                and "\n" not in text[matches[end - 1].end() : matches[end].start()]
            ):
                end += 1
            if end - start > LONGEST_NAME:
                flags[start:end] = [False] * (end - start)
        start = end
    return flags


def term_matrix(rows: Sequence[Sequence[str]]) -> Any:
    """Tell which row holds which word.

    Args:
        rows: Words of each text.

    Returns:
        scipy CSR matrix, float32 (n, vocabulary), 1 where the word occurs.
    """
    from scipy.sparse import csr_matrix

    # A word's number is how many were known before it: the dictionary's own length.
    vocabulary: defaultdict[str, int] = defaultdict()
    vocabulary.default_factory = vocabulary.__len__
    pointers = np.cumsum([0, *map(len, rows)])
    indices = np.fromiter(
        map(vocabulary.__getitem__, chain.from_iterable(rows)), dtype=np.int64, count=pointers[-1]
    )
    values = np.ones(len(indices), dtype=np.float32)
    matrix = csr_matrix((values, indices, pointers), shape=(len(rows), max(1, len(vocabulary))))
    matrix.sum_duplicates()  # sorts each row as well
    matrix.data[:] = 1.0
    return matrix


def jaccard(
    terms: Any, left: NDArray[np.int64], right: NDArray[np.int64], block: int = 200_000
) -> NDArray[np.float32]:
    """Return the word-set overlap of pairs of rows: shared over all distinct words.

    Args:
        terms: Matrix of `term_matrix`.
        left: Row numbers (p,).
        right: Row numbers (p,).
        block: Pairs computed at once.

    Returns:
        float32 (p,) in [0, 1]; 0 where both rows are empty.
    """
    sizes = np.asarray(terms.sum(axis=1), dtype=np.float32).ravel()
    result = np.zeros(len(left), dtype=np.float32)
    for start in range(0, len(left), block):
        a, b = left[start : start + block], right[start : start + block]
        shared = np.asarray(terms[a].multiply(terms[b]).sum(axis=1), dtype=np.float32).ravel()
        union = sizes[a] + sizes[b] - shared
        result[start : start + block] = np.divide(
            shared, union, out=np.zeros_like(shared), where=union > 0
        )
    return result


def overlaps(
    terms: Any,
    weights: NDArray[np.float64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    block: int = 50_000,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Word-set overlap of pairs of rows, and the share of the left row's weight that both have.

    Args:
        terms: Matrix of `term_matrix`.
        weights: float64 (vocabulary,), weight of each word.
        left: Row numbers (p,).
        right: Row numbers (p,).
        block: Pairs computed at once.

    Returns:
        Jaccard, float64 (p,) in [0, 1]; weighted share, float64 (p,) in [0, 1]; 0 where a row is
        empty.
    """
    from scipy.sparse import csr_matrix

    sizes = np.diff(terms.indptr).astype(np.float64)
    totals = np.asarray(terms @ weights, dtype=np.float64)
    alike, share = np.zeros(len(left)), np.zeros(len(left))
    both = np.column_stack([np.ones(len(weights)), weights])
    for start in range(0, len(left), block):
        a, b = left[start : start + block], right[start : start + block]
        common = csr_matrix(terms[a].multiply(terms[b])) @ both
        union = sizes[a] + sizes[b] - common[:, 0]
        part = slice(start, start + block)
        np.divide(common[:, 0], union, out=alike[part], where=union > 0)
        np.divide(common[:, 1], totals[a], out=share[part], where=totals[a] > 0)
    return alike, share


@lru_cache(maxsize=300_000)
def stable_hash(text: str) -> int:
    """A 32-bit hash that is the same in every process (CRC-32; for buckets, not for secrets)."""
    return crc32(text.encode("utf-8", "surrogatepass"))


def common_words(counts: Mapping[str, int], top: int) -> frozenset[str]:
    """Return the most frequent words; ties in alphabetical order."""
    if not 0 < top < len(counts):
        return frozenset(counts if top > 0 else ())
    numbers = np.fromiter(counts.values(), dtype=np.int64, count=len(counts))
    least = int(np.partition(numbers, len(numbers) - top)[len(numbers) - top])
    often = (word for word, number in counts.items() if number >= least)
    return frozenset(nsmallest(top, often, key=lambda w: (-counts[w], w)))
