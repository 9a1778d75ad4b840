"""A disk that is nearly full: the embedded index says so, and the process lives."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from qdrant_client import models

from ragguard.errors import IncompleteError
from ragguard.store import room
from ragguard.store.edge import open_edge
from ragguard.store.qdrant import QdrantStore
from tests.store.conftest import D, make_points, unit

MIB = 1 << 20
USE = """
import sys
from pathlib import Path
from ragguard.errors import RagguardError
from ragguard.store.edge import open_edge
from ragguard.store.qdrant import QdrantStore
from tests.store.conftest import make_points
try:
    store = QdrantStore(open_edge(Path(sys.argv[1]), writable=True))
    points = make_points(40)
    store.search("c", points[0].vector[None], 5)
    store.upsert("c", points)
    store.flush("c")
    store.client.close()
except RagguardError as error:
    print(error.message)
    sys.exit(error.exit_code)
"""


def filled(path: Path) -> Path:
    store = QdrantStore(open_edge(path, writable=True))
    store.create("c", D)
    store.upsert("c", make_points(20))
    store.client.close()
    return path


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    usage: Any = shutil.disk_usage("/")._replace(free=size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def test_holes_are_what_a_file_has_not_taken_yet(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.write(b"x" * MIB)
        file.truncate(10 * MIB)
    assert 8 * MIB <= room.holes(tmp_path) <= 9 * MIB
    assert room.holes(filled(tmp_path / "i")) > 16 * MIB


def test_nothing_is_written_where_there_is_not_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_edge(filled(tmp_path / "i"), writable=True)
    assert client.count("c").count == 20
    free(monkeypatch, 12 * MIB)
    with pytest.raises(IncompleteError, match="12 MiB free") as caught:
        client.delete("c", points_selector=[make_points(1)[0].id])
    assert caught.value.exit_code == 5
    free(monkeypatch, 20 * MIB)
    with pytest.raises(IncompleteError, match="20 MiB free"):
        client.create_collection(
            "d", vectors_config=models.VectorParams(size=D, distance=models.Distance.COSINE)
        )
    assert not client.collection_exists("d")
    long = models.PointStruct(
        id=str(UUID(int=7)), vector=unit(np.eye(D)[:1])[0].tolist(), payload={"text": "x" * 3 * MIB}
    )
    with pytest.raises(IncompleteError, match=r"20 MiB free .* 28 MiB needed"):
        client.upsert("c", points=[long])
    free(monkeypatch, room.PLENTY)
    assert client.count("c").count == 20
    client.delete("c", points_selector=[make_points(1)[0].id])
    assert client.count("c").count == 19
    client.close()


def test_with_little_room_an_index_is_opened_in_a_child_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled(tmp_path / "i")
    free(monkeypatch, MIB)
    client = open_edge(path)
    assert client.count("c").count == 20  # the child came back
    client.close()
    monkeypatch.setattr(room, "opened_by_child", lambda _: -signal.SIGBUS)
    with pytest.raises(IncompleteError, match="1 MiB free"):
        open_edge(path).count("c")


def test_a_child_that_dies_is_told_by_its_signal(tmp_path: Path) -> None:
    assert room.opened_by_child(tmp_path / "absent") > 0
    (shard,) = filled(tmp_path / "i").glob("c/shard-*")
    assert room.opened_by_child(shard) == 0


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)]
    if os.name != "posix" or mount is None or subprocess.run(command, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run([str(shutil.which("umount")), str(folder)], check=True)


@pytest.mark.parametrize("left", [0, 1, 16, 64])
def test_a_disk_that_is_full_ends_nobody(small: Path, left: int) -> None:
    path = filled(small / "i")
    room_left = shutil.disk_usage(small).free - left * MIB
    with open(small / "fill", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, room_left)
    command = [sys.executable, "-c", USE, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 5, (ended.returncode, ended.stdout, ended.stderr[-500:])
    assert "MiB free on the disk" in ended.stdout
    (small / "fill").unlink()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    client = open_edge(path)
    assert client.count("c").count == 40
    client.close()
