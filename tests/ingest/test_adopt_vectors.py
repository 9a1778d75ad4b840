"""Vectors of an adopted collection: kept where the model made them, found out where it did not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qdrant_edge as edge
from langchain_text_splitters import RecursiveCharacterTextSplitter

from ragguard.audit.reembedding import check_reembedding
from ragguard.corpus.embed import claims_of
from ragguard.embed.encoder import open_encoder
from ragguard.embed.remote import PROBES
from ragguard.ingest import adopt_vectors
from ragguard.ingest.adopt import AdoptResult, adopt
from ragguard.ingest.adopt_vectors import Claims
from ragguard.ledger import versions
from ragguard.model import Floats
from ragguard.store.foreign import open_foreign
from ragguard.trust import adoption
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.kept import tag
from tests.support.servers.embedding import serving
from tests.support.simulator import HONEST, Gate

# Honest pages of two passages each, as LangChain cuts them.
PAGES = {
    f"{place}/{name}": f"{text} This page is for the people of {place}.\n\n{other}"
    for place in ("Graz", "Linz", "Wels")
    for (name, text), other in zip(
        HONEST.items(), [*list(HONEST.values())[3:], *list(HONEST.values())[:3]], strict=True
    )
}
SIZE, OVERLAP = 300, 30


@pytest.fixture(scope="module")
def pieces() -> list[tuple[str, str, int]]:
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=SIZE, chunk_overlap=OVERLAP, add_start_index=True
    )
    made = splitter.create_documents(list(PAGES.values()), [{"source": name} for name in PAGES])
    return [(d.metadata["source"], d.page_content, d.metadata["start_index"]) for d in made]


@pytest.fixture(scope="module")
def vectors(pieces: list[tuple[str, str, int]]) -> Floats:
    model = open_encoder("all-MiniLM-L6-v2", runtime="auto", size=SIZE, overlap=OVERLAP)
    return model.encode([text for _, text, _ in pieces])


def collection(
    folder: Path, pieces: Sequence[tuple[str, str, int]], vectors: Floats, kind: Any = None
) -> Path:
    """A collection as LangChain writes it."""
    params = edge.EdgeVectorParams(size=vectors.shape[1], distance=kind or edge.Distance.Cosine)
    shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=params))
    points = [
        edge.Point(
            n,
            vector.tolist(),
            {"page_content": text, "metadata": {"source": name, "start_index": start}},
        )
        for n, ((name, text, start), vector) in enumerate(zip(pieces, vectors, strict=True))
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()
    return folder


@pytest.fixture
def fine(tmp_path: Path) -> Any:
    gate = Gate(tmp_path / "gate", chunks={"size": SIZE, "overlap": OVERLAP})
    yield gate
    gate.close()


def take(gate: Gate, path: Path, **rest: Any) -> AdoptResult:
    with open_foreign(path=path) as foreign:
        return adopt(gate.workspace, foreign, "legacy", rest.pop("mode", "trust"), **rest)


def counted(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts the model embeds, call by call."""
    encoder, sizes = gate.workspace.encoder, []
    real = encoder.encode

    def encode(texts: Sequence[str], *rest: Any) -> Floats:
        sizes.append(len(texts))
        return real(texts, *rest)

    monkeypatch.setattr(encoder, "encode", encode)
    return sizes


def stored(gate: Gate, zone: str = "serving") -> dict[str, Floats]:
    generation = gate.workspace.generation()
    assert generation is not None
    store = gate.workspace.open_store()
    name = getattr(generation, zone)
    found = [p for block in store.scan(name, vectors=True) for p in block]
    return {str(p.payload["page_content"]): p.vector for p in found}


def test_vectors_of_the_same_model_are_kept_and_only_the_sample_is_embedded(
    fine: Gate, tmp_path: Path, pieces: Any, vectors: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt_vectors, "SAMPLE", 20)
    sizes = counted(fine, monkeypatch)
    made = take(fine, collection(tmp_path / "c", pieces, vectors))
    report = made.report.vectors
    assert report is not None
    chunks = {str(p["page_content"]) for p in fine.points().values()}
    waiting = {str(p["page_content"]) for p in fine.points("quarantine").values()}
    chunks |= waiting
    same = chunks & {text for _, text, _ in pieces}
    assert len(same) > 0.9 * len(chunks)  # LangChain's cuts are ours
    assert (report.kept, report.compared, report.wrong, report.reason) == (len(same), 20, 0, "")
    assert sum(sizes) == 20 + len(chunks - same)
    assert report.furthest < report.tolerance == 1e-4
    given = {text: vector for (_, text, _), vector in zip(pieces, vectors, strict=True)}
    for text, vector in stored(fine).items():
        assert np.abs(vector - given.get(text, vector)).max() < 1e-6
    (row,) = made.report.manifests
    record = adoption.parse(fine.workspace.vault.get(row.digest), max_bytes=1 << 20)
    assert record is not None
    assert record.vectors["kept"] == report.kept
    assert check_reembedding(fine.workspace, 1.0)[0] == []


def last_drawn(gate: Gate, pieces: Sequence[tuple[str, str, int]]) -> int:
    """Of the passages whose text stands once, the one that a sample draws last."""
    texts = [text for _, text, _ in pieces]
    names = [digest_bytes(text.encode()).encode() for text in texts]
    order = [tag(gate.workspace.seal_key, "adopt sample", name) for name in names]
    return max((n for n, t in enumerate(texts) if texts.count(t) == 1), key=lambda n: order[n])


def test_a_vector_planted_among_those_kept_is_found_by_embedding_again(
    fine: Gate, tmp_path: Path, pieces: Any, vectors: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt_vectors, "SAMPLE", 5)
    planted, target = vectors.copy(), last_drawn(fine, pieces)
    planted[target] = vectors[target - 5]  # where the answer to another question lies
    made = take(fine, collection(tmp_path / "c", pieces, planted), mode="quarantine")
    assert made.report.vectors is not None
    assert (made.report.vectors.kept > 5, made.report.vectors.reason) == (True, "")
    (document,) = (v for v in made.report.documents if v.id == pieces[target][0])
    assert document.findings[-1].facts["claimed_vectors"] >= 1
    findings, looked_at = check_reembedding(fine.workspace, 1.0)
    assert looked_at == len(fine.points("quarantine"))
    assert [f.rule for f in findings] == ["vector-not-of-text"]
    assert pieces[target][0] in findings[0].detail
    # What was claimed is given to no other document, and embedded anew by a rebuild.
    names = [digest_bytes(text.encode()) for _, text, _ in pieces]
    with fine.workspace.ledger.reading() as conn:
        recipe, key = fine.workspace.encoder.recipe.digest, fine.workspace.seal_key
        known = versions.known_vectors(conn, recipe, names, key)
        assert names[target] not in known
        assert names[target] in versions.known_vectors(conn, claims_of(recipe), names, key)


def test_one_wrong_vector_in_the_sample_and_none_is_kept(
    fine: Gate, tmp_path: Path, pieces: Any, vectors: Floats
) -> None:
    planted, target = vectors.copy(), last_drawn(fine, pieces)
    planted[target] = vectors[target - 1]
    made = take(fine, collection(tmp_path / "c", pieces, planted), dry_run=True)
    report = made.report.vectors
    assert report is not None
    assert (report.kept, report.wrong, report.suspicious) == (0, 1, True)
    assert "1 are not the embedding of their text" in report.reason
    assert "no vector was kept" in made.report.manifests[0].note
    assert made.report.exit_code == 1


def test_vectors_of_another_model_are_made_anew_and_that_is_no_alarm(pieces: Any) -> None:
    model = open_encoder("all-MiniLM-L6-v2", runtime="auto", size=SIZE, overlap=OVERLAP)
    texts = {digest_bytes(text.encode()): text for _, text, _ in pieces[:6]}
    made = model.encode(list(texts.values()))
    for turned, said in ((made[:, ::-1], "6 are not"), (made[:, :100], "have 100 dimensions")):
        claims = Claims(turned.shape[1], SIZE)
        for text, vector in zip(texts.values(), turned, strict=True):
            claims.add(text, vector)
        assert claims.proved(texts, model, b"k" * 32) == {}
        assert said in claims.report.reason
        assert not claims.report.suspicious
    claims = Claims(384, SIZE)
    for n, (text, vector) in enumerate(zip(texts.values(), made, strict=True)):
        claims.add(text, vector if n else made[1])
        claims.add(text, vector)  # the first text has two vectors: neither is believed
        claims.add("x" * (SIZE + 1), vector)  # no chunk is so long
        claims.add("no vector", vector[:0])
    assert set(claims.proved(texts, model, b"k" * 32)) == set(list(texts)[1:])
    assert claims.proved({"other": "text"}, model, b"k" * 32) == {}
    assert "no chunk is one of the collection's passages" in claims.report.reason


def wide(vectors: Floats) -> Any:
    """1536 numbers, as OpenAI's small model gives, and not quite the same ones each time."""
    made = np.tile(vectors, (1, 4)) / 2
    noise = np.random.default_rng(len(vectors)).normal(size=made.shape)
    return made + 0.005 * noise / np.sqrt(made.shape[1])


def test_1536_dimensions_of_an_endpoint_are_kept_and_a_second_run_admits_them(
    tmp_path: Path, pieces: Any, vectors: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt_vectors, "SAMPLE", 5)
    unit = wide(vectors)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    path = collection(tmp_path / "c", pieces, unit.astype(np.float32), edge.Distance.Dot)
    with serving(change=lambda v: wide(v).tolist()) as server:
        model = {"name": "text-embedding-3-small", "url": server.url}
        gate = Gate(tmp_path / "g", model=model, chunks={"size": SIZE, "overlap": OVERLAP})
        try:
            waiting = take(gate, path, mode="quarantine").report.vectors
            asked = {text for texts in server.asked for text in texts} - set(PROBES)
            assert waiting is not None
            assert (waiting.dimensions, waiting.compared, waiting.reason) == (1536, 5, "")
            texts = {text for _, text, _ in pieces}
            assert waiting.kept > 5
            assert len(asked & texts) <= len(texts) - waiting.kept + waiting.compared
            before = stored(gate, "quarantine")
            gate.reopen(hours=1)
            take(gate, path, mode="trust")
            for text, vector in stored(gate).items():
                assert np.linalg.norm(vector - before[text]) < 0.045
            assert check_reembedding(gate.workspace, 1.0)[0] == []
        finally:
            gate.close()
