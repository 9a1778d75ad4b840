"""Peers on a hand-made scan where the guilty rows are known."""

from __future__ import annotations

import importlib.util
import random
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ragguard.bench.scan import Scan
from ragguard.knn.topk import top_k
from ragguard.model import Neighbours
from ragguard.text.words import term_matrix, words

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks/peers"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
SUBJECTS, EACH = 12, 24
CLIQUE = range(0, 5)  # five paraphrases of one thing, inside the first subject
OUTLIER, GIBBERISH = 30, 60


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"peer_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def scan_of(vectors: np.ndarray, texts: list[str], is_new: np.ndarray) -> Scan:
    rows = [words(text) for text in texts]
    own = np.arange(len(texts))
    return Scan(
        vectors=vectors,
        texts=texts,
        words=rows,
        terms=term_matrix(rows),
        is_new=is_new,
        neighbours=Neighbours(*top_k(vectors, vectors, 32, own, own)),
        seed=7,
    )


def ordinary(draw: random.Random, vocabulary: list[str], count: int) -> str:
    """Words in the few orders that this little language knows: each is followed by one of two."""
    at = draw.randrange(len(vocabulary))
    written = []
    for _ in range(count):
        written.append(vocabulary[at])
        at = (at * 2 + draw.randrange(2)) % len(vocabulary)
    return " ".join(written)


@pytest.fixture(scope="module")
def scan() -> Scan:
    rng, draw = np.random.default_rng(3), random.Random(3)
    centres = unit(rng.normal(size=(SUBJECTS, 64)))
    noise = rng.normal(size=(SUBJECTS * EACH, 64)) / 8.0
    vectors = unit(np.repeat(centres, EACH, axis=0) + noise * 1.2)
    vocabulary = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "prst"]
    texts = [ordinary(draw, vocabulary, 80) for _ in vectors]
    is_new = np.arange(len(texts)) % 3 == 0
    middle = unit(centres[0] + noise[0] * 1.2)
    for row in CLIQUE:
        vectors[row] = unit(middle + rng.normal(size=64) / 60.0)
        is_new[row] = True
    vectors[OUTLIER] = unit(rng.normal(size=64) - centres.sum(axis=0))
    shuffled = [draw.choice(vocabulary) + draw.choice("xqz") * 2 for _ in range(80)]
    texts[GIBBERISH] = " ".join(shuffled)
    is_new[[OUTLIER, GIBBERISH]] = True
    return scan_of(vectors, texts, is_new)


@pytest.mark.parametrize("name", NAMES)
def test_every_peer_scores_every_row_with_a_number(name: str, scan: Scan) -> None:
    module = load(name)
    scores = module.score(scan)
    assert module.NAME
    assert scores.shape == (len(scan.texts),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", ["rsg", "rsg_plain", "cleanbase"])
def test_five_paraphrases_of_one_thing_stand_above_all_else(name: str, scan: Scan) -> None:
    scores = load(name).score(scan)
    assert set(np.argsort(-scores)[:5].tolist()) == set(CLIQUE)


@pytest.mark.parametrize("name", ["lof", "knn_distance"])
def test_a_row_far_from_everything_stands_above_all_else(name: str, scan: Scan) -> None:
    assert int(np.argmax(load(name).score(scan))) == OUTLIER


@pytest.mark.parametrize("name", ["isolation_forest", "lof", "knn_distance"])
def test_a_row_opposite_a_single_cluster_stands_above_all_else(name: str) -> None:
    rng = np.random.default_rng(11)
    vectors = unit(np.ones(6) + rng.normal(size=(120, 6)) / 5.0)
    vectors[17] = unit(-np.ones(6))
    scan = scan_of(vectors, ["some words"] * 120, np.zeros(120, dtype=bool))
    assert int(np.argmax(load(name).score(scan))) == 17


def test_gibberish_is_the_least_likely_text(scan: Scan) -> None:
    assert int(np.argmax(load("surprisal").score(scan))) == GIBBERISH


@pytest.mark.parametrize("name", NAMES)
def test_order_of_rows_changes_nothing(name: str, scan: Scan) -> None:
    order = np.random.default_rng(5).permutation(len(scan.texts))
    shuffled = scan_of(scan.vectors[order], [scan.texts[i] for i in order], scan.is_new[order])
    module = load(name)
    assert module.score(shuffled) == pytest.approx(module.score(scan)[order], abs=1e-4)


@pytest.mark.parametrize("name", ["rsg", "rsg_plain"])
def test_copies_in_the_same_words_are_no_paraphrases(name: str, scan: Scan) -> None:
    texts = list(scan.texts)
    for row in CLIQUE:
        texts[row] = texts[0]
    scores = load(name).score(scan_of(scan.vectors, texts, scan.is_new))
    assert scores[list(CLIQUE)].max() == 0.0


def test_rsg_is_the_share_of_the_possible_rise_over_the_sixteenth_neighbour() -> None:
    close = np.linspace(0.95, 0.5, 16).astype(np.float32)
    texts = [f"only{row}" for row in range(17)]
    rows = [words(text) for text in texts]
    indices = np.full((17, 32), -1, dtype=np.int64)
    similarities = np.full((17, 32), -1.0, dtype=np.float32)
    indices[0, :16] = np.arange(1, 17)
    similarities[0, :16] = close
    scan = Scan(
        vectors=np.zeros((17, 2), dtype=np.float32),
        texts=texts,
        words=rows,
        terms=term_matrix(rows),
        is_new=np.zeros(17, dtype=bool),
        neighbours=Neighbours(indices, similarities),
        seed=0,
    )
    best = [0.95, 0.92, 0.89, 0.86]  # the fifth is 0.83, below 0.85
    assert load("rsg").score(scan)[0] == pytest.approx((sum(best) / 4 - 0.5) / 0.5, abs=1e-6)
    assert load("rsg_plain").score(scan)[0] == pytest.approx(sum(best) / 4 - 0.5, abs=1e-6)
    indices[0, 1:16] = -1
    similarities[0, 1:16] = -1.0
    indices[0, 1:3], similarities[0, 1:3] = [2, 3], [0.6, 0.4]
    single = replace(scan, neighbours=Neighbours(indices, similarities))
    assert load("rsg").score(single)[0] == pytest.approx(0.5 * (0.95 - 0.4) / 0.6, abs=1e-6)


def test_cleanbase_scores_the_weakest_edge_of_the_best_triangle() -> None:
    edges = {(0, 1): 0.9, (0, 2): 0.8, (1, 2): 0.7, (2, 3): 0.95, (3, 4): 0.3}
    indices = np.full((5, 32), -1, dtype=np.int64)
    similarities = np.full((5, 32), -1.0, dtype=np.float32)
    for row in range(5):
        found = sorted(((s, sum(e) - row) for e, s in edges.items() if row in e), reverse=True)
        for column, (similarity, other) in enumerate(found):
            indices[row, column], similarities[row, column] = other, similarity
    scan = Scan(
        vectors=np.zeros((5, 2), dtype=np.float32),
        texts=["a"] * 5,
        words=[["a"]] * 5,
        terms=term_matrix([["a"]] * 5),
        is_new=np.zeros(5, dtype=bool),
        neighbours=Neighbours(indices, similarities),
        seed=0,
    )
    kept = np.array(list(edges.values()))
    scores = load("cleanbase").score(scan)
    assert scores[:3] == pytest.approx((0.7 - kept.mean()) / kept.std(), abs=1e-5)
    assert (scores[3:] < (0.3 - kept.mean()) / kept.std()).all()
