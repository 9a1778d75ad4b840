"""Words of texts, and how much two texts share.

Texts are compared after NFKC, without invisible characters, in lower case: what a reader would take
for the same words is the same words here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
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


def words(text: str) -> list[str]:
    """Lower-cased words, in order; letters and digits of any script."""
    return _WORD.findall(text.lower())


def term_matrix(rows: Sequence[Sequence[str]]) -> Any:
    """Which row holds which word.

    Args:
        rows: Words of each text.

    Returns:
        scipy CSR matrix, float32 (n, vocabulary), 1 where the word occurs.
    """
    from scipy.sparse import csr_matrix

    vocabulary: dict[str, int] = {}
    indices: list[int] = []
    pointers = [0]
    for row in rows:
        indices.extend(sorted({vocabulary.setdefault(w, len(vocabulary)) for w in row}))
        pointers.append(len(indices))
    values = np.ones(len(indices), dtype=np.float32)
    return csr_matrix((values, indices, pointers), shape=(len(rows), max(1, len(vocabulary))))


def jaccard(
    terms: Any, left: NDArray[np.int64], right: NDArray[np.int64], block: int = 200_000
) -> NDArray[np.float32]:
    """Word-set overlap of pairs of rows: shared over all distinct words.

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


@lru_cache(maxsize=300_000)
def stable_hash(text: str) -> int:
    """A 32-bit hash that is the same in every process (CRC-32; for buckets, not for secrets)."""
    return crc32(text.encode("utf-8", "surrogatepass"))
