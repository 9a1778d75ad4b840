"""Simulate rewrites that slip past word overlap and paraphrase counting.

The adversary knows what the gatekeeper looks for. Word substitution after Jin et al., "Is BERT
Really Robust?", AAAI 2020; mixing ways within one campaign leaves no two documents alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.attacks.compose import Plot, against_questions, write
from ragguard.redteam.attacks.question_led import Params as LedParams
from ragguard.redteam.attacks.question_led import question_led
from ragguard.redteam.attacks.stuffing import stuff
from ragguard.redteam.attacks.terrain import Terrain
from ragguard.redteam.attacks.typos import mistype
from ragguard.redteam.attacks.wording import reword


@dataclass(frozen=True)
class SynonymParams:
    """Tunable values."""

    documents: int = 5  # for each question
    share: float = 0.6  # of the words with synonyms, those that are swapped


@attack("synonyms", family="collusion", params=SynonymParams)
def synonyms(
    target: Target, rng: np.random.Generator, campaigns: int, params: SynonymParams
) -> list[PoisonDocument]:
    """Rewrite a question-led campaign word by word, the question included."""
    led = question_led(target, rng, campaigns, LedParams(documents=params.documents))
    return [
        replace(
            document,
            id=document.id.replace("question_led", "synonyms"),
            text=reword(document.text, rng, params.share),
        )
        for document in led
    ]


@dataclass(frozen=True)
class MixedParams:
    """Tunable values."""

    documents: int = 5  # for each question


@attack("mixed", family="collusion", params=MixedParams)
def mixed(
    target: Target, rng: np.random.Generator, campaigns: int, params: MixedParams
) -> list[PoisonDocument]:
    """Make each document of a campaign in another way, with one claim in common."""

    def texts(plan: Plot, terrain: Terrain) -> Iterator[tuple[str, str]]:
        ways = rng.permutation(_WAYS).tolist()
        for copy in range(params.documents):
            way = str(ways[copy % len(ways)])
            yield f"{copy}-{way}", _written(way, plan, terrain, rng)

    return against_questions("mixed", target, rng, campaigns, texts)


_WAYS = ("led", "close", "apart", "reworded", "mistyped", "stuffed", "grafted")


def _written(way: str, plan: Plot, terrain: Terrain, rng: np.random.Generator) -> str:
    question = plan.question
    words = int(rng.integers(25, 90))
    dispersion = {"close": 0.0, "apart": 1.0}.get(way, float(rng.uniform(0.2, 0.8)))
    text = write(plan, terrain, rng, dispersion=dispersion, words=words)
    if way == "led":
        return f"{question.text} {text}"
    if way == "reworded":
        return reword(text, rng, 0.8)
    if way == "mistyped":
        return mistype(text, rng, 0.12)
    if way == "stuffed":
        return stuff(question.text, text, rng, repeats=1)
    if way == "grafted":
        # A near passage of the corpus with the claim in front.
        near = terrain.near(question, 4)
        if near:
            chosen = near[int(rng.integers(len(near)))].text
            claim = write(plan, terrain, rng, dispersion=0.0, words=8)
            return f"{claim} {' '.join(chosen.split()[:70])}"
    return text
