"""How much an answer rests on each of the passages it was made from, without a language model.

A passage supports an answer by the words it shares with it, weighed by how close the passage is to
the question. The support of each word is shared out among the passages that hold it, in proportion
to that closeness: of words that one passage alone holds, all is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Bools

SHORTEST_MISSPELT = 5  # letters a word must have for one of them to be wrong
FEWEST = 0.5  # least share of the answer's words in a responsible passage
MARGIN = 0.15  # cosine that a responsible passage may lie behind the closest that supports

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Support:
    """Support of an answer by `n` passages; higher means that the answer rests on it more.

    Attributes:
        held: float64 (n,), share of the answer's words the passage holds, in [0, 1].
        dependence: float64 (n,), share of the answer that is the passage's; sums to at most 1.
        alone: float64 (n,), share of the answer's words that no other passage holds.
        responsible: bool (n,).
    """

    held: Doubles
    dependence: Doubles
    alone: Doubles
    responsible: Bools


def answer_terms(answer: Sequence[str], question: Sequence[str]) -> list[str]:
    """Words of an answer that its question does not hold; all of them when none is left."""
    asked = set(question)
    found = list(dict.fromkeys(w for w in answer if len(w) > 2 or not w.isalpha()))
    found = found or list(dict.fromkeys(answer))
    return [w for w in found if w not in asked] or found


def holds(terms: Sequence[str], words: Sequence[str]) -> list[bool]:
    """Which terms a text holds, one wrong letter in a long word forgiven."""
    known = set(words)
    lengths: dict[int, list[str]] = {}
    for word in known:
        lengths.setdefault(len(word), []).append(word)
    return [
        term in known
        or (
            len(term) >= SHORTEST_MISSPELT
            and any(
                _one_edit(term, word)
                for length in (len(term) - 1, len(term), len(term) + 1)
                for word in lengths.get(length, ())
            )
        )
        for term in terms
    ]


def _one_edit(left: str, right: str) -> bool:
    """Whether one letter put in, left out, replaced, or two swapped make one word the other."""
    if abs(len(left) - len(right)) > 1:
        return False
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    a, b = left[start:], right[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def share_out(held: Bools, similarities: Doubles) -> Support:
    """Share an answer out among passages.

    Args:
        held: bool (n, t), which passage holds which of the answer's words.
        similarities: float64 (n,), cosine to the question, higher is closer.
    """
    n, t = held.shape
    if not n or not t:
        none = np.zeros(n)
        return Support(none, none.copy(), none.copy(), np.zeros(n, dtype=bool))
    weights = held * np.maximum(similarities.astype(np.float64), 0.0)[:, None]
    total = weights.sum(axis=0)
    each = np.divide(weights, total[None, :], out=np.zeros_like(weights), where=total > 0)
    share = held.mean(axis=1)
    only = (held & (held.sum(axis=0) == 1)[None, :]).mean(axis=1)
    supports = share >= FEWEST
    closest = similarities[supports].max() if supports.any() else np.inf
    return Support(share, each.mean(axis=1), only, supports & (similarities >= closest - MARGIN))
