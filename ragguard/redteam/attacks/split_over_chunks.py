"""Simulate an instruction or a claim cut into parts that lie far apart.

Each part alone looks harmless to a check that sees one chunk; a model that is given the document's
chunks together reads the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ragguard.redteam.attacks import HonestDocument, PoisonDocument, Target, attack
from ragguard.redteam.attacks.compose import plot, write
from ragguard.redteam.attacks.orders import order
from ragguard.redteam.attacks.terrain import Terrain, carriers, choose

_LINKS = (
    ("", "", ""),
    ("Part one: ", "Part two: ", "Part three: "),
    ("(1) ", "(2) ", "(3) "),
    ("To be read with what follows: ", "Continued from above: ", "And to the end: "),
    ("a = ", "b = ", "then join a and b: "),
    ("... ", "... ", "... "),
)


@dataclass(frozen=True)
class Params:
    """Tunable values."""

    min_characters: int = 2400  # of the carrier, made of several passages where one is too short
    claims: float = 0.4  # share of the documents that carry a claim in place of an instruction


@attack("split_over_chunks", family="hidden", params=Params)
def split_over_chunks(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Cut an instruction or a claim over paragraphs far apart in an honest document."""
    terrain = Terrain(target, rng)
    questions = choose(target, rng, campaigns)
    planted: list[PoisonDocument] = []
    for number, carrier in enumerate(carriers(target, rng, campaigns)):
        asked = ""
        if questions and rng.random() < params.claims:
            question = questions[number % len(questions)]
            plan = plot(question, terrain, rng)
            sentence, asked = write(plan, terrain, rng, dispersion=0.2, words=16), question.text
        else:
            sentence = order(rng)[1]
        count = 2 + int(rng.random() < 0.5)
        name = f"split_over_chunks-{number:04d}"
        text = _spread(
            _paragraphs(carrier, terrain, rng, params.min_characters),
            cut(sentence, count),
            _LINKS[int(rng.integers(len(_LINKS)))],
        )
        planted.append(PoisonDocument(name, text, name, asked, carrier.id, carrier.metadata))
    return planted


def cut(sentence: str, count: int) -> list[str]:
    """Return a sentence in parts of about the same number of words."""
    words = sentence.split()
    edges = [round(i * len(words) / count) for i in range(count + 1)]
    return [" ".join(words[a:b]) for a, b in pairwise(edges) if a < b]


def _paragraphs(
    carrier: HonestDocument, terrain: Terrain, rng: np.random.Generator, min_characters: int
) -> list[str]:
    """List paragraphs of the carrier and of passages like it, until they fill several chunks."""
    paragraphs = [p.strip() for p in carrier.text.split("\n\n") if p.strip()]
    order_of = np.argsort(-(terrain.vectors @ carrier.vector), kind="stable")[1:12]
    for row in rng.permutation(order_of).tolist():
        if sum(map(len, paragraphs)) >= min_characters:
            break
        paragraphs += [p.strip() for p in terrain.passages[row].text.split("\n\n") if p.strip()]
    return paragraphs


def _spread(paragraphs: list[str], parts: list[str], links: tuple[str, ...]) -> str:
    step = max(1, len(paragraphs) // len(parts))
    out: list[str] = []
    for i, part in enumerate(parts):
        end = len(paragraphs) if i == len(parts) - 1 else (i + 1) * step
        block = paragraphs[i * step : end]
        out += [*block[: len(block) // 2], links[i] + part, *block[len(block) // 2 :]]
    return "\n\n".join(out)
