from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragguard.bench import dataset, runner, world
from ragguard.bench.scan import Peer, Scan
from ragguard.config import JudgeSettings
from ragguard.embed import encoder
from ragguard.model import Doubles
from tests.support import bench_folder

SMALL = JudgeSettings(least_documents=100, reference_documents=100)


def near_newcomers(scan: Scan) -> Doubles:
    """A peer that can see who is new: similarity to the second newcomer among its neighbours."""
    import numpy as np

    near = scan.neighbours
    new = scan.is_new[near.indices] & (near.indices >= 0)
    found = np.sort(np.where(new, near.similarities, -1.0), axis=1)[:, -2]
    return np.asarray(found, dtype=np.float64)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bench_folder.make(tmp_path_factory.mktemp("session-bench") / "handbook")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("session-vectors")


@pytest.fixture(scope="session")
def build(site: Path, cache: Path) -> Any:
    """Embeds the folder for a plan; vectors are shared by all tests."""

    def make(peers: bool = False, **plan: Any) -> world.EmbeddedDataset:
        found = dataset.load(site, topics=[site / "topic/stars.jsonl"])
        model = encoder.open_encoder("all-MiniLM-L6-v2", runtime="auto", size=1000, overlap=100)
        values = {"seeds": 1, "arriving": (0.5,), "per_target": (4,), "rate": 0.05} | plan
        asked = world.BenchPlan(**values)
        known = [Peer("near newcomers", near_newcomers)] if peers else []
        return world.build(found, asked, model, cache, known, lambda *_: None, judge=SMALL)

    return make


@pytest.fixture(scope="session")
def report(build: Any) -> dict[str, Any]:
    """All protocols on the folder, once."""
    return runner.run(build(peers=True, seeds=2, per_target=(4, 1), batches=(6,)))
