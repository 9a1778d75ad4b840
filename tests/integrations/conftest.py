from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # before Haystack is imported

from ragguard.serving.answer import Answer
from ragguard.serving.retriever import Retriever, open_retriever
from ragguard.store import Point
from tests.support.servers.qdrant_shim import Shim
from tests.support.simulator import HONEST, Gate


class Served:
    """An index of six documents, its retriever, and what the retriever answered."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        gate.publish(HONEST, metadata={n: {"department": n[:2]} for n in HONEST})
        self.retriever: Retriever = open_retriever(gate.workspace)
        self.store = gate.workspace.open_store()
        self.kept = [p for block in self.store.scan("corpus-g1", vectors=True) for p in block]
        self.answers: list[Answer] = []

    @property
    def seals(self) -> list[str]:
        """Seals and digests: what no prompt may hold."""
        own = [p.payload["ragguard"] for p in self.kept]
        return [v for o in own for v in o.values() if isinstance(v, str) and len(v) >= 32]

    def forge(self, document: str, text: str) -> str:
        """Rewrite a document's point past the gate; returns its id."""
        point = next(p for p in self.kept if p.payload["ragguard"]["document"] == document)
        forged = Point(point.id, point.vector, {**point.payload, "page_content": text})
        self.store.upsert("corpus-g1", [forged])
        return point.id


@pytest.fixture(scope="module", params=["embedded", "http"])
def index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gate")
    shim = Shim(folder / "server") if request.param == "http" else None
    gate = Gate(folder, **({"store": {"url": shim.url}} if shim else {}))
    yield Served(gate)
    gate.close()
    if shim is not None:
        shim.close()


@pytest.fixture
def served(index: Served) -> Iterator[Served]:
    """The index; whatever a test does to its points is undone."""
    index.answers.clear()
    yield index
    index.store.upsert("corpus-g1", index.kept)
