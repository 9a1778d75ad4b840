"""An honest index gives no finding; what was done to collections, alias and ledger is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa
from qdrant_client import QdrantClient, models

from ragguard.audit.findings import FEW
from ragguard.audit.index.integrity import ZONES, Reconciler, check_collections
from ragguard.audit.index.seal_table import SealTable, text_id
from ragguard.errors import StoreError
from ragguard.ledger import commits, versions
from tests.support.audit.tamper import Raw, noise, nudged
from tests.support.audit.whole_index import check_index
from tests.support.audit.world import METADATA, Q, S, World, rules
from tests.support.servers.qdrant_shim import Shim
from tests.support.simulator import HONEST, Gate

# --- honest ---------------------------------------------------------------------------------------


def test_an_honest_index_gives_no_finding(world: World) -> None:
    assert world.audit() == []


def test_every_point_of_both_collections_is_looked_at(world: World) -> None:
    workspace = world.gate.workspace
    generation = workspace.generation()
    assert generation is not None
    look = Reconciler(workspace, generation)
    for zone in ZONES:
        name = getattr(generation, zone)
        for block in workspace.open_store(repair=False).scan(name, vectors=True, batch=2):
            look.see(zone, block)
    assert look.looked_at == sum(map(len, world.points.values())) > 6
    assert look.finish() == []


# --- what a finding says --------------------------------------------------------------------------


def test_a_changed_payload_is_shown_before_and_after(world: World) -> None:
    point = world.one("laptops.md")
    with world.index.open(S) as raw:
        raw.change(point, lambda p: p["metadata"].update(department="Public"))
    (found,) = world.audit()
    assert (found.document, found.point, found.collection) == ("wiki/laptops.md", point, S)
    assert found.facts == {"changes": {"metadata.department": ["Legal", "Public"]}}
    assert "metadata.department was 'Legal', is 'Public'" in found.detail


def test_a_moved_vector_says_how_far(world: World) -> None:
    point = world.one("laptops.md")
    vector, payload = world.points[S][point]
    with world.index.open(S) as raw:
        raw.put(point, -vector, payload)
    (found,) = world.audit()
    assert found.facts["moved_by"] == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize(("spread", "similarity"), [(1.0, 0.0), (0.02, 1.0)])
def test_a_flood_is_one_event_that_says_how_alike_its_points_are(
    world: World, spread: float, similarity: float
) -> None:
    with world.index.open(S) as raw:
        raw.put_many(noise(300, 384, 2, spread))
    (found,) = world.audit()
    assert (found.rule, found.count, len(found.facts["points"])) == ("noise-flood", 300, 20)
    assert found.facts["mean_similarity"] == pytest.approx(similarity, abs=0.01)
    assert (found.facts["distinct_texts"], found.facts["without_text"]) == (1, 0)
    assert found.facts["lengths"] == pytest.approx([1.0, 1.0], abs=1e-5)
    assert "300 points of another hand" in found.detail


def test_few_points_of_another_hand_are_told_one_by_one(world: World) -> None:
    with world.index.open(S) as raw:
        raw.put_many(noise(FEW, 384, 3))
    found = world.audit()
    assert (rules(found), len(found)) == ({"foreign-point"}, FEW)
    assert len({f.identity for f in found}) == FEW


def test_an_emptied_collection_is_missed_point_by_point(world: World) -> None:
    with world.index.open(S) as raw:
        raw.delete(*world.points[S])
    found = world.audit()
    assert rules(found) == {"missing-point"}
    assert {f.point for f in found} == set(world.points[S])


# --- collections and alias ------------------------------------------------------------------------


def test_a_moved_alias_is_seen_before_it_is_set_back(world: World) -> None:
    world.index.point_alias("corpus", Q)
    (found,) = world.audit()
    assert (found.rule, found.facts["target"]) == ("alias-moved", Q)
    assert rules(world.audit()) == {"alias-moved"}, "the audit changes nothing"
    world.gate.workspace.open_store()
    world.gate.close()
    assert world.audit() == []


def test_an_alias_that_is_gone_is_named(world: World) -> None:
    world.index.point_alias("corpus", None)
    (found,) = world.audit()
    assert (found.rule, "is gone" in found.detail) == ("alias-moved", True)
    world.gate.workspace.open_store()


@pytest.mark.parametrize(
    ("size", "distance", "says_so"), [(384, "Dot", "Dot"), (200, "Cosine", "200 dimensions")]
)
def test_another_distance_or_dimension_is_named(
    world: World, size: int, distance: str, says_so: str
) -> None:
    shard, kept = world.index.shard(S), world.index.folder / "kept"
    shard.rename(kept)
    world.index.rebuild(shard, size, distance, world.points[S])
    try:
        found = world.audit()
    finally:
        shutil.rmtree(shard)
        kept.rename(shard)
    changed = next(f for f in found if f.rule == "collection-changed")
    assert says_so in changed.detail
    assert changed.collection == S
    odd = {"collection-changed"} | ({"vector-invalid"} if size != 384 else set())
    assert rules(found) == odd


def test_a_collection_that_is_gone_is_one_finding(world: World) -> None:
    aside = world.index.folder.parent / "aside"
    (world.index.folder / Q).rename(aside)
    try:
        (found,) = world.audit()
    finally:
        aside.rename(world.index.folder / Q)
    assert (found.rule, found.collection) == ("collection-changed", Q)


def test_an_index_that_cannot_be_opened_is_no_finding_but_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = world.gate.workspace
    generation = workspace.generation()
    assert generation is not None
    store = workspace.open_store(repair=False)

    def unreachable(collection: str) -> bool:
        raise StoreError(f"store: unreachable, asked for {collection!r}")

    monkeypatch.setattr(store, "exists", unreachable)
    with pytest.raises(StoreError):
        check_collections(workspace, generation)


# --- the ledger written to as well ----------------------------------------------------------------


def enter_in_both(w: World, raw: Raw, conn: sa.Connection) -> None:
    point = str(uuid4())
    payload = {"page_content": "poison", "ragguard": {"seal": "cd" * 32}}
    raw.put(point, w.vector("laptops.md"), payload)
    versions.set_seals(conn, S, {point: "cd" * 32})


def take_out_of_both(w: World, raw: Raw, conn: sa.Connection) -> None:
    raw.delete(w.one("laptops.md"))
    versions.drop_seals(conn, S, [w.one("laptops.md")])


LEDGER: dict[str, Callable[[World, Raw, sa.Connection], None]] = {
    "a seal changed": lambda w, _, conn: versions.set_seals(
        conn, S, {w.one("laptops.md"): "ab" * 32}
    ),
    "a point entered into ledger and index": enter_in_both,
    "a point taken out of ledger and index": take_out_of_both,
    "ids that are none": lambda _w, _, conn: versions.set_seals(conn, S, {"no id": "no seal"}),
}


@pytest.mark.parametrize("act", LEDGER.values(), ids=LEDGER.keys())
def test_who_writes_to_the_ledger_too_is_found(
    world: World, act: Callable[[World, Raw, sa.Connection], None]
) -> None:
    with world.index.open(S) as raw, world.gate.workspace.ledger.writing() as conn:
        act(world, raw, conn)
    assert rules(world.audit()) == {"ledger-inconsistent"}


# --- unfinished commits ---------------------------------------------------------------------------


def test_points_of_a_commit_that_was_killed_are_no_finding(
    new_gate: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = new_gate()
    gate.publish({"leave.md": HONEST["leave.md"], "laptops.md": HONEST["laptops.md"]})
    changed = {"leave.md": HONEST["leave.md"].replace("27", "28"), "contracts.md": "Sign here."}
    committer = gate.workspace.committer
    object.__setattr__(committer, "sign_note", lambda text: (_ for _ in ()).throw(StoreError("x")))
    assert gate.publish(changed).exit_code == 5
    gate.close()
    workspace = gate.workspace
    with workspace.ledger.reading() as conn:
        assert len(commits.pending(conn)) == 1
    assert check_index(workspace) == []


# --- the table of seals ---------------------------------------------------------------------------


def test_the_table_finds_what_a_dictionary_finds(world: World) -> None:
    rng = np.random.default_rng(5)
    ids = [text_id(rng.bytes(15) + bytes([n % 2])) for n in range(500)]
    wanted = {i: rng.bytes(32).hex() for i in ids[:300]}
    with world.gate.workspace.ledger.writing() as conn:
        versions.set_seals(conn, "elsewhere", wanted)
        table = SealTable(conn, "elsewhere")
    rows = table.rows([*ids, "5", "", str(uuid4())])
    assert [bool(r >= 0) for r in rows] == [i in wanted for i in ids] + [False] * 3
    for i, row in zip(ids, rows.tolist(), strict=False):
        if row >= 0:
            assert (text_id(bytes(table.ids[row])), table.seals[row].tobytes().hex()) == (
                i,
                wanted[i],
            )
    table.marked[rows[rows >= 0]] = True
    assert list(table.unmarked()) == []
    assert table.ids.nbytes + table.seals.nbytes + table.marked.nbytes == 49 * 300


# --- a server -------------------------------------------------------------------------------------


def test_what_a_client_of_the_server_does_is_found_likewise(
    tmp_path: Path, new_gate: Callable[..., Gate]
) -> None:
    """Over REST, with qdrant-client's own methods; the server is a stand-in."""
    shim = Shim(tmp_path / "server")
    gate = new_gate(store={"url": shim.url})
    texts = {n: HONEST[n] for n in ("leave.md", "laptops.md", "releases.md", "contracts.md")}
    gate.publish(texts, metadata={name: dict(METADATA) for name in texts})
    ids = {p["ragguard"]["document"]: i for i, p in gate.points().items()}
    gate.close()
    workspace = gate.workspace
    assert check_index(workspace) == []
    gate.close()
    client = QdrantClient(url=shim.url, check_compatibility=False)
    (record,) = client.retrieve("corpus", [ids["leave.md"]], with_vectors=True)
    vector = np.asarray(record.vector, dtype=np.float32)
    (other,) = client.retrieve("corpus", [ids["laptops.md"]], with_vectors=True)
    public = {**other.payload, "metadata": {**other.payload["metadata"], "department": "Public"}}
    client.delete("corpus", models.PointIdsList(points=[ids["releases.md"]]))
    moved = [
        models.PointStruct(id=other.id, vector=other.vector, payload=public),
        models.PointStruct(id=record.id, vector=nudged(vector).tolist(), payload=record.payload),
        models.PointStruct(id=str(uuid4()), vector=vector.tolist(), payload={"page_content": "x"}),
        models.PointStruct(id=str(uuid4()), vector=vector.tolist(), payload=record.payload),
    ]
    client.upsert("corpus", moved)
    gone = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name="corpus"))
    client.update_collection_aliases(change_aliases_operations=[gone])
    client.close()
    workspace = gate.workspace
    found = {f.rule: f.document for f in check_index(workspace)}
    gate.close()
    shim.close()
    assert found == {
        "payload-changed": "wiki/laptops.md",
        "missing-point": "wiki/releases.md",
        "vector-changed": "wiki/leave.md",
        "foreign-point": "",
        "point-copied": "",
        "alias-moved": "",
    }
