"""Every kind of tampering with the index is found and named; an honest index gives no finding."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from ragguard.audit.findings import FEW, AuditFinding
from ragguard.audit.index.integrity import Reconciler, Zone, check_collections
from ragguard.audit.index.seal_table import SealTable, raw_id, text_id
from ragguard.errors import StoreError
from ragguard.ledger import commits, versions
from ragguard.ledger.tables import seals as seal_rows
from ragguard.quarantine.review import decide
from ragguard.store import Point
from tests.support.audit.tamper import Index, Raw, Stored, noise, nudged
from tests.support.audit.whole_index import check_index
from tests.support.qdrant_shim import Shim
from tests.support.simulator import HONEST, SUSPECT, Gate

S, Q = "corpus-g1", "corpus-g1-quarantine"
METADATA: dict[str, Any] = {
    "department": "Legal",
    "permitted_roles": ["counsel"],
    "pages": 3,
    "weight": 0.5,
    "public": False,
}


class World:
    """A workspace that has seen everything that may honestly happen, and copies of its points.

    Attributes:
        before: The serving collection before the last update and removal.
        waiting_before: The quarantine before the first decision.
        points: What each collection holds, to be put back after a test.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.index = Index(gate.folder / "w" / "index")
        self._live()
        self.points = {name: self.read(name) for name in (S, Q)}

    def _live(self) -> None:
        """Ingest, release, reject, update, change of metadata, removal."""
        gate = self.gate
        metadata = {name: dict(METADATA) for name in HONEST}
        gate.publish(HONEST, metadata=metadata)
        texts = {"safe.md": SUSPECT, "door.md": SUSPECT.replace("safe", "door")}
        gate.publish({**texts, "gate.md": SUSPECT.replace("safe", "gate")}, metadata=metadata)
        cases = {c.document: c for c in gate.cases()}
        gate.close()
        self.waiting_before = self.read(Q)
        decide(gate.workspace, cases["safe.md"], "release", gate.bob, "a drill")
        decide(gate.workspace, cases["door.md"], "reject", gate.bob, "poison")
        gate.close()
        self.before = self.read(S)
        for name in ("visitors.md", "door.md"):
            (gate.publisher.folder / name).unlink()
        del metadata["visitors.md"]
        metadata["invoices.md"]["department"] = "Finance"
        gate.publish({"leave.md": HONEST["leave.md"].replace("27", "28")}, metadata=metadata)
        assert gate.documents() == {*HONEST, "safe.md"} - {"visitors.md"}
        assert gate.documents("quarantine") == {"gate.md"}
        gate.close()

    def read(self, collection: str) -> Stored:
        with self.index.open(collection) as raw:
            return raw.points()

    def one(self, document: str, points: Stored | None = None) -> str:
        """The first point of a document."""
        every = points if points is not None else {**self.points[Q], **self.points[S]}
        return next(i for i, (_, p) in every.items() if p["ragguard"]["document"] == document)

    def audit(self) -> list[AuditFinding]:
        workspace = self.gate.workspace
        generation = workspace.generation()
        assert generation is not None
        try:
            return check_index(workspace, generation)
        finally:
            self.gate.close()

    def restore(self) -> None:
        self.gate.close()
        for name, points in self.points.items():
            self.index.restore(name, points)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    gate = Gate(tmp_path_factory.mktemp("integrity"))
    yield World(gate)
    gate.close()


@pytest.fixture
def world(made: World) -> Iterator[World]:
    yield made
    made.restore()


def rules(found: list[AuditFinding]) -> set[str]:
    return {f.rule for f in found}


def says(found: list[AuditFinding]) -> str:
    return "\n".join(f.detail for f in found)


# --- honest ---------------------------------------------------------------------------------------


def test_an_honest_index_gives_no_finding(world: World) -> None:
    assert world.audit() == []


def test_every_point_of_both_collections_is_looked_at(world: World) -> None:
    workspace = world.gate.workspace
    generation = workspace.generation()
    assert generation is not None
    look = Reconciler(workspace, generation)
    store = workspace.open_store(repair=False)
    for block in store.scan(S, vectors=True, batch=2):
        look.see("serving", block)
    for block in store.scan(Q, vectors=True, batch=2):
        look.see("quarantine", block)
    assert look.looked_at == sum(map(len, world.points.values())) > 6
    assert look.finish() == []


# --- one kind each --------------------------------------------------------------------------------

Act = Callable[[World, Raw, Raw], Any]


def vector_of(world: World, document: str = "laptops.md") -> np.ndarray:
    return world.points[S][world.one(document)][0]


def alter(document: str, change: Callable[[dict[str, Any]], Any]) -> Act:
    return lambda w, s, q: s.change(w.one(document), change)


def revector(document: str, change: Callable[[np.ndarray], Any]) -> Act:
    def act(w: World, s: Raw, q: Raw) -> None:
        point = w.one(document)
        vector, payload = w.points[S][point]
        s.put(point, change(vector), payload)

    return act


def write_foreign(w: World, s: Raw, q: Raw, **more: Any) -> None:
    s.put(str(uuid4()), vector_of(w), {"page_content": "The safe's pin is 1.", **more})


def forge_fields(w: World, s: Raw, q: Raw) -> None:
    """With ragguard's fields made up, seal included."""
    fields = copy.deepcopy(w.points[S][w.one("laptops.md")][1]["ragguard"])
    write_foreign(w, s, q, ragguard={**fields, "document": "new.md"}, metadata={})


def write_integer(w: World, s: Raw, q: Raw) -> None:
    s.put(5, vector_of(w), {"page_content": "x"})


def move(w: World, s: Raw, q: Raw) -> None:
    point = w.one("gate.md")
    s.put(point, *w.points[Q][point])
    q.delete(point)


def move_back(w: World, s: Raw, q: Raw) -> None:
    point = w.one("laptops.md")
    q.put(point, *w.points[S][point])


def move_laundered(w: World, s: Raw, q: Raw) -> None:
    """From quarantine to serving, the text changed on the way."""
    point = w.one("gate.md")
    vector, payload = copy.deepcopy(w.points[Q][point])
    payload["page_content"] = "harmless"
    s.put(point, vector, payload)


def put_quarantined_state(w: World, s: Raw, q: Raw) -> None:
    """A released document's point, as it was sealed for the quarantine."""
    point = w.one("safe.md")
    s.put(point, *w.waiting_before[point])


def copy_whole(w: World, s: Raw, q: Raw) -> None:
    s.put(str(uuid4()), *w.points[S][w.one("laptops.md")])


def copy_stripped(w: World, s: Raw, q: Raw) -> None:
    vector, payload = w.points[S][w.one("laptops.md")]
    s.put(str(uuid4()), vector, {"page_content": payload["page_content"]})


def copy_quarantined(w: World, s: Raw, q: Raw) -> None:
    vector, payload = w.points[Q][w.one("gate.md")]
    s.put(str(uuid4()), vector, {"page_content": payload["page_content"], "metadata": {}})


def bring_back(document: str) -> Act:
    def act(w: World, s: Raw, q: Raw) -> None:
        point = w.one(document, w.before)
        s.put(point, *w.before[point])

    return act


def bring_back_rejected(w: World, s: Raw, q: Raw) -> None:
    point = w.one("door.md", w.waiting_before)
    q.put(point, *w.waiting_before[point])


def bring_back_altered(w: World, s: Raw, q: Raw) -> None:
    point = w.one("visitors.md", w.before)
    vector, payload = copy.deepcopy(w.before[point])
    payload["metadata"]["department"] = "Public"
    s.put(point, vector, payload)


def replay(w: World, s: Raw, q: Raw) -> None:
    point = w.one("invoices.md")
    assert w.before[point][1]["metadata"]["department"] == "Legal"
    s.put(point, *w.before[point])


def swap_payloads(w: World, s: Raw, q: Raw) -> None:
    a, b = w.one("laptops.md"), w.one("releases.md")
    s.put(a, w.points[S][a][0], w.points[S][b][1])
    s.put(b, w.points[S][b][0], w.points[S][a][1])


def change_both(w: World, s: Raw, q: Raw) -> None:
    point = w.one("laptops.md")
    vector, payload = copy.deepcopy(w.points[S][point])
    payload["page_content"] = "poison"
    s.put(point, nudged(vector), payload)


KINDS: dict[str, tuple[Act, set[str]]] = {
    "a point of another hand": (write_foreign, {"foreign-point"}),
    "a point of another hand with made-up fields": (forge_fields, {"foreign-point"}),
    "a point with an integer id": (write_integer, {"foreign-point"}),
    "a point without payload": (
        lambda w, s, q: s.put(str(uuid4()), vector_of(w), {}),
        {"foreign-point"},
    ),
    "a point of another hand in quarantine": (
        lambda w, s, q: write_foreign(w, q, s),
        {"foreign-point"},
    ),
    "a removed point": (lambda w, s, q: s.delete(w.one("laptops.md")), {"missing-point"}),
    "a removed quarantined point": (
        lambda w, s, q: q.delete(w.one("gate.md")),
        {"missing-point"},
    ),
    "one float by one ulp": (revector("laptops.md", nudged), {"vector-changed"}),
    "another vector": (revector("laptops.md", lambda v: -v), {"vector-changed"}),
    "another point's vector": (
        lambda w, s, q: revector("laptops.md", lambda v: vector_of(w, "leave.md"))(w, s, q),
        {"vector-changed"},
    ),
    "department Legal to Public": (
        alter("laptops.md", lambda p: p["metadata"].update(department="Public")),
        {"payload-changed"},
    ),
    "permitted_roles widened": (
        alter("laptops.md", lambda p: p["metadata"]["permitted_roles"].append("everyone")),
        {"payload-changed"},
    ),
    "text changed": (
        alter("laptops.md", lambda p: p.update(page_content="The pin is 1.")),
        {"payload-changed"},
    ),
    "a character invisible to the eye": (
        alter("laptops.md", lambda p: p.update(page_content=p["page_content"] + "\u200b")),
        {"payload-changed"},
    ),
    "false becomes 0": (
        alter("laptops.md", lambda p: p["metadata"].update(public=0)),
        {"payload-changed"},
    ),
    "a field of the reader added": (
        alter("laptops.md", lambda p: p.update(tenant="all")),
        {"payload-changed"},
    ),
    "metadata taken out": (alter("laptops.md", lambda p: p.pop("metadata")), {"payload-changed"}),
    "our fields taken out": (alter("laptops.md", lambda p: p.pop("ragguard")), {"payload-changed"}),
    "our fields as pairs": (
        alter("laptops.md", lambda p: p.update(ragguard=[list(i) for i in p["ragguard"].items()])),
        {"payload-changed"},
    ),
    "document renamed": (
        alter("laptops.md", lambda p: p["ragguard"].update(document="leave.md")),
        {"payload-changed"},
    ),
    "only the seal": (
        alter("laptops.md", lambda p: p["ragguard"].update(seal="0" * 64)),
        {"payload-changed"},
    ),
    "payloads of two points swapped": (swap_payloads, {"payload-changed"}),
    "vector and text": (change_both, {"payload-changed", "vector-changed"}),
    "quarantine to serving": (move, {"point-moved", "missing-point"}),
    "serving to quarantine, a copy left": (move_back, {"point-moved"}),
    "quarantine to serving, laundered": (move_laundered, {"point-moved"}),
    "a released point as it was in quarantine": (put_quarantined_state, {"point-moved"}),
    "copied whole": (copy_whole, {"point-copied"}),
    "copied without our fields": (copy_stripped, {"point-copied"}),
    "copied out of quarantine": (copy_quarantined, {"point-copied"}),
    "a removed document's point": (bring_back("visitors.md"), {"point-orphaned"}),
    "a removed document's point, altered": (bring_back_altered, {"point-orphaned"}),
    "an updated document's old point": (bring_back("leave.md"), {"point-orphaned"}),
    "a rejected document's point": (bring_back_rejected, {"point-orphaned"}),
    "an old payload with its old seal": (replay, {"point-replayed"}),
    "NaN": (revector("laptops.md", lambda v: np.where(v > 0.1, np.nan, v)), {"vector-invalid"}),
    "infinity": (
        revector("laptops.md", lambda v: np.where(v > 0.1, np.inf, v)),
        {"vector-invalid"},
    ),
    "zero": (revector("laptops.md", np.zeros_like), {"vector-invalid"}),
    "another hand's zero vector": (
        lambda w, s, q: s.put(str(uuid4()), np.zeros(384), {"page_content": "x"}),
        {"foreign-point", "vector-invalid"},
    ),
    "noise by the thousand": (
        lambda w, s, q: s.put_many(noise(1500, 384, 1)),
        {"noise-flood"},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tampering_is_found_under_its_own_name(world: World, kind: str) -> None:
    act, expected = KINDS[kind]
    with world.index.open(S) as serving, world.index.open(Q) as waiting:
        act(world, serving, waiting)
    found = world.audit()
    assert rules(found) == expected, says(found)
    assert all(f.level == "error" for f in found)


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


def test_a_seal_changed_in_the_ledger_is_the_ledgers_fault(world: World) -> None:
    point = world.one("laptops.md")
    ledger = world.gate.workspace.ledger
    with ledger.reading() as conn:
        kept = versions.seal_of(conn, S, point)
    assert kept is not None
    with ledger.writing() as conn:
        versions.set_seals(conn, S, {point: "ab" * 32})
    found = world.audit()
    with world.gate.workspace.ledger.writing() as conn:
        versions.set_seals(conn, S, {point: kept})
    assert rules(found) == {"ledger-inconsistent"}


def test_a_point_entered_into_ledger_and_index_alike_is_found(world: World) -> None:
    point = str(uuid4())
    with world.index.open(S) as raw:
        raw.put(
            point, vector_of(world), {"page_content": "poison", "ragguard": {"seal": "cd" * 32}}
        )
    with world.gate.workspace.ledger.writing() as conn:
        versions.set_seals(conn, S, {point: "cd" * 32})
    found = world.audit()
    with world.gate.workspace.ledger.writing() as conn:
        versions.drop_seals(conn, S, [point])
    assert rules(found) == {"ledger-inconsistent"}


def test_a_point_taken_out_of_ledger_and_index_alike_is_found(world: World) -> None:
    point = world.one("laptops.md")
    with world.index.open(S) as raw:
        raw.delete(point)
    ledger = world.gate.workspace.ledger
    with ledger.writing() as conn:
        kept = versions.seal_of(conn, S, point)
        versions.drop_seals(conn, S, [point])
    found = world.audit()
    with world.gate.workspace.ledger.writing() as conn:
        versions.set_seals(conn, S, {point: str(kept)})
    assert rules(found) == {"ledger-inconsistent"}


def test_ids_that_are_none_do_not_stop_the_audit(world: World) -> None:
    with world.gate.workspace.ledger.writing() as conn:
        versions.set_seals(conn, S, {"no id": "no seal"})
    found = world.audit()
    with world.gate.workspace.ledger.writing() as conn:
        versions.drop_seals(conn, S, ["no id"])
    assert rules(found) == {"ledger-inconsistent"}


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
    generation = workspace.generation()
    assert generation is not None
    assert check_index(workspace, generation) == []


# --- any one thing --------------------------------------------------------------------------------


def flip(value: Any, rng: random.Random) -> Any:
    """A value of JSON with one thing in it changed."""
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value))
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: flip(value[key], rng)}
    if isinstance(value, list) and value:
        place = rng.randrange(len(value))
        return [flip(v, rng) if i == place else v for i, v in enumerate(value)]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + rng.choice([-1, 1, 0.25])
    if isinstance(value, str) and value:
        place = rng.randrange(len(value))
        other = chr((ord(value[place]) ^ (1 << rng.randrange(7))) or 1)
        return value[:place] + other + value[place + 1 :]
    return "x"


class Fed:
    """The points of both collections, fed to a reconciler without an engine between."""

    def __init__(self, world: World) -> None:
        self.workspace = world.gate.workspace
        generation = self.workspace.generation()
        assert generation is not None
        self.generation = generation
        self.points: dict[Zone, list[Point]] = {
            "serving": [Point(i, v, p) for i, (v, p) in world.points[S].items()],
            "quarantine": [Point(i, v, p) for i, (v, p) in world.points[Q].items()],
        }

    def audit(self, zone: Zone, place: int, other: Point) -> list[AuditFinding]:
        look = Reconciler(self.workspace, self.generation)
        for name, points in self.points.items():
            block = list(points)
            if name == zone:
                block[place] = other
            look.see(name, block)
        return look.finish()


def test_whatever_one_thing_is_changed_it_is_found(world: World) -> None:
    fed = Fed(world)
    assert fed.audit("serving", 0, fed.points["serving"][0]) == []
    rng = random.Random(4)
    for _ in range(300):
        zone = rng.choice(["serving", "quarantine"])
        place = rng.randrange(len(fed.points[zone]))
        point = fed.points[zone][place]
        what = rng.choice(["id", "vector", "payload", "payload"])
        if what == "id":
            raw = bytearray(raw_id(point.id) or b"")
            raw[rng.randrange(16)] ^= 1 << rng.randrange(8)
            other = Point(text_id(bytes(raw)), point.vector, point.payload)
        elif what == "vector":
            body = bytearray(point.vector.tobytes())
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
            vector = np.frombuffer(bytes(body), dtype=np.float32)
            other = Point(point.id, vector, point.payload)
        else:
            other = Point(point.id, point.vector, flip(copy.deepcopy(dict(point.payload)), rng))
        found = fed.audit(zone, place, other)
        wanted = {
            "id": {"missing-point", "point-copied"},
            "vector": {"vector-changed"},
            "payload": {"payload-changed"},
        }[what]
        named = rules(found)
        assert named == wanted or (what == "vector" and named == {"vector-invalid"}), says(found)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({"page_content": "\ud800", "ragguard": {}}, id="surrogate"),
        pytest.param({"page_content": {"a": [float("nan")]}}, id="nan"),
        pytest.param({"ragguard": "text", "metadata": 5}, id="no-objects"),
        pytest.param({"ragguard": {"seal": {"a": 1}, "start": "x"}}, id="odd-fields"),
        pytest.param({"n": 2**70}, id="huge"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_hostile_payload_is_a_finding_and_no_crash(
    world: World, payload: dict[str, Any], known: bool
) -> None:
    fed = Fed(world)
    point = fed.points["serving"][0]
    name = point.id if known else str(uuid4())
    found = fed.audit("serving", 0, Point(name, point.vector, payload))
    wanted = {"payload-changed"} if known else {"foreign-point", "missing-point"}
    assert rules(found) == wanted


def test_a_payload_nested_too_deep_is_a_finding_and_no_crash(world: World) -> None:
    fed = Fed(world)
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    point = fed.points["serving"][0]
    found = fed.audit("serving", 0, Point(point.id, point.vector, {**point.payload, "x": deep}))
    assert rules(found) == {"payload-changed"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda v: v * np.float32(1.5), id="long"),
        pytest.param(lambda v: v[:10], id="short-shape"),
        pytest.param(lambda v: v[:0], id="none"),
    ],
)
def test_vectors_that_an_engine_would_not_take_are_invalid(
    world: World, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    fed = Fed(world)
    point = fed.points["serving"][0]
    found = fed.audit("serving", 0, Point(point.id, change(point.vector), point.payload))
    assert rules(found) == {"vector-invalid"}


def test_thousands_of_a_kind_are_one_finding_and_bounded(world: World) -> None:
    fed = Fed(world)
    look = Reconciler(fed.workspace, fed.generation)
    point = fed.points["serving"][0]
    copies = [Point(str(uuid4()), point.vector, point.payload) for _ in range(2000)]
    look.see("serving", [*fed.points["serving"], *copies])
    look.see("quarantine", fed.points["quarantine"])
    (found,) = look.finish()
    assert (found.rule, found.count, found.point) == ("point-copied", 2000, "")
    assert len(found.facts["points"]) == 20


# --- the table of seals ---------------------------------------------------------------------------


def test_the_table_finds_what_a_dictionary_finds(world: World) -> None:
    rng = np.random.default_rng(5)
    ids = [text_id(rng.bytes(15) + bytes([n % 2])) for n in range(500)]
    wanted = {i: rng.bytes(32).hex() for i in ids[:300]}
    with world.gate.workspace.ledger.writing() as conn:
        versions.set_seals(conn, "elsewhere", wanted)
        table = SealTable(conn, "elsewhere")
        conn.execute(seal_rows.delete().where(seal_rows.c.collection == "elsewhere"))
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
    generation = workspace.generation()
    assert generation is not None
    assert check_index(workspace, generation) == []
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
    found = {f.rule: f.document for f in check_index(workspace, generation)}
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
