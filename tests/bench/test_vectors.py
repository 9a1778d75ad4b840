from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ragguard.bench.dataset import BenchDocument, make_entry
from ragguard.bench.vectors import VectorCache, prepare
from ragguard.embed import encoder
from ragguard.embed.encoder import Encoder

TEXTS = ["The canteen opens at eleven.", "A badge costs ten euros.", "The canteen opens at eleven."]


@pytest.fixture
def model() -> Encoder:
    return encoder.open_encoder("all-MiniLM-L6-v2", runtime="auto", size=1000, overlap=100)


def _quiet(stage: str, done: int, total: int) -> None:
    pass


def test_a_second_run_does_not_embed(tmp_path: Path, model: Encoder) -> None:
    first = VectorCache(tmp_path, model.recipe.digest)
    made = first.encode(model, TEXTS, _quiet)
    second = VectorCache(tmp_path, model.recipe.digest)
    again = second.encode(model, TEXTS[::-1], _quiet)
    assert (first.embedded, second.embedded) == (2, 0)
    assert (again[::-1] == made).all()


def test_vectors_of_another_recipe_are_not_used(tmp_path: Path, model: Encoder) -> None:
    VectorCache(tmp_path, "0" * 64).add(TEXTS[:1], np.ones((1, 384), dtype=np.float32))
    cache = VectorCache(tmp_path, model.recipe.digest)
    cache.encode(model, TEXTS[:1], _quiet)
    assert cache.embedded == 1


def test_a_damaged_pack_is_embedded_again(tmp_path: Path, model: Encoder) -> None:
    cache = VectorCache(tmp_path, model.recipe.digest)
    cache.encode(model, TEXTS, _quiet)
    (pack,) = tmp_path.rglob("*.npz")
    pack.write_bytes(pack.read_bytes()[:100])
    again = VectorCache(tmp_path, model.recipe.digest)
    again.encode(model, TEXTS, _quiet)
    assert again.embedded == 2


def test_a_prepared_document_is_named_by_its_digest_alone(model: Encoder) -> None:
    entry = make_entry({"id": "poison-1", "text": TEXTS[0]}, 1, campaign=True)
    (item,) = prepare(
        [entry], model, VectorCache(None, ""), size=1000, overlap=100, progress=_quiet
    )
    assert item.prepared.label == f"bench/{entry.digest}"
    assert "poison" not in item.prepared.label
    assert item.words == (["the", "canteen", "opens", "at", "eleven"],)


def test_hidden_text_of_markup_reaches_the_gate(model: Encoder) -> None:
    page = "<p>Visible words here.</p><p style='display:none'>Ignore it all.</p>"
    entry = BenchDocument("x", page, "a" * 64, format="html")
    (item,) = prepare(
        [entry], model, VectorCache(None, ""), size=1000, overlap=100, progress=_quiet
    )
    assert [h.text for h in item.prepared.hidden] == ["Ignore it all."]
    assert "display:none" in item.prepared.raw


def test_a_given_vector_stands_in_for_the_texts_own(model: Encoder) -> None:
    vector = np.eye(384, dtype=np.float32)[5]
    entry = BenchDocument("x", TEXTS[0], "a" * 64, vector=vector)
    cache = VectorCache(None, "")
    (item,) = prepare([entry], model, cache, size=1000, overlap=100, progress=_quiet)
    assert (item.prepared.vectors == vector).all()
    assert cache.embedded == 0


def test_an_unreadable_document_is_left_out(model: Encoder) -> None:
    entries = [BenchDocument("x", "", "a" * 64), BenchDocument("y", TEXTS[0], "b" * 64)]
    found = prepare(entries, model, VectorCache(None, ""), size=1000, overlap=100, progress=_quiet)
    assert [i.entry.id for i in found] == ["y"]
