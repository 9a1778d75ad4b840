"""Readers without a workspace and without a secret: what was published, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import models

from ragguard.embed.encoder import Encoder
from ragguard.embed.remote import Endpoint
from ragguard.errors import (
    EquivocationError,
    ExpiredError,
    ModelDigestError,
    NotYetValidError,
    RollbackError,
    SignatureError,
    UsageError,
)
from ragguard.serving import snapshot
from ragguard.serving.publish import publish
from ragguard.serving.reader import open_reader
from ragguard.serving.retriever import Retriever, open_retriever
from ragguard.store import open_store
from ragguard.trust import dsse, keys, merkle, signed_note
from ragguard.trust.signed_note import Checkpoint, checkpoint_text
from tests.serving.test_retriever import LEAVE, QUESTION, revoked
from tests.support.servers.embedding import serving
from tests.support.servers.qdrant_shim import Shim
from tests.support.simulator import HONEST, NOW, Gate

STRANGER = "00000000-0000-4000-8000-000000000001"
SOON = timedelta(hours=1)


@dataclass
class Site:
    """A workspace whose corpus was published, and what a reader is given."""

    gate: Gate
    out: Path
    url: str = ""
    now: datetime = NOW

    def publish(self) -> None:
        publish(self.gate.workspace, self.out)

    def read(self, **options: Any) -> Retriever:
        rest: dict[str, Any] = {"url": self.url, "max_age": timedelta(hours=24), **options}
        return open_reader(
            self.out,
            self.gate.workspace.log_key,
            encoder=self.gate.workspace.encoder,
            clock=lambda: self.now,
            **rest,
        )

    @property
    def snapshot(self) -> Path:
        return max(self.out.glob("*/points.snapshot"), key=lambda p: p.stat().st_mtime_ns)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Published by a workspace whose index is embedded; shared, so let it be."""
    gate = Gate(tmp_path_factory.mktemp("gate"))
    gate.publish(HONEST, metadata={n: {"department": n[:2]} for n in HONEST})
    site = Site(gate, tmp_path_factory.mktemp("out"))
    site.publish()
    yield site
    gate.close()


@pytest.fixture
def online(tmp_path: Path) -> Iterator[Site]:
    """Published by a workspace whose index is on a server."""
    shim = Shim(tmp_path / "server")
    gate = Gate(tmp_path / "gate", store={"url": shim.url})
    gate.publish(HONEST)
    site = Site(gate, tmp_path / "out", shim.url)
    site.publish()
    yield site
    gate.close()
    shim.close()


def same(reader: Retriever, retriever: Retriever) -> None:
    mine, theirs = (r.retrieve(QUESTION, 4) for r in (reader, retriever))
    assert [(h.document, h.text, h.metadata, h.proof) for h in mine.hits] == [
        (h.document, h.text, h.metadata, h.proof) for h in theirs.hits
    ]
    assert not mine.refused


def forge(client: Any, collection: str, document: str, **changes: Any) -> str:
    """Change a point of a document past the gate; returns its id."""
    records, _ = client.scroll(collection, limit=100, with_payload=True, with_vectors=True)
    for record in records:
        if record.payload["ragguard"]["document"] == document:
            own = {**record.payload["ragguard"], **changes.pop("own", {})}
            vector = changes.pop("vector", record.vector)
            payload = {**record.payload, "ragguard": own, **changes}
            struct = models.PointStruct(id=record.id, vector=vector, payload=payload)
            client.upsert(collection, points=[struct])
            return str(record.id)
    raise AssertionError(document)


# --- the ordinary case ----------------------------------------------------------------------------


def test_a_reader_of_a_published_copy_proves_what_the_workspace_proves(embedded: Site) -> None:
    with embedded.read() as reader:
        same(reader, open_retriever(embedded.gate.workspace))


def test_a_reader_of_a_server_proves_what_the_workspace_proves(online: Site) -> None:
    with online.read() as reader:
        same(reader, open_retriever(online.gate.workspace))
    names = {p.name for p in online.out.rglob("*") if p.is_file()}
    assert names == {"aliases.json", "points.snapshot", "server.json"}


def test_what_is_given_to_a_reader_holds_no_secret(embedded: Site) -> None:
    w = embedded.gate.workspace
    secrets = {w.seal_key, w.seal_key.hex().encode(), bytes(w.checkpoint_key.signing_key)}
    data = b"".join(p.read_bytes() for p in embedded.out.rglob("*") if p.is_file())
    assert not [s for s in secrets if s in data]


def test_publishing_again_signs_the_same_state_anew_without_reading_it(
    embedded: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = replace(embedded, out=tmp_path / "out")
    embedded.publish()
    before = snapshot.load(embedded.snapshot.read_bytes(), embedded.gate.workspace.log_key)
    monkeypatch.setattr(embedded.gate.workspace, "now", NOW + SOON)
    monkeypatch.setattr(type(embedded.gate.workspace.open_store()), "scan", None)
    embedded.publish()
    after = snapshot.load(embedded.snapshot.read_bytes(), embedded.gate.workspace.log_key)
    assert after.head.at == before.head.at + SOON
    assert after.table == before.table


# --- the index is changed behind our back ---------------------------------------------------------

FORGED: dict[str, dict[str, Any]] = {
    "text": {"page_content": "99 days of vacation"},
    "metadata": {"metadata": {"department": "x"}},
    "own fields": {"own": {"document": "other.md"}},
    "another field": {"extra": 1},
}


def test_what_the_snapshot_does_not_prove_is_an_alarm_and_no_hit(online: Site) -> None:
    store = online.gate.workspace.open_store()
    client = store.client  # type: ignore[attr-defined]
    before = [p for block in store.scan("corpus-g1", vectors=True) for p in block]
    vector = online.gate.workspace.encoder.encode([QUESTION])[0].tolist()
    stranger = models.PointStruct(id=STRANGER, vector=vector, payload={"page_content": "99 days"})
    with online.read() as reader:
        for name in (*FORGED, "vector", "stranger"):
            if name == "stranger":
                point = STRANGER
                client.upsert("corpus-g1", points=[stranger])
            elif name == "vector":
                point = forge(client, "corpus-g1", "visitors.md", vector=vector)
            else:
                point = forge(client, "corpus-g1", "leave.md", **FORGED[name])
            answer = reader.retrieve(QUESTION, 3)
            kind = "unknown" if name == "stranger" else "digest"
            assert [(r.point, r.kind, r.alarm) for r in answer.refused] == [(point, kind, True)]
            assert len(answer.hits) == 3
            assert point not in {h.proof.point for h in answer.hits}
            store.delete("corpus-g1", [STRANGER])
            store.upsert("corpus-g1", before)


def test_a_forged_copy_is_an_alarm_too(embedded: Site, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(embedded.out, out)
    name = next(p.parent.name for p in out.glob("*/collection.json"))
    store = open_store(out)
    client = store.client  # type: ignore[attr-defined]
    point = forge(client, name, "leave.md", page_content="99 days of vacation")
    store.close()
    with replace(embedded, out=out).read() as reader:
        answer = reader.retrieve(QUESTION, 2)
    assert [(r.point, r.kind) for r in answer.refused] == [(point, "digest")]


# --- time -----------------------------------------------------------------------------------------


def test_what_came_since_is_not_served_until_it_is_published(online: Site) -> None:
    with online.read() as reader:
        reader.retrieve(QUESTION, 1)
        online.gate.publish({"holidays.md": "# Holidays\n\nVacation on public holidays is extra."})
        before = reader.retrieve(QUESTION, 7)
        assert [(r.document, r.kind, r.alarm) for r in before.refused] == [
            ("wiki/holidays.md", "newer", False)
        ]
        name = online.snapshot
        online.publish()
        assert online.snapshot != name  # a state of its own: open it again
    with online.read() as reader:
        after = reader.retrieve(QUESTION, 7)
    assert "wiki/holidays.md" in {h.document for h in after.hits}
    assert not after.refused


def test_what_is_revoked_is_served_no_more_once_the_snapshot_is_signed_again(online: Site) -> None:
    with online.read() as reader:
        assert reader.retrieve(QUESTION, 3).hits
        online.gate.change_root(lambda root: revoked(root, online.gate))
        assert reader.retrieve(QUESTION, 3).hits  # nobody told it
        online.publish()
        answer = reader.retrieve(QUESTION, 3)  # it is not opened again
    assert not answer.hits
    assert {r.kind for r in answer.refused} == {"unknown"}


def test_a_snapshot_that_is_too_old_is_said_and_refused(embedded: Site) -> None:
    site = replace(embedded)
    with site.read() as reader:
        site.now = NOW + timedelta(hours=24)
        assert reader.retrieve(QUESTION, 1).hits
        site.now = NOW + timedelta(hours=25)
        with pytest.raises(ExpiredError, match=r"1 day, 1:00:00 ago; at most 1 day") as error:
            reader.retrieve(QUESTION, 1)
    assert "publish" in error.value.hint
    with pytest.raises(ExpiredError):
        site.read()
    with site.read(max_age=timedelta(days=3)) as reader:
        assert reader.retrieve(QUESTION, 1).hits


def test_a_snapshot_of_the_future_is_refused(embedded: Site) -> None:
    with pytest.raises(NotYetValidError):
        replace(embedded, now=NOW - timedelta(days=1)).read()


def test_an_older_snapshot_that_is_put_back_is_refused(online: Site) -> None:
    with online.read() as reader:
        old = online.snapshot.read_bytes()
        online.gate.change_root(lambda root: revoked(root, online.gate))
        online.publish()
        assert not reader.retrieve(QUESTION, 1).hits
        online.snapshot.write_bytes(old)
        with pytest.raises(RollbackError, match="older log"):
            reader.retrieve(QUESTION, 1)


def test_a_snapshot_of_another_history_of_the_same_log_is_refused(online: Site) -> None:
    w = online.gate.workspace
    with online.read() as reader:
        mine = snapshot.load(online.snapshot.read_bytes(), w.log_key)
        text = checkpoint_text(
            Checkpoint(w.origin, mine.tree.size, merkle.root([b"0" * 32] * mine.tree.size))
        )
        note = dsse.sign_note(text, w.origin, w.checkpoint_key.signing_key)
        head = replace(mine.head, checkpoint=note)
        online.snapshot.write_bytes(snapshot.dump(head, mine.table, w.checkpoint_key))
        with pytest.raises(EquivocationError, match="different logs"):
            reader.retrieve(QUESTION, 1)


# --- what a reader is given may be wrong ----------------------------------------------------------


def test_the_key_of_another_log_opens_nothing(embedded: Site) -> None:
    other = signed_note.verifier_key("other", keys.generate("log").public.public)
    with pytest.raises(SignatureError):
        open_reader(embedded.out, other, encoder=embedded.gate.workspace.encoder)


def test_where_nothing_or_only_a_snapshot_is_published_it_says_what_to_do(
    online: Site, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="nothing is published"):
        replace(online, out=tmp_path / "empty").read()
    with pytest.raises(UsageError, match="on a server") as error:
        online.read(url="")
    assert "--url" in error.value.hint
    online.snapshot.unlink()
    with pytest.raises(UsageError, match=r"points\.snapshot"):
        online.read()


def test_a_model_that_is_not_the_index_s_is_refused(embedded: Site) -> None:
    class Other:
        recipe = replace(embedded.gate.workspace.encoder.recipe, model_digest="0" * 64)

    other: Encoder = Other()  # type: ignore[assignment]
    with pytest.raises(ModelDigestError):
        open_reader(
            embedded.out,
            embedded.gate.workspace.log_key,
            encoder=other,
            max_age=timedelta(days=2),
            clock=lambda: NOW,
        )


def test_a_reader_asks_the_endpoint_that_embeds_and_goes_by_the_pins_that_were_published(
    tmp_path: Path,
) -> None:
    with serving() as server:
        gate = Gate(tmp_path / "gate", model={"url": server.url, "name": "m"})
        gate.publish({"leave.md": HONEST["leave.md"]})
        out, key = tmp_path / "out", gate.workspace.log_key
        publish(gate.workspace, out)
        gate.close()
        options: dict[str, Any] = {"max_age": timedelta(days=2), "clock": lambda: NOW}
        with pytest.raises(UsageError, match="through an endpoint"):
            open_reader(out, key, **options)
        options["endpoint"] = Endpoint(server.url)
        with open_reader(out, key, **options) as reader:
            assert reader.retrieve(QUESTION, 1).hits[0].document == LEAVE
        server.change = lambda vectors: vectors[:, ::-1].tolist()  # another model under its name
        options["endpoint"] = Endpoint(server.url, timeout_s=59)  # encoders are shared by the suite
        with open_reader(out, key, **options) as reader, pytest.raises(ModelDigestError):
            reader.retrieve(QUESTION, 1)
        (pins,) = out.glob("*/model.pins")
        pins.write_bytes(pins.read_bytes() + b" ")
        with pytest.raises(ModelDigestError, match="pinned by"):
            open_reader(out, key, **options)


def test_points_that_cannot_be_proved_are_left_out_of_the_snapshot(online: Site) -> None:
    store = online.gate.workspace.open_store()
    forge(store.client, "corpus-g1", "leave.md", page_content="99 days")  # type: ignore[attr-defined]
    shutil.rmtree(online.out)
    done = publish(online.gate.workspace, online.out)
    assert (done.points, done.proved, done.refused) == (6, 5, 1)
    with online.read() as reader:
        assert LEAVE not in {h.document for h in reader.retrieve(QUESTION, 6).hits}


def test_a_point_in_the_wrong_form_is_refused(online: Site) -> None:
    client = online.gate.workspace.open_store().client  # type: ignore[attr-defined]
    payload = {"ragguard": "none", "page_content": 5}
    vector = online.gate.workspace.encoder.encode([QUESTION])[0].tolist()
    point = forge(client, "corpus-g1", "leave.md")
    client.upsert(
        "corpus-g1", points=[models.PointStruct(id=point, vector=vector, payload=payload)]
    )
    with online.read() as reader:
        assert [r.kind for r in reader.retrieve(QUESTION, 1).refused] == ["digest"]
