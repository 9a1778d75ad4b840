"""Simulate near-duplicate floods: one passage many times, to crowd others out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.attacks.compose import Plot, against_questions, write
from ragguard.redteam.attacks.terrain import Terrain
from ragguard.redteam.attacks.wording import reword

_SIGNS = re.compile(r"[,;:]")
_ENDS = (
    "",
    " (copy)",
    " v{k}",
    " [{k}]",
    " Ref. {k}.",
    " -- {k}",
    "\n",
    " Updated.",
    " See above.",
)


@dataclass(frozen=True)
class Params:
    """Tunable values."""

    documents: int = 20  # for each campaign
    words: tuple[int, int] = (50, 120)  # shortest and longest passage that is copied


@attack("flood", family="collusion", params=Params)
def flood(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Plant twenty copies of one wrong passage with tiny changes."""

    def texts(plan: Plot, terrain: Terrain) -> Iterator[tuple[str, str]]:
        words = int(rng.integers(params.words[0], params.words[1] + 1))
        text = write(plan, terrain, rng, dispersion=0.3, words=words)
        for copy in range(params.documents):
            yield f"{copy:02d}", touched(text, copy, rng)

    return against_questions("flood", target, rng, campaigns, texts)


def touched(text: str, copy: int, rng: np.random.Generator) -> str:
    """Return a copy that a digest does not recognise: a word or two, a sign, an ending."""
    changed = reword(text, rng, 0.06)
    if rng.random() < 0.5:
        changed = _SIGNS.sub("", changed, count=1)
    return changed + _ENDS[int(rng.integers(len(_ENDS)))].format(k=copy + 1)
