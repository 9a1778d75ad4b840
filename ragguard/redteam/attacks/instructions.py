"""Simulate prompt injection in a document that is otherwise real.

After BIPIA (Yi et al., "Benchmarking and Defending Against Indirect Prompt Injection Attacks on
Large Language Models", KDD 2025): an instruction at the start, in the middle or at the end of an
honest text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.attacks.orders import order
from ragguard.redteam.attacks.terrain import carriers

_BREAK = re.compile(r"\n\s*\n|(?<=[.!?])\s+(?=[A-Z])")
PLACES = ("start", "middle", "end")


@dataclass(frozen=True)
class Params:
    """Tunable values.

    Attributes:
        categories: Categories of `orders.ORDERS` to draw from; all when empty. Leave some out to
            fit on, and measure on those.
    """

    categories: tuple[str, ...] = ()


@attack("instructions", family="hidden", params=Params)
def instructions(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Put an instruction to the model into an honest passage, at its start, middle or end."""
    planted: list[PoisonDocument] = []
    for number, carrier in enumerate(carriers(target, rng, campaigns)):
        _, instruction = order(rng, params.categories)
        name = f"instructions-{number:04d}"
        text = insert(carrier.text, instruction, PLACES[number % 3], rng)
        planted.append(PoisonDocument(name, text, name, "", carrier.id, carrier.metadata))
    return planted


def insert(text: str, addition: str, place: str, rng: np.random.Generator) -> str:
    """Put a sentence into a text, between sentences or paragraphs.

    Args:
        addition: The sentence.
        place: `start`, `middle` or `end`.
    """
    joint = "\n\n" if "\n\n" in text and rng.random() < 0.5 else " "
    if place == "start":
        return addition + joint + text
    breaks = [m for m in _BREAK.finditer(text) if 0.2 < m.start() / len(text) < 0.8]
    if place == "end" or not breaks:
        return text + joint + addition
    match = breaks[int(rng.integers(len(breaks)))]
    return text[: match.start()] + match.group() + addition + match.group() + text[match.end() :]
