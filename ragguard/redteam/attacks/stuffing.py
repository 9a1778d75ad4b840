"""Simulate keyword stuffing: the question's words, over and over, around a claim.

The oldest trick of search spam (Gyöngyi, Garcia-Molina, "Web Spam Taxonomy", AIRWeb 2005), still
good against word-matching retrieval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.attacks.claims import STOPWORDS
from ragguard.redteam.attacks.compose import Plot, against_questions, write
from ragguard.redteam.attacks.terrain import Terrain, words_of


@dataclass(frozen=True)
class Params:
    """Tunable values."""

    documents: int = 5  # for each question
    repeats: tuple[int, int] = (3, 8)  # least and greatest times each word is repeated


@attack("stuffing", family="text", params=Params)
def stuffing(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Repeat the question's words around a short claim."""

    def texts(plan: Plot, terrain: Terrain) -> Iterator[tuple[int, str]]:
        for copy in range(params.documents):
            claim = write(plan, terrain, rng, dispersion=0.3, words=int(rng.integers(8, 30)))
            repeats = int(rng.integers(params.repeats[0], params.repeats[1] + 1))
            yield copy, stuff(plan.question.text, claim, rng, repeats)

    return against_questions("stuffing", target, rng, campaigns, texts)


def stuff(question: str, claim: str, rng: np.random.Generator, repeats: int) -> str:
    """Return a claim with the question's content words before and after it."""
    content = [word for word in words_of(question) if word not in STOPWORDS] or words_of(question)
    lists = [" ".join(rng.permutation(content).tolist()) for _ in range(repeats)]
    cut = int(rng.integers(len(lists) + 1))
    joint = (" ", ", ", " | ")[int(rng.integers(3))]
    return " ".join(p for p in (joint.join(lists[:cut]), claim, joint.join(lists[cut:])) if p)
