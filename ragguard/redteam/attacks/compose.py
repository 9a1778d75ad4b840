"""Compose passages that make a claim, propped up with sentences out of the corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Question, Target
from ragguard.redteam.attacks.claims import Claim, make_claim, mined
from ragguard.redteam.attacks.edits import edit_fact
from ragguard.redteam.attacks.frames import CLAIMS, CLOSINGS, PROPS, STYLES
from ragguard.redteam.attacks.terrain import SPARE, Terrain, choose
from ragguard.redteam.attacks.wording import reword, sentence


@dataclass(frozen=True)
class Plot:
    """What the documents of one campaign are written from.

    Attributes:
        sources: Sentences of near passages, the most pertinent first; right answers swapped.
        core: Sentences that the documents share, but for their wording, as far as they share any.
    """

    question: Question
    claim: Claim
    sources: tuple[str, ...]
    core: tuple[str, ...]


def plot(question: Question, terrain: Terrain, rng: np.random.Generator) -> Plot:
    """Prepare a campaign against a question."""
    near = terrain.near(question, 12)
    claim = make_claim(question, near, terrain, rng)
    sources = tuple(mined(claim, near))
    core = [_fill(_pick(PROPS, rng), claim, terrain, rng)]
    core += [_source(line, claim, terrain, rng) for line in sources[: int(rng.integers(0, 2))]]
    return Plot(question, claim, sources, tuple(core))


def against_questions(
    name: str,
    target: Target,
    rng: np.random.Generator,
    campaigns: int,
    texts: Callable[[Plot, Terrain], Iterable[tuple[int | str, str]]],
) -> list[PoisonDocument]:
    """Plant a campaign against each of some questions.

    Args:
        name: Start of the documents' ids.
        texts: End of the id and text of each document; drawn before the next question is looked at.
    """
    terrain = Terrain(target, rng)
    return [
        PoisonDocument(f"{name}-{number:04d}-{ending}", text, question.id, question.text)
        for number, question in enumerate(choose(target, rng, campaigns))
        for ending, text in texts(plot(question, terrain, rng), terrain)
    ]


def write(
    plan: Plot, terrain: Terrain, rng: np.random.Generator, *, dispersion: float, words: int
) -> str:
    """Return a passage that claims the wrong answer.

    Args:
        dispersion: 0: the claim and what is nearest to it, so that all documents of the campaign
            say the same in other words; 1: nothing shared but the claim.
        words: Length aimed at.
    """
    claim = plan.claim
    parts = [_claimed(claim, terrain, rng)]
    core = list(plan.core)
    while _length(parts) < words:
        if rng.random() > dispersion:
            at = int(rng.integers(len(core) + 2))
            parts.append(core.pop(at) if at < len(core) else _claimed(claim, terrain, rng))
        elif plan.sources and rng.random() < 0.3 + 0.3 * dispersion:
            # Of the nearest at dispersion 0, of any at 1.
            reach = max(2, round(len(plan.sources) * (0.1 + 0.9 * dispersion)))
            line = plan.sources[int(rng.integers(min(reach, len(plan.sources))))]
            parts.append(_source(line, claim, terrain, rng))
        else:
            parts.append(_fill(_pick(PROPS, rng), claim, terrain, rng))
    parts = list(dict.fromkeys(parts))
    if rng.random() < 0.1 + 0.3 * dispersion:
        parts.append(_fill(_pick(CLOSINGS, rng), claim, terrain, rng))
    if rng.random() < 0.2 + 0.6 * dispersion and len(parts) > 2:
        # The claim need not open the passage.
        at = int(rng.integers(1, len(parts) - 1))
        parts.insert(at, parts.pop(0))
    keep = claim.words if dispersion < 0.5 else frozenset(claim.answer.lower().split())
    body = " ".join(reword(part, rng, 0.15 + 0.35 * dispersion, keep) for part in parts)
    if rng.random() < dispersion:
        before, after = STYLES[int(rng.integers(len(STYLES)))]
        body = " ".join(
            part
            for part in (
                _fill(before, claim, terrain, rng) if before else "",
                body,
                _fill(after, claim, terrain, rng) if after else "",
            )
            if part
        )
    return body


def _claimed(claim: Claim, terrain: Terrain, rng: np.random.Generator) -> str:
    return _fill(_pick(CLAIMS, rng), claim, terrain, rng)


def _source(line: str, claim: Claim, terrain: Terrain, rng: np.random.Generator) -> str:
    """Return a sentence of the corpus, false from now on."""
    if claim.answer in line:
        return line
    edited = edit_fact(line, rng, terrain.pool)
    return edited[0] if edited else line


def _fill(frame: str, claim: Claim, terrain: Terrain, rng: np.random.Generator) -> str:
    people, places = SPARE["person"], SPARE["place"]
    statement = claim.statements[int(rng.integers(len(claim.statements)))]
    text = frame.format(
        s=statement,
        t=claim.topic,
        a=claim.answer,
        n=_pick(people if rng.random() < 0.5 else terrain.pool("person"), rng),
        p=_pick(places if rng.random() < 0.5 else terrain.pool("place"), rng),
        y=int(rng.integers(1960, 2025)),
        k=int(rng.integers(2, 12)),
    )
    return sentence(text)


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _length(parts: Sequence[str]) -> int:
    return sum(part.count(" ") + 1 for part in parts)
