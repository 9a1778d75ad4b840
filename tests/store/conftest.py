from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragguard.store import Point, Store, open_store
from tests.support.qdrant_shim import Shim

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
