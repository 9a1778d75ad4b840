"""The table of neighbours that an audit keeps is believed only as the workspace left it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ragguard.audit.index.read_index import GRAPH, LAST, NOW, TAG, keep, neighbours
from ragguard.audit.index.spool import Spool
from ragguard.audit.index.spool_writer import Spooler
from ragguard.knn.graph import neighbour_table
from ragguard.trust import kept
from tests.audit.index.test_spool import D, point

KEY, OTHER = bytes(32), b"\1" * 32
K = 4


def _silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""


def spooled(folder: Path, count: int) -> Spool:
    with Spooler(folder / NOW, "k", D) as spooler:
        spooler.add("serving", [point(i) for i in range(count)])
        return spooler.finish()


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """What an audit leaves: its spool, a table that nobody could have computed, and a tag."""
    table = neighbour_table(spooled(tmp_path, 30).vectors, K)
    told = table.__class__(table.indices, table.similarities + 5, True, None, None)
    keep(tmp_path, KEY, told)
    return tmp_path


def carried(folder: Path, seal_key: bytes = KEY) -> bool:
    """Whether the next audit goes on from the kept table."""
    found = neighbours(spooled(folder, 31), folder, seal_key, K, _silent)
    assert found.indices.shape == (31, K)
    return bool((found.similarities > 3).any())


def forge(folder: Path) -> None:
    """Hide row 7 from everybody's neighbours."""
    with np.load(folder / GRAPH) as table:
        parts = dict(table)
    parts["indices"] = np.where(parts["indices"] == 7, -1, parts["indices"])
    np.savez(folder / GRAPH, **parts)


def sign_with_another_key(folder: Path) -> None:
    forge(folder)
    (folder / TAG).write_bytes(kept.tag(OTHER, LAST, b""))


def turn_a_vector(folder: Path) -> None:
    vectors = np.fromfile(folder / "vectors", np.float32)
    vectors[:D] = vectors[D : 2 * D]
    vectors.tofile(folder / "vectors")


PLANTED: dict[str, Callable[[Path], object]] = {
    "a table": forge,
    "a table and a tag": sign_with_another_key,
    "a vector": turn_a_vector,
    "ids": lambda f: (f / "ids").write_bytes((f / "ids").read_bytes()[::-1]),
    "zones": lambda f: (f / "zones").write_bytes(b"\1" * 30),
    "no tag": lambda f: (f / TAG).unlink(),
    "an archive that is none": lambda f: (f / GRAPH).write_bytes(b"PK\3\4" + bytes(90)),
    "nothing": lambda f: shutil.rmtree(f),
}


def test_the_workspaces_own_table_is_carried_over_and_nobody_elses(night: Path) -> None:
    assert carried(night)
    assert not carried(night, OTHER)


@pytest.mark.parametrize("what", PLANTED)
def test_what_was_planted_is_not_believed(night: Path, what: str) -> None:
    PLANTED[what](night / LAST)
    assert not carried(night)
