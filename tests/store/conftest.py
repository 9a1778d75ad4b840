from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from ragguard.store import Point, Store, open_store
from ragguard.store.edge import open_edge
from ragguard.store.qdrant import QdrantStore
from tests.support.servers.qdrant_shim import Shim

D = 16


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make_points(n: int, seed: int = 0, d: int = D) -> list[Point]:
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((n, d)))
    ids = [f"{seed:08x}-0000-4000-8000-{i:012x}" for i in range(n)]
    return [
        Point(
            ids[i],
            vectors[i],
            {
                "page_content": f"text {i}",
                "metadata": {"department": "legal" if i % 2 else "it", "rank": i},
                "ragguard": {"document": f"d{i}", "source": "wiki"},
            },
        )
        for i in range(n)
    ]


def matching(key: str, **match: Any) -> models.FieldCondition:
    """A condition on a field; its value, or any of some."""
    kind = models.MatchAny if "any" in match else models.MatchValue
    return models.FieldCondition(key=key, match=kind(**match))


LEGAL = models.Filter(must=[matching("metadata.department", value="legal")])
COSINE = models.VectorParams(size=D, distance=models.Distance.COSINE)


def embedded(path: Path, n: int = 0) -> QdrantStore:
    """The embedded engine with points in its collection `c`."""
    store = QdrantStore(open_edge(path, writable=True))
    store.create("c", D)
    store.upsert("c", make_points(n))
    return store


@pytest.fixture(
    params=[
        pytest.param("memory", id="memory"),
        pytest.param("embedded", id="embedded"),
        pytest.param("shim", id="server-shim"),
        pytest.param("online", id="server", marks=pytest.mark.online),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every engine behind the protocol; a real server when RAGGUARD_QDRANT_URL names one."""
    shim = None
    if request.param == "memory":
        opened = open_store(tmp_path, "memory:")
    elif request.param == "embedded":
        opened = open_store(tmp_path / "index")
    elif request.param == "shim":
        shim = Shim(tmp_path / "index")
        opened = open_store(tmp_path, shim.url)
    else:
        url = os.environ.get("RAGGUARD_QDRANT_URL")
        if not url:
            pytest.skip("set RAGGUARD_QDRANT_URL to a throw-away Qdrant server to run this")
        opened = open_store(tmp_path, url, os.environ.get("RAGGUARD_QDRANT_API_KEY"))
        for name in ("c", "c2"):
            opened.drop(name)
    yield opened
    opened.close()
    if shim is not None:
        shim.close()
