from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ragguard.redteam.attacks import PoisonDocument, plant, registry
from ragguard.redteam.attacks import hotflip as module
from tests.support.attacks.targets import handbook


def planted(seed: int = 1, documents: int = 2, rounds: int = 3) -> list[PoisonDocument]:
    entry = registry()["hotflip"]
    params = entry.params(documents=documents, rounds=rounds)
    return plant(entry, handbook(), seed, 2, params)


def cosines(documents: list[PoisonDocument], texts: list[str]) -> list[float]:
    target = handbook()
    assert target.encoder is not None
    goals = {q.text: q.vector for q in target.questions}
    vectors = target.encoder.encode(texts)
    return [float(v @ goals[d.question]) for d, v in zip(documents, vectors, strict=True)]


def shuffled_prefixes(documents: list[PoisonDocument], rng: np.random.Generator) -> list[str]:
    """The same claims behind words of the handbook drawn at random."""
    words = " ".join(p.text for p in handbook().passages[:20]).split()
    tails = [" ".join(d.text.split()[22:]) for d in documents]
    return [f"{' '.join(rng.choice(words, 24))} {tail}" for tail in tails]


def test_optimised_tokens_bring_the_passage_near_the_question() -> None:
    documents = planted()
    optimised = cosines(documents, [d.text for d in documents])
    random = cosines(documents, shuffled_prefixes(documents, np.random.default_rng(0)))
    assert np.mean(optimised) > np.mean(random) + 0.1
    assert min(optimised) > 0.4


def test_optimising_is_seeded() -> None:
    first = [d.text for d in planted(1, 1, 2)]
    assert first == [d.text for d in planted(1, 1, 2)]
    assert first != [d.text for d in planted(2, 1, 2)]


def test_without_an_encoder_nothing_is_planted() -> None:
    target = replace(handbook(), encoder=None)
    assert plant(registry()["hotflip"], target, 1, 2) == []


def test_without_gradients_the_search_still_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "surface", lambda encoder: None)
    documents = planted()
    found = cosines(documents, [d.text for d in documents])
    random = cosines(documents, shuffled_prefixes(documents, np.random.default_rng(0)))
    assert np.mean(found) > np.mean(random)
