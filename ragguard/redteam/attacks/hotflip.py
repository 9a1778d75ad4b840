"""Simulate token optimisation: gibberish that retrieval takes for the question.

A prefix of tokens is changed, a few at a time, where the gradient of the cosine with the question
promises most, and the best of the tried changes is kept. Sources: Ebrahimi et al., "HotFlip:
White-Box Adversarial Examples for Text Classification", ACL 2018; Zhong et al., "Poisoning
Retrieval Corpora by Injecting Adversarial Passages", EMNLP 2023. Without torch the same search goes
on blindly, over words drawn at random and through the encoder alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.embed.encoder import Encoder
from ragguard.model import Floats
from ragguard.redteam.attacks import PoisonDocument, Question, Target, attack
from ragguard.redteam.attacks.compose import Plot, against_questions, write
from ragguard.redteam.attacks.gradient import Surface, surface
from ragguard.redteam.attacks.terrain import Terrain, words_of
from ragguard.redteam.attacks.wording import synonyms


@dataclass(frozen=True)
class Params:
    """Tunable values."""

    documents: int = 5  # for each question
    tokens: tuple[int, int] = (20, 30)  # shortest and longest prefix
    words: tuple[int, int] = (10, 26)  # shortest and longest claim behind it
    rounds: int = 4  # gradient steps
    tries: int = 6  # changed prefixes tried in a round
    ahead: int = 12  # tokens of the claim that are read while optimising
    best: int = 24  # most promising tokens at a position, of which one is drawn


@attack("hotflip", family="text", params=Params, needs_encoder=True)
def hotflip(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Put optimised tokens before a wrong claim, so that the passage is found for the question."""
    if (encoder := target.encoder) is None:
        return []
    inside = surface(encoder)

    def texts(plan: Plot, terrain: Terrain) -> Iterable[tuple[int, str]]:
        claims = [
            write(plan, terrain, rng, dispersion=0.4, words=int(rng.integers(*params.words)))
            for _ in range(params.documents)
        ]
        if inside is not None:
            return enumerate(_optimise(inside, plan.question, claims, rng, params))
        return enumerate(_search(encoder, plan.question, c, rng, params) for c in claims)

    return against_questions("hotflip", target, rng, campaigns, texts)


def _optimise(
    inside: Surface,
    question: Question,
    claims: Sequence[str],
    rng: np.random.Generator,
    params: Params,
) -> list[str]:
    """Prefixes of a campaign's passages, each its own, computed side by side."""
    sizes = [int(rng.integers(params.tokens[0], params.tokens[1] + 1)) for _ in claims]
    prefixes: list[list[int]] = [rng.choice(inside.plain, size).tolist() for size in sizes]
    tails = [inside.ids(claim)[: params.ahead] for claim in claims]
    best = [-1.0] * len(claims)
    for step in range(params.rounds):
        rows = [prefix + tail for prefix, tail in zip(prefixes, tails, strict=True)]
        promised = inside.promise(rows, question.vector, max(sizes))
        tried: list[list[int]] = []
        for gains, prefix in zip(promised, prefixes, strict=True):
            tried += _flipped(inside, gains[: len(prefix)], prefix, step, rng, params)
        ends = [tail for tail in tails for _ in range(params.tries)]
        similarities = inside.similarities(
            [prefix + tail for prefix, tail in zip(tried, ends, strict=True)], question.vector
        )
        for i, part in enumerate(similarities.reshape(len(claims), params.tries)):
            if part.max() > best[i]:
                best[i] = float(part.max())
                prefixes[i] = tried[i * params.tries + int(part.argmax())]
    return [f"{inside.text(p)} {claim}" for p, claim in zip(prefixes, claims, strict=True)]


def _flipped(
    inside: Surface,
    gains: Floats,
    prefix: Sequence[int],
    step: int,
    rng: np.random.Generator,
    params: Params,
) -> list[list[int]]:
    """Changed prefixes to try."""
    order = np.argpartition(-gains, params.best, axis=1)[:, : params.best]
    # Many tokens at once while all are random, few when the gradient's word is nearly used up.
    flips = max(2, round(len(prefix) * 0.7 / (step + 1)))
    hopeful = np.argsort(-gains.max(axis=1), kind="stable")[: 2 * flips]
    tried: list[list[int]] = []
    for _ in range(params.tries):
        changed = list(prefix)
        for at in rng.permutation(hopeful)[:flips].tolist():
            changed[at] = int(inside.plain[order[at, int(rng.integers(params.best))]])
        tried.append(changed)
    return tried


def _search(
    encoder: Encoder, question: Question, claim: str, rng: np.random.Generator, params: Params
) -> str:
    """The same without gradients: words drawn from the question, its synonyms and the table."""
    asked = words_of(question.text)
    table = synonyms()
    offered = [*asked, *(s for w in asked for s in table.get(w, ())), *sorted(table)[::40]]
    size = int(rng.integers(params.tokens[0], params.tokens[1] + 1))
    words: list[str] = rng.choice(sorted(table), size).tolist()
    best = -1.0
    for _ in range(params.rounds):
        tried = [_changed(words, offered, rng) for _ in range(params.tries)]
        texts = [f"{' '.join(t)} {claim}" for t in tried]
        similarities = encoder.encode(texts) @ question.vector
        if similarities.max() > best:
            best = float(similarities.max())
            words = tried[int(similarities.argmax())]
    return f"{' '.join(words)} {claim}"


def _changed(words: Sequence[str], offered: Sequence[str], rng: np.random.Generator) -> list[str]:
    changed = list(words)
    for at in rng.permutation(len(changed))[: max(1, len(changed) // 3)].tolist():
        changed[at] = offered[int(rng.integers(len(offered)))]
    return changed
