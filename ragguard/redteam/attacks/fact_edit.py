"""Simulate one-fact edits: an indexed passage, word for word, with one fact changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.attacks.edits import edit_fact
from ragguard.redteam.attacks.terrain import Terrain


@dataclass(frozen=True)
class Params:
    """Tunable values.

    Attributes:
        kinds: Kinds of facts that may be changed; all when empty (see `edits.Edit`).
    """

    kinds: tuple[str, ...] = ()
    min_words: int = 8  # shorter passages are not worth an edit


@attack("fact_edit", family="conflict", params=Params)
def fact_edit(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Copy an indexed passage and change exactly one fact of it.

    Every fact's kind has the same chance, whatever the passage is full of.
    """
    terrain = Terrain(target, rng)
    planted: list[PoisonDocument] = []
    for row in rng.permutation(len(target.passages)).tolist():
        if len(planted) == campaigns:
            break
        passage = target.passages[row]
        if len(passage.text.split()) < params.min_words:
            continue
        edited = edit_fact(passage.text, rng, terrain.pool, params.kinds)
        if edited is not None:
            name = f"fact_edit-{len(planted):04d}"
            planted.append(PoisonDocument(name, edited[0], name, "", passage.id, passage.metadata))
    return planted
