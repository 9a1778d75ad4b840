"""Simulate text-only campaigns: passages that claim the same wrong answer in many wordings.

After PoisonedRAG without its question (Zou et al., USENIX Security 2025), and after adversaries who
know that near-paraphrases give each other away: they spread their documents out and share nothing
but the claim.
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
    """Tunable values.

    Attributes:
        dispersion: 0: near-paraphrases of one claim; 1: nothing shared but the claim.
    """

    documents: int = 5  # for each question
    dispersion: float = 0.3
    words: tuple[int, int] = (25, 70)  # shortest and longest passage aimed at


@dataclass(frozen=True)
class SpreadParams:
    """Tunable values."""

    documents: int = 5  # for each question
    words: tuple[int, int] = (18, 150)  # shortest and longest passage aimed at


@attack("paraphrase", family="collusion", params=Params)
def paraphrase(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Claim a wrong answer in several passages of controlled dispersion."""
    return campaign(
        "paraphrase", target, rng, campaigns, params.documents, params.dispersion, params.words
    )


@attack("disperse", family="collusion", params=SpreadParams)
def disperse(
    target: Target, rng: np.random.Generator, campaigns: int, params: SpreadParams
) -> list[PoisonDocument]:
    """Claim a wrong answer in passages of all lengths and styles, as far apart as they go."""
    return campaign("disperse", target, rng, campaigns, params.documents, 1.0, params.words)


@dataclass(frozen=True)
class SingleParams:
    """Tunable values."""

    words: tuple[int, int] = (30, 90)  # shortest and longest passage aimed at


@attack("single", family="text", params=SingleParams)
def single(
    target: Target, rng: np.random.Generator, campaigns: int, params: SingleParams
) -> list[PoisonDocument]:
    """Claim a wrong answer in one passage, with no companion that could give it away."""
    return campaign("single", target, rng, campaigns, 1, 0.3, params.words)


def campaign(
    name: str,
    target: Target,
    rng: np.random.Generator,
    campaigns: int,
    documents: int,
    dispersion: float,
    words: tuple[int, int],
) -> list[PoisonDocument]:
    """Return the text-only campaigns.

    Args:
        name: Start of the documents' ids.
        documents: Documents of each.
        dispersion: See `compose.write`.
        words: Shortest and longest passage aimed at.
    """

    def texts(plan: Plot, terrain: Terrain) -> Iterator[tuple[int, str]]:
        # Lengths spread evenly, so that no two documents of a campaign are of one size.
        steps = np.linspace(words[0], words[1], documents + 1)
        for copy in rng.permutation(documents).tolist():
            length = int(rng.uniform(steps[copy], steps[copy + 1]))
            yield copy, write(plan, terrain, rng, dispersion=dispersion, words=length)

    return against_questions(name, target, rng, campaigns, texts)
