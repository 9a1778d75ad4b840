from __future__ import annotations

import numpy as np

from ragguard.redteam.attacks.questions import suggest
from tests.support.attacks.targets import handbook, run


def test_hub_vectors_are_near_more_questions_than_honest_passages_are() -> None:
    target = handbook()
    questions = np.stack([q.vector for q in target.questions])
    honest = np.stack([p.vector for p in target.passages])
    planted = run("hub_vectors", campaigns=3)
    hubs = np.stack([p.vector for p in planted if p.vector is not None])
    assert len(hubs) == 15
    assert np.allclose(np.linalg.norm(hubs, axis=1), 1.0, atol=1e-5)
    assert hubs.dtype == np.float32
    assert (hubs @ questions.T).mean() > (honest @ questions.T).mean() + 0.05


def test_noise_vectors_are_unit_and_far_from_the_corpus_every_other_campaign() -> None:
    honest = np.stack([p.vector for p in handbook().passages])
    planted = run("noise_vectors", campaigns=4)
    vectors = np.stack([p.vector for p in planted if p.vector is not None])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    nearest = (vectors @ honest.T).max(axis=1).reshape(4, 5).mean(axis=1)
    assert nearest[0] < 0.3
    assert nearest[1] > nearest[0] + 0.1


def test_a_metadata_flip_changes_one_key_and_widens_access_where_it_can() -> None:
    known = {p.id: p for p in handbook().passages}
    planted = run("metadata_flip", campaigns=60)
    assert len(planted) == 60
    keys = set()
    for document in planted:
        old = known[document.original].metadata
        (key,) = [k for k in old if old[k] != document.metadata[k]]
        keys.add(key)
        if key == "access":
            order = ("public", "internal", "restricted", "confidential")
            lowest = min(order.index(v.metadata["access"]) for v in known.values())
            if order.index(old[key]) > lowest:
                assert order.index(document.metadata[key]) < order.index(old[key])
    assert {"department", "label", "access"} <= keys
    copies = [p.text == known[p.original].text for p in planted]
    assert 10 <= sum(copies) <= 50


def test_a_label_flip_stays_near_its_class_under_another_label() -> None:
    target = handbook()
    known = {p.id: p for p in target.passages}
    planted = run("label_flip", campaigns=20)
    assert target.encoder is not None
    vectors = target.encoder.encode([p.text for p in planted])
    cosines = [float(v @ known[p.original].vector) for p, v in zip(planted, vectors, strict=True)]
    assert np.mean(cosines) > 0.6
    for document in planted:
        assert document.metadata["label"] != known[document.original].metadata["label"]


def test_suggested_questions_lie_near_the_passages_they_come_from() -> None:
    target = handbook()
    made = suggest(target.passages, np.random.default_rng(1), 80)
    assert len(made) == 80
    assert len({text for text, _ in made}) == 80
    assert target.encoder is not None
    vectors = target.encoder.encode([text for text, _ in made])
    honest = np.stack([p.vector for p in target.passages])
    ids = [p.id for p in target.passages]
    hits = 0
    for vector, (text, relevant) in zip(vectors, made, strict=True):
        assert text.endswith("?")
        nearest = np.argsort(-(honest @ vector))[:5]
        hits += bool({ids[i] for i in nearest} & set(relevant))
    assert hits / len(made) > 0.7


def test_suggestions_are_seeded_and_run_out_without_an_error() -> None:
    passages = handbook().passages
    first = suggest(passages, np.random.default_rng(1), 20)
    assert first == suggest(passages, np.random.default_rng(1), 20)
    assert first != suggest(passages, np.random.default_rng(2), 20)
    assert suggest([], np.random.default_rng(1), 20) == []
    assert len(suggest(passages[:2], np.random.default_rng(1), 500)) <= 4
