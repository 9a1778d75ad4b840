"""Show a published method the whole corpus at once, poison included, and which rows are new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ragguard.model import Bools, Doubles, Floats, Neighbours

NEIGHBOURS = 32


@dataclass(frozen=True)
class Scan:
    """A corpus as published whole-corpus scans see it; one row a chunk.

    Attributes:
        vectors: float32 (m, d), unit length.
        texts: Chunk texts (m,), NFKC and without invisible characters.
        words: Lower-cased words of each chunk (m,).
        terms: Which chunk holds which word, scipy CSR float32 (m, v).
        is_new: bool (m,), rows that arrive now; the others are indexed already.
        neighbours: Nearest rows of each row, (m, 32), over all m rows, the row's own document left
            out; -1 where there are fewer.
        seed: For peers that draw random numbers.
    """

    vectors: Floats
    texts: list[str]
    words: list[list[str]]
    terms: Any
    is_new: Bools
    neighbours: Neighbours
    seed: int


@dataclass(frozen=True)
class Peer:
    """A published method.

    Attributes:
        name: As in tables and plots.
        score: Suspicion of each row, float64 (m,), higher is worse.
    """

    name: str
    score: Callable[[Scan], Doubles]
