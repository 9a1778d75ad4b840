from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ragguard.redteam.attacks import HonestDocument, Question, Target, plant, registry
from tests.support.attacks.targets import handbook, run

NAMES = sorted(registry())
WITHOUT_TORCH = [name for name in NAMES if name != "hotflip"]
WANTED = {
    *("question_led", "paraphrase", "synonyms", "typing_errors", "mixed", "disperse", "hotflip"),
    *("trigger_soup", "hub_vectors", "noise_vectors", "stuffing", "flood", "fact_edit", "single"),
    *("metadata_flip", "label_flip", "split_over_chunks", "hidden_text", "instructions"),
}
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\U000e0000-\U000e01ef]"
)


def test_every_simulator_is_registered() -> None:
    assert set(NAMES) >= WANTED


def test_only_the_token_optimiser_needs_the_encoder() -> None:
    assert [name for name, entry in registry().items() if entry.needs_encoder] == ["hotflip"]


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_the_same_seed_plants_the_same_documents_and_another_seed_others(name: str) -> None:
    def content(seed: int) -> list[tuple[str, str, bytes]]:
        found = run(name, seed=seed)
        return [(p.id, p.text, b"" if p.vector is None else p.vector.tobytes()) for p in found]

    assert content(1) == content(1)
    assert content(1) != content(2)


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_ids_are_unique_texts_are_not_empty_and_campaigns_as_many_as_wanted(name: str) -> None:
    planted = run(name, campaigns=4)
    assert len({p.id for p in planted}) == len(planted)
    assert all(p.text.strip() for p in planted)
    assert len({p.campaign for p in planted}) == 4
    known = {p.id for p in handbook().passages}
    assert {p.original for p in planted} - {""} <= known


@pytest.mark.parametrize("name", [name for name in WITHOUT_TORCH if name != "hidden_text"])
def test_only_hidden_text_uses_characters_nobody_sees(name: str) -> None:
    passages = [replace(p, text=CONTROL.sub("", p.text)) for p in handbook().passages]
    target = replace(handbook(), passages=passages)
    for planted in plant(registry()[name], target, 5, 6):
        assert not CONTROL.search(planted.text), planted.id


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_too_small_gives_fewer_documents_and_no_error(name: str) -> None:
    full = handbook()
    sizes = [(0, 0), (1, 0), (1, 1), (3, 1)]
    for passages, questions in sizes:
        cut = Target(full.passages[:passages], full.questions[:questions], full.encoder)
        planted = plant(registry()[name], cut, 1, 5)
        assert len({p.campaign for p in planted}) <= 5
        assert all(p.text for p in planted)


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_odd_texts_are_survived(name: str) -> None:
    rng = np.random.default_rng(0)

    def vector() -> np.ndarray:
        made = rng.standard_normal(8)
        return (made / np.linalg.norm(made)).astype(np.float32)

    texts = ["", "?", "{x} {}", "12", "a", "Ünïcode ✓ 東京 \n\n\n", "not is", "A" * 500, "X. Y. Z."]
    passages = [
        HonestDocument(str(i), t, vector(), {"label": "ab"[i % 2]}) for i, t in enumerate(texts)
    ]
    questions = [
        Question(str(i), t, vector(), ("0", "no such id"))
        for i, t in enumerate(["", "?", "who", "what is", "{t}", "when did", "how many", "東京"])
    ]
    planted = plant(registry()[name], Target(passages, questions), 3, 8)
    assert len({p.id for p in planted}) == len(planted)
