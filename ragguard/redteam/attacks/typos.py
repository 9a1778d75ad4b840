"""Simulate typing errors: a relevant passage with mistyped words, as in GARAG.

Source: Cho et al., "Typos that Broke the RAG's Back: Genetic Attack on RAG Pipeline by Simulating
Documents in the Wild via Low-level Perturbations", EMNLP Findings 2024. The errors are a keyboard's
and a hurried hand's: a neighbouring key, two letters swapped, one left out, one struck twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.attacks.terrain import Terrain, choose

_WORD = re.compile(r"[A-Za-z]{4,}")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEYS = {
    key: "".join(
        other
        for r, keys in enumerate(_ROWS)
        for c, other in enumerate(keys)
        if other != key and abs(r - row) <= 1 and abs(c - column) <= 1
    )
    for row, line in enumerate(_ROWS)
    for column, key in enumerate(line)
}


@dataclass(frozen=True)
class Params:
    """Tunable values."""

    documents: int = 5  # for each question
    share: tuple[float, float] = (0.1, 0.2)  # least and greatest share of the words mistyped


@attack("typing_errors", family="text", params=Params)
def typing_errors(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Copy the passages that answer a question with typing errors in a tenth to a fifth of words.

    Where a question has fewer relevant passages than documents are wanted, the nearest are taken.
    """
    terrain = Terrain(target, rng)
    planted: list[PoisonDocument] = []
    for number, question in enumerate(choose(target, rng, campaigns)):
        for copy, passage in enumerate(terrain.near(question, params.documents)):
            text = mistype(passage.text, rng, float(rng.uniform(*params.share)))
            if text == passage.text:
                continue
            name = f"typing_errors-{number:04d}-{copy}"
            planted.append(
                PoisonDocument(name, text, question.id, question.text, passage.id, passage.metadata)
            )
    return planted


def mistype(text: str, rng: np.random.Generator, share: float) -> str:
    """Put one typing error into a share of a text's words.

    Args:
        share: Share of all words, in [0, 1]; words of four letters and more are mistyped.
    """
    spots = list(_WORD.finditer(text))
    wanted = min(len(spots), max(1, round(share * len(text.split()))))
    chosen = sorted(rng.permutation(len(spots))[:wanted].tolist(), reverse=True)
    for i in chosen:
        match = spots[i]
        text = text[: match.start()] + _slip(match.group(), rng) + text[match.end() :]
    return text


def _slip(word: str, rng: np.random.Generator) -> str:
    """One error, never in the first letter, never none at all."""
    at = int(rng.integers(1, len(word)))
    kind = int(rng.integers(5))
    letter = word[at]
    if kind == 0 and at + 1 < len(word) and word[at + 1] != letter:
        return word[:at] + word[at + 1] + letter + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + letter + word[at:]
    around = _KEYS[letter.lower()]
    other = around[int(rng.integers(len(around)))]
    if kind == 3:
        return word[:at] + other + word[at:]
    return word[:at] + (other.upper() if letter.isupper() else other) + word[at + 1 :]
