"""Every kind of tampering with a point is found under its own name, whatever is changed in it."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from ragguard.audit.findings import AuditFinding
from ragguard.audit.index.integrity import Reconciler, Zone
from ragguard.audit.index.seal_table import raw_id, text_id
from ragguard.store import Point
from tests.support.audit.tamper import Raw, Stored, noise, nudged
from tests.support.audit.world import Q, S, World, rules, says

# --- one kind each --------------------------------------------------------------------------------

Act = Callable[[World, Raw, Raw], Any]


def now(w: World) -> Stored:
    return {**w.points[Q], **w.points[S]}


def alter(change: Callable[[dict[str, Any]], Any]) -> Act:
    return lambda w, s, q: s.change(w.one("laptops.md"), change)


def revector(change: Callable[[np.ndarray], Any]) -> Act:
    return put("laptops.md", now, vector=change)


def put(
    document: str,
    state: Callable[[World], Stored],
    change: Callable[[dict[str, Any]], Any] = lambda p: None,
    vector: Callable[[np.ndarray], Any] = lambda v: v,
    into: str = S,
) -> Act:
    """A document's point as it was in some state, changed, written to a collection."""

    def act(w: World, s: Raw, q: Raw) -> None:
        point = w.one(document, state(w))
        kept, payload = copy.deepcopy(state(w)[point])
        change(payload)
        (s if into == S else q).put(point, vector(kept), payload)

    return act


def copied(document: str, *without: str) -> Act:
    """A document's point under another id, without some of its payload."""

    def act(w: World, s: Raw, q: Raw) -> None:
        vector, payload = now(w)[w.one(document)]
        left = {name: value for name, value in payload.items() if name not in without}
        s.put(str(uuid4()), vector, left)

    return act


def write_foreign(w: World, s: Raw, q: Raw, **more: Any) -> None:
    s.put(str(uuid4()), w.vector("laptops.md"), {"page_content": "The safe's pin is 1.", **more})


def forge_fields(w: World, s: Raw, q: Raw) -> None:
    """With ragguard's fields made up, seal included."""
    fields = copy.deepcopy(w.points[S][w.one("laptops.md")][1]["ragguard"])
    write_foreign(w, s, q, ragguard={**fields, "document": "new.md"}, metadata={})


def move(w: World, s: Raw, q: Raw) -> None:
    put("gate.md", now)(w, s, q)
    q.delete(w.one("gate.md"))


def swap_payloads(w: World, s: Raw, q: Raw) -> None:
    a, b = w.one("laptops.md"), w.one("releases.md")
    s.put(a, w.points[S][a][0], w.points[S][b][1])
    s.put(b, w.points[S][b][0], w.points[S][a][1])


FOREIGN, MISSING = {"foreign-point"}, {"missing-point"}
KINDS: dict[str, tuple[Act, set[str]]] = {
    "a point of another hand": (write_foreign, FOREIGN),
    "a point of another hand with made-up fields": (forge_fields, FOREIGN),
    "a point with an integer id": (
        lambda w, s, q: s.put(5, w.vector("laptops.md"), {"page_content": "x"}),
        FOREIGN,
    ),
    "a point without payload": (
        lambda w, s, q: s.put(str(uuid4()), w.vector("laptops.md"), {}),
        FOREIGN,
    ),
    "a point of another hand in quarantine": (lambda w, s, q: write_foreign(w, q, s), FOREIGN),
    "a removed point": (lambda w, s, q: s.delete(w.one("laptops.md")), MISSING),
    "a removed quarantined point": (lambda w, s, q: q.delete(w.one("gate.md")), MISSING),
    "payloads of two points swapped": (swap_payloads, {"payload-changed"}),
    "vector and text": (
        put("laptops.md", now, lambda p: p.update(page_content="poison"), nudged),
        {"payload-changed", "vector-changed"},
    ),
    "quarantine to serving": (move, {"point-moved", "missing-point"}),
    "noise by the thousand": (lambda w, s, q: s.put_many(noise(1500, 384, 1)), {"noise-flood"}),
    "another hand's zero vector": (
        lambda w, s, q: s.put(str(uuid4()), np.zeros(384), {"page_content": "x"}),
        {"foreign-point", "vector-invalid"},
    ),
    "another point's vector": (
        lambda w, s, q: revector(lambda _: w.vector("leave.md"))(w, s, q),
        {"vector-changed"},
    ),
}
ALTERED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "department Legal to Public": lambda p: p["metadata"].update(department="Public"),
    "permitted_roles widened": lambda p: p["metadata"]["permitted_roles"].append("everyone"),
    "text changed": lambda p: p.update(page_content="The pin is 1."),
    "a character invisible to the eye": lambda p: p.update(
        page_content=p["page_content"] + "\u200b"
    ),
    "false becomes 0": lambda p: p["metadata"].update(public=0),
    "a field of the reader added": lambda p: p.update(tenant="all"),
    "metadata taken out": lambda p: p.pop("metadata"),
    "our fields taken out": lambda p: p.pop("ragguard"),
    "our fields as pairs": lambda p: p.update(ragguard=[list(i) for i in p["ragguard"].items()]),
    "document renamed": lambda p: p["ragguard"].update(document="leave.md"),
    "only the seal": lambda p: p["ragguard"].update(seal="0" * 64),
}
NAMED: dict[str, dict[str, Act]] = {
    "payload-changed": {name: alter(change) for name, change in ALTERED.items()},
    "vector-changed": {
        "one float by one ulp": revector(nudged),
        "another vector": revector(lambda v: -v),
    },
    "vector-invalid": {
        "NaN": revector(lambda v: np.where(v > 0.1, np.nan, v)),
        "infinity": revector(lambda v: np.where(v > 0.1, np.inf, v)),
        "zero": revector(np.zeros_like),
    },
    "point-moved": {
        "serving to quarantine, a copy left": put("laptops.md", now, into=Q),
        "quarantine to serving, laundered": put(
            "gate.md", now, lambda p: p.update(page_content="harmless")
        ),
        "a released point as it was in quarantine": put("safe.md", lambda w: w.waiting_before),
    },
    "point-copied": {
        "copied whole": copied("laptops.md"),
        "copied without our fields": copied("laptops.md", "ragguard", "metadata"),
        "copied out of quarantine": copied("gate.md", "ragguard"),
    },
    "point-orphaned": {
        "a removed document's point": put("visitors.md", lambda w: w.before),
        "a removed document's point, altered": put(
            "visitors.md", lambda w: w.before, lambda p: p["metadata"].update(department="Public")
        ),
        "an updated document's old point": put("leave.md", lambda w: w.before),
        "a rejected document's point": put("door.md", lambda w: w.waiting_before, into=Q),
    },
    "point-replayed": {
        "an old payload with its old seal": put("invoices.md", lambda w: w.before),
    },
}
KINDS |= {name: (act, {rule}) for rule, acts in NAMED.items() for name, act in acts.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_tampering_is_found_under_its_own_name(world: World, kind: str) -> None:
    act, expected = KINDS[kind]
    with world.index.open(S) as serving, world.index.open(Q) as waiting:
        act(world, serving, waiting)
    found = world.audit()
    assert rules(found) == expected, says(found)
    assert all(f.level == "error" for f in found)


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
