"""Simulate question-led poison: the question itself, then a passage with a wrong answer.

After PoisonedRAG in its black-box form (Zou et al., "PoisonedRAG: Knowledge Corruption Attacks to
Retrieval-Augmented Generation of Large Language Models", USENIX Security 2025): the question makes
sure of retrieval, the passage of the answer. The passages, written by a language model there, are
put together from frames here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.attacks.compose import Plot, against_questions, write
from ragguard.redteam.attacks.terrain import Terrain


@dataclass(frozen=True)
class Params:
    """Tunable values."""

    documents: int = 5  # for each question
    words: tuple[int, int] = (20, 60)  # shortest and longest passage aimed at, the question apart
    dispersion: float = 0.2  # how far the passages are apart, see compose.write


@attack("question_led", family="collusion", params=Params)
def question_led(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Repeat the question and answer it wrongly, in several wordings."""

    def texts(plan: Plot, terrain: Terrain) -> Iterator[tuple[int, str]]:
        asked = plan.question.text.strip().rstrip(".?")
        for copy in range(params.documents):
            words = int(rng.integers(params.words[0], params.words[1] + 1))
            text = write(plan, terrain, rng, dispersion=params.dispersion, words=words)
            joint = ("? ", ". ", " ", ".\n")[int(rng.choice(4, p=[0.25, 0.5, 0.15, 0.1]))]
            yield copy, asked + joint + text

    return against_questions("question_led", target, rng, campaigns, texts)
