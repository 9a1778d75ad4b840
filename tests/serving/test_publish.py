"""Publishing: copies that other processes read while the writer goes on, and nothing half-made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore

from ragguard.errors import LockedError, StoreError, UsageError
from ragguard.serving.publish import publish
from ragguard.store import copies, edge_shards, open_store, published
from ragguard.store.foreign import open_foreign
from ragguard.store.published import open_published
from tests.support.simulator import HONEST, Gate

REPOSITORY = Path(__file__).resolve().parents[2]
READER = """
import sys
from pathlib import Path
from ragguard.store.published import open_published

folder = Path(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    client = open_published(folder)
    found = client.scroll("corpus", limit=100)[0]
    vector = client.scroll("corpus", limit=1, with_vectors=True)[0][0].vector
    nearest = client.query_points("corpus", query=vector, limit=1).points
    documents = sorted({p.payload["ragguard"]["document"] for p in found})
    client.close()
    print(len(nearest), *documents, flush=True)
"""


@pytest.fixture
def served(gate: Gate) -> Gate:
    """A workspace with an index of six documents."""
    gate.publish(HONEST)
    return gate


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process; it reads the published folder anew for every line it is sent."""
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.communicate(timeout=30)
    assert process.returncode == 0


def ask(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def add(gate: Gate, name: str, text: str) -> None:
    path = gate.publisher.publish(
        {name: text}, mode="delta", paths=[gate.publisher.folder / name], now=gate.now
    )
    assert gate.ingest(path).counts["admitted"] == 1


class Once(Embeddings):
    """The workspace's own encoder, as LangChain wants it."""

    def __init__(self, gate: Gate) -> None:
        self.encoder = gate.workspace.encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [v.tolist() for v in self.encoder.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def test_another_process_reads_while_the_writer_has_the_index_open(
    served: Gate, tmp_path: Path, reader: subprocess.Popen[str]
) -> None:
    out = tmp_path / "out"
    first = publish(served.workspace, out)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    assert ask(reader) == " ".join(["1", *sorted(HONEST)])
    # The writer's own index is locked to it, and to a copy of it as well.
    with pytest.raises(LockedError):
        open_foreign(path=served.folder / "w/index", collection="corpus")
    add(served, "keys.md", "The porter keeps the spare keys of all rooms in the grey cabinet.")
    assert ask(reader) == " ".join(["1", *sorted(HONEST)])
    second = publish(served.workspace, out)
    assert (first.name, second.name) == ("corpus-g1-1", "corpus-g1-2")
    assert ask(reader) == " ".join(["1", *sorted([*HONEST, "keys.md"])])


def test_langchain_reads_what_is_published(served: Gate, tmp_path: Path) -> None:
    publish(served.workspace, tmp_path / "out")
    client = open_published(tmp_path / "out")
    store = QdrantVectorStore(client, "corpus", Once(served))
    found = store.similarity_search("how many days of leave do I have", k=1)
    client.close()
    assert found[0].metadata["source"] == "wiki/leave.md"


def test_readers_do_not_change_what_is_published_and_any_number_may_read(
    served: Gate, tmp_path: Path
) -> None:
    publish(served.workspace, tmp_path / "out")
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (tmp_path / "out").rglob("*.*")}
    one, two = open_published(tmp_path / "out"), open_published(tmp_path / "out")
    assert one.count("corpus").count == two.count("corpus").count > 0
    one.close()
    two.close()
    after = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (tmp_path / "out").rglob("*.*")}
    assert after == before


def test_the_same_state_is_published_once_and_old_ones_are_deleted(
    served: Gate, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert publish(served.workspace, out, keep=1).fresh
    again = publish(served.workspace, out, keep=1)
    assert (again.fresh, again.removed, again.name) == (False, (), "corpus-g1-1")
    add(served, "keys.md", "The porter keeps the spare keys of all rooms in the grey cabinet.")
    kept = publish(served.workspace, out, keep=2)
    assert kept.removed == ()
    assert sorted(p.name for p in out.iterdir()) == ["aliases.json", "corpus-g1-1", "corpus-g1-2"]
    last = publish(served.workspace, out, keep=1)
    assert last.removed == ("corpus-g1-1",)
    assert sorted(p.name for p in out.iterdir()) == ["aliases.json", "corpus-g1-2"]
    assert last.bytes < 30_000_000  # the engine's holes are not copied


def test_a_publish_that_fails_leaves_what_was_published(
    served: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    publish(served.workspace, out)
    add(served, "keys.md", "The porter keeps the spare keys of all rooms in the grey cabinet.")

    def full(*_: object, **__: object) -> None:
        (out / "corpus-g1-2/shard-1").mkdir(parents=True)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(copies, "copy_folder", full)
        with pytest.raises(OSError, match="No space"):
            publish(served.workspace, out)
    assert published.aliases(out) == {"corpus": "corpus-g1-1"}
    assert sorted(p.name for p in out.iterdir()) == ["aliases.json", "corpus-g1-1"]

    def killed(path: Path, value: object) -> None:
        if path.name == "aliases.json":
            raise KeyboardInterrupt
        edge_shards.Path(path).write_text(json.dumps(value))

    with monkeypatch.context() as patch:
        patch.setattr(edge_shards, "replace_json", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(served.workspace, out)
    assert published.aliases(out) == {"corpus": "corpus-g1-1"}
    done = publish(served.workspace, out)
    assert (done.fresh, done.name) == (False, "corpus-g1-2")
    assert published.aliases(out) == {"corpus": "corpus-g1-2"}


def test_a_reader_whose_state_is_deleted_meanwhile_takes_the_newer_one(
    served: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    publish(served.workspace, out)
    add(served, "keys.md", "The porter keeps the spare keys of all rooms in the grey cabinet.")
    copied: list[str] = []

    def slow(source: Path, target: Path) -> None:
        copied.append(source.parent.name)
        copies.copy_folder(source, target)
        if len(copied) == 1:
            publish(served.workspace, out, keep=1)

    monkeypatch.setattr(published, "copy_folder", slow)
    client = open_published(out)
    assert copied == ["corpus-g1-1", "corpus-g1-2"]
    assert {p.payload["ragguard"]["document"] for p in client.scroll("corpus", limit=99)[0]} == {
        *HONEST,
        "keys.md",
    }
    client.close()


def test_folders_in_which_something_else_lives_are_refused(
    served: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("keep me")
    with pytest.raises(UsageError, match="not empty"):
        publish(served.workspace, other)
    with pytest.raises(UsageError, match="no folder"):
        publish(served.workspace, other / "letter.txt")
    with pytest.raises(UsageError, match="index itself"):
        publish(served.workspace, served.folder / "w/index")
    publish(served.workspace, tmp_path / "out")
    monkeypatch.setattr(served.workspace, "origin", "ragguard.local/another")
    with pytest.raises(UsageError, match="another workspace"):
        publish(served.workspace, tmp_path / "out")
    assert [p.name for p in other.iterdir()] == ["letter.txt"]


def test_there_is_nothing_to_publish_before_the_first_ingest(gate: Gate, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no manifest was ingested") as error:
        publish(gate.workspace, tmp_path / "out")
    assert error.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_an_alias_that_leaves_the_folder_is_not_followed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UsageError, match="nothing is published"):
        open_published(out)
    (out / "aliases.json").write_text('{"corpus": "../elsewhere"}')
    with pytest.raises(StoreError, match="its own folder"):
        open_published(out)


def test_a_published_folder_is_an_index_like_any_other(served: Gate, tmp_path: Path) -> None:
    publish(served.workspace, tmp_path / "out")
    store = open_store(tmp_path / "out")
    assert store.aliases() == {"corpus": "corpus-g1-1"}
    assert store.count("corpus") == len(served.points())
    store.close()
