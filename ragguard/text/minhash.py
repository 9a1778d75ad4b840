"""Sketch word triples by MinHash, with datasketch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 64
SEED = 1


def sketch_rows(rows: Sequence[Sequence[str]]) -> NDArray[np.uint64]:
    """MinHash signatures of texts' word triples (of single words below three).

    Returns:
        uint64 (n, PERMUTATIONS).
    """
    from datasketch import MinHash

    sets = []
    for words in rows:
        grams = {" ".join(words[i : i + 3]) for i in range(len(words) - 2)} or set(words) or {""}
        sets.append([g.encode("utf-8", "surrogatepass") for g in sorted(grams)])
    signatures = MinHash.bulk(sets, num_perm=PERMUTATIONS, seed=SEED)
    if not signatures:
        return np.empty((0, PERMUTATIONS), dtype=np.uint64)
    return np.stack([m.hashvalues for m in signatures]).astype(np.uint64)


def resemblance(sketch: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Estimated Jaccard overlap of one text with many.

    Args:
        sketch: uint64 (p,).
        others: uint64 (m, p).

    Returns:
        float64 (m,) in [0, 1].
    """
    share: NDArray[np.float64] = (others == sketch[None, :]).mean(axis=1)
    return share


def shared_words(left: Sequence[str], right: Sequence[str]) -> float:
    """Jaccard overlap of two word sets."""
    a, b = set(left), set(right)
    return len(a & b) / len(a | b) if a | b else 0.0
