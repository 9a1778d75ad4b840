"""Readers in the same process while an index is rebuilt: each answer is one whole generation's."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragguard.config import Settings
from ragguard.errors import RagguardError
from ragguard.rebuild.reindex import reindex
from ragguard.store import Point, open_store
from tests.support.alias_reader import Reader, all_of
from tests.support.simulator import Gate
from tests.support.workspaces.rebuilding import QUESTIONS, serve_denied


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns far more often, so that they meet in every gap."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def points(count: int, seal: str) -> list[Point]:
    rows = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [
        Point(str(uuid.UUID(int=n + 1)), row, {"ragguard": {"seal": seal}})
        for n, row in enumerate(rows)
    ]


@pytest.mark.usefixtures("hasty")
def test_a_reader_gets_no_wrong_answer_while_aliases_move_and_collections_go(
    tmp_path: Path,
) -> None:
    """The old collection is dropped in the moment after the switch, again and again."""
    store = open_store(tmp_path / "index")
    vectors = np.stack([p.vector for p in points(20, "")])
    names = [f"g{n}" for n in range(5)]
    whole = {}
    client = store.client
    reader = Reader(client, "corpus", vectors, k=5)
    for number, name in enumerate(names):
        store.create(name, 8)
        store.upsert(name, points(50, name))
        whole[name] = all_of(client, name, vectors, k=5)
        store.set_alias("corpus", name)
        if number:
            store.drop(names[number - 1])
        else:
            reader.__enter__()
    reader.__exit__()
    store.close()
    told = reader.told(whole)
    assert (told.failed, told.by["nobody"], told.returned) == ([], 0, 0)
    assert len(told.by) > 2
    assert told.by.total() == reader.asked > 100


@pytest.mark.usefixtures("hasty")
def test_threads_that_come_first_at_once_open_a_collection_once(tmp_path: Path) -> None:
    store = open_store(tmp_path / "index")
    store.create("c", 8)
    store.upsert("c", points(10, "c"))
    store.close()
    wrong: list[str] = []
    for _ in range(5):
        store = open_store(tmp_path / "index")
        together = threading.Barrier(3)

        def first(store=store, together=together) -> None:
            together.wait()
            try:
                if store.count("c") != 10:
                    wrong.append("count")
            except RagguardError as error:
                wrong.append(error.message)

        threads = [threading.Thread(target=first) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.close()
    assert wrong == []


def test_a_search_graph_built_while_somebody_reads_is_the_one_in_use(tmp_path: Path) -> None:
    """The reader opens the old shard again meanwhile; what is written later must not go there."""
    store = open_store(tmp_path / "index")
    store.create("c", 8)
    store.upsert("c", points(2000, "c"))
    store.set_alias("corpus", "c")
    vectors = np.stack([p.vector for p in points(5, "")])
    client = store.client
    whole = {"c": all_of(client, "c", vectors)}
    with Reader(client, "corpus", vectors) as reader:
        assert store.maintain("c", 1000)
    told = reader.told(whole)
    assert (told.failed, told.by["nobody"]) == ([], 0)
    assert reader.asked > 10
    store.upsert("c", points(2010, "c")[2000:])
    store.close()
    store = open_store(tmp_path / "index")
    assert store.count("c") == 2010
    store.close()


def test_every_answer_while_an_index_is_rebuilt_is_of_one_whole_generation(gate: Gate) -> None:
    gate.settings = Settings.model_validate({"reindex": {"keep": 1}})
    serve_denied(gate)
    client = gate.workspace.open_store().client
    vectors = gate.workspace.encoder.encode(QUESTIONS)
    whole = {"corpus-g1": all_of(client, "corpus", vectors)}
    with Reader(client, "corpus", vectors) as reader:
        while reader.asked < 50:
            pass
        done = reindex(gate.workspace)
        during = reader.asked
        while reader.asked < during + 50:
            pass
    assert [one.label for one in done.left] == ["wiki/safe.md"]
    whole["corpus-g2"] = all_of(client, "corpus", vectors)
    assert whole["corpus-g1"][1] != whole["corpus-g2"][1]
    told = reader.told(whole)
    assert (told.failed, told.by["nobody"], told.returned) == ([], 0, 0)
    assert told.by["corpus-g1"] >= 50
    assert told.by["corpus-g2"] >= 50
