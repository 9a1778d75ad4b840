"""Pipelines of LlamaIndex and Haystack write through the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from haystack import Document as HaystackDocument
from haystack import Pipeline
from haystack.components.converters import TextFileToDocument
from haystack.components.preprocessors import DocumentSplitter
from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from qdrant_client import models

from ragguard.integrations.haystack import GuardedWriter
from ragguard.integrations.llamaindex import GuardedSink
from ragguard.integrations.sink import GivenText, Sink, SinkResult
from tests.integrations.test_langchain_index import SUSPECT
from tests.support.simulator import HONEST, Gate

TEXTS = dict(list(HONEST.items())[:3])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    made = Gate(tmp_path_factory.mktemp("gate"), judge={"removal_share": 1.0})
    yield made
    made.close()


@pytest.fixture
def empty(shared: Gate) -> Gate:
    Sink(shared.workspace, "wiki", shared.alice).write([], "full")
    return shared


def texts(gate: Gate) -> set[str]:
    return {p["page_content"] for p in gate.points().values()}


# --- LlamaIndex -----------------------------------------------------------------------------------


def pipeline(gate: Gate, made: list[SinkResult], **options: Any) -> IngestionPipeline:
    sink = GuardedSink(gate.workspace, "wiki", gate.alice, on_indexed=made.append, **options)
    return IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=40, chunk_overlap=0), sink]
    )


def documents(changed: dict[str, str]) -> list[Document]:
    return [Document(doc_id=n, text=t, metadata={"file": n}) for n, t in changed.items()]


def test_llamaindex_writes_nodes_with_their_own_metadata(empty: Gate) -> None:
    made: list[SinkResult] = []
    nodes = pipeline(empty, made).run(documents=documents(TEXTS))
    assert len(nodes) == made[0].num_added > len(TEXTS)  # split
    assert texts(empty) == {n.get_content() for n in nodes}
    assert {p["metadata"]["file"] for p in empty.points().values()} == set(TEXTS)


def test_llamaindexes_cache_does_not_keep_a_document_from_coming_back(empty: Gate) -> None:
    made: list[SinkResult] = []
    runs = pipeline(empty, made)
    old, new = TEXTS["leave.md"], TEXTS["invoices.md"]
    for text in (old, new, old):
        runs.run(documents=documents({"a.md": text}))
    assert len(made) == 3
    assert all(text in old for text in texts(empty))
    assert made[2].num_deleted + made[2].num_updated > 0


def test_llamaindex_gets_only_nodes_back_that_serve(empty: Gate) -> None:
    made: list[SinkResult] = []
    runs = pipeline(empty, made, cleanup="full")
    nodes = asyncio.run(runs.arun(documents=documents({**TEXTS, "safe.md": SUSPECT})))
    assert made[0].num_waiting == 1
    assert {n.ref_doc_id for n in nodes} == set(TEXTS)
    runs.run(documents=documents({"leave.md": TEXTS["leave.md"]}))
    assert {p["metadata"]["file"] for p in empty.points().values()} == {"leave.md"}


# --- Haystack -------------------------------------------------------------------------------------


def test_haystack_writes_what_its_converter_and_splitter_make(empty: Gate, tmp_path: Path) -> None:
    made = Pipeline()
    made.add_component("convert", TextFileToDocument(store_full_path=True))
    made.add_component("split", DocumentSplitter(split_by="period", split_length=1))
    made.add_component("write", GuardedWriter(empty.workspace, "wiki", empty.alice))
    made.connect("convert", "split")
    made.connect("split", "write")
    path = tmp_path / "leave.md"
    counts = []
    for text in (HONEST["leave.md"], HONEST["visitors.md"]):
        path.write_text(text)
        found = made.run({"convert": {"sources": [path]}})["write"]
        counts.append(found["documents_written"])
    assert counts[0] > 1
    assert counts[1] > 0
    there = [p["metadata"] for p in empty.points().values()]
    assert {m["file_path"] for m in there} == {str(path)}
    assert all(text.strip() in HONEST["visitors.md"] for text in texts(empty))


def test_haystack_documents_without_an_origin_are_their_own(empty: Gate) -> None:
    writer = GuardedWriter(empty.workspace, "wiki", empty.alice)
    given = [HaystackDocument(content=t) for t in TEXTS.values()]
    given.append(HaystackDocument(content=SUSPECT))
    found = writer.run(given)
    assert found["documents_written"] == 3
    indexed = found["indexed"]
    assert isinstance(indexed, SinkResult)
    assert [v.outcome for v in indexed.verdicts] == ["admit"] * 3 + ["quarantine"]
    assert writer.run(given)["documents_written"] == 0


# --- the sink itself ------------------------------------------------------------------------------


def test_points_that_somebody_took_out_are_told(empty: Gate) -> None:
    sink = Sink(empty.workspace, "wiki", empty.alice)
    pieces = [GivenText(name, text) for name, text in TEXTS.items()]
    assert sink.write(pieces).note == ""
    store: Any = empty.workspace.open_store()
    kept = [p for block in store.scan("corpus-g1", vectors=True) for p in block]
    store.client.delete("corpus-g1", models.PointIdsList(points=[kept[0].id]))
    made = sink.write(pieces)
    assert (made.num_skipped, "2 points, and 3 were written" in made.note) == (3, True)
    store.upsert("corpus-g1", kept)
    assert sink.write(pieces).note == ""
