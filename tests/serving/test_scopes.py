"""Scopes: a tenant is served nothing of another, whatever he asks and whoever forges payloads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragguard.canary import sets
from ragguard.canary.ask import run
from ragguard.canary.formats import read_queries
from ragguard.canary.sets import Canaries
from ragguard.errors import UsageError
from ragguard.rebuild.reindex import reindex
from ragguard.serving.publish import publish
from ragguard.serving.reader import open_reader
from ragguard.serving.retriever import open_retriever
from ragguard.store import SCOPE, Point
from tests.support.simulator import HONEST, Gate

TENANTS = 25
EACH = 4
SUBJECTS = ("payroll runs on", "door code changed on", "contract ends on", "audit begins on")


def tenant(number: int) -> str:
    return f"tenant-{number}"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """An index of 25 tenants, and of what is public."""
    made = Gate(tmp_path_factory.mktemp("gate"))
    made.set_policy(scope=["tenant=@tenant"])
    texts, metadata = {}, {}
    for number in range(TENANTS):
        for place, subject in enumerate(SUBJECTS):
            name = f"{tenant(number)}/{place}.md"
            texts[name] = (
                f"For {tenant(number)} the {subject} the {1 + (7 * number + place) % 28}th."
            )
            metadata[name] = {"tenant": tenant(number)}
    path = made.publisher.publish(texts, metadata=metadata)
    report = made.ingest(path, observe=True)
    assert report.counts["admitted"] == TENANTS * EACH
    yield made
    made.close()


@pytest.fixture
def points(gate: Gate) -> Iterator[list[Point]]:
    """All points; whatever a test does to them is undone."""
    store = gate.workspace.open_store()
    before = [p for block in store.scan("corpus-g1", vectors=True) for p in block]
    yield before
    store.delete("corpus-g1", [p.id for block in store.scan("corpus-g1") for p in block])
    store.upsert("corpus-g1", before)


def owner(point: Point) -> str:
    return str(point.payload["metadata"]["tenant"])


def hostile(points: list[Point]) -> Iterator[tuple[str, Any]]:
    """200 queries, each put exactly where another tenant's passage is."""
    rng = np.random.default_rng(5)
    for number in range(200):
        mine = tenant(number % TENANTS)
        others = [p for p in points if owner(p) != mine]
        yield mine, others[int(rng.integers(len(others)))].vector


# --- asking ---------------------------------------------------------------------------------------


def outside(gate: Gate, points: list[Point]) -> tuple[int, int, int]:
    """Hits, hits of another tenant, and alarms of 200 hostile queries."""
    tenants = {tenant(n) for n in range(TENANTS)}
    retrievers = {t: open_retriever(gate.workspace, scope={"tenant": t}) for t in tenants}
    hits = others = alarms = 0
    for mine, vector in hostile(points):
        answer = retrievers[mine].retrieve_vector(vector, 10)
        hits += len(answer.hits)
        others += sum(h.metadata["tenant"] != mine for h in answer.hits)
        alarms += len(answer.alarms)
    return hits, others, alarms


def test_200_hostile_queries_find_nothing_of_another_tenant(
    gate: Gate, points: list[Point]
) -> None:
    assert outside(gate, points) == (200 * EACH, 0, 0)


FORGED: Sequence[Callable[[str, list[str]], Any]] = (
    lambda his, there: there,
    lambda his, there: [his],
    lambda his, there: [*there, his],
    lambda his, there: his,
    lambda his, there: ["public"],
    lambda his, there: ["public", his, *there],
)


def test_200_hostile_queries_on_forged_payloads_find_nothing_of_another_tenant(
    gate: Gate, points: list[Point]
) -> None:
    store = gate.workspace.open_store()
    forged = []
    for place, point in enumerate(points):
        number = int(owner(point).rpartition("-")[2])
        his = f"tenant={tenant((number + 1) % TENANTS)}"
        own = {**point.payload["ragguard"]}
        own["scope"] = FORGED[place % len(FORGED)](his, own["scope"])
        forged.append(Point(point.id, point.vector, {**point.payload, "ragguard": own}))
    store.upsert("corpus-g1", forged)
    hits, others, alarms = outside(gate, points)
    assert others == 0
    assert hits > 0
    assert alarms > 200


def test_a_copy_under_another_id_is_an_alarm(gate: Gate, points: list[Point]) -> None:
    theirs = next(p for p in points if owner(p) == tenant(3))
    own = {**theirs.payload["ragguard"], "scope": [f"tenant={tenant(4)}"]}
    copy = Point(
        "00000000-0000-4000-8000-000000000001", theirs.vector, {**theirs.payload, "ragguard": own}
    )
    gate.workspace.open_store().upsert("corpus-g1", [copy])
    retriever = open_retriever(gate.workspace, scope={"tenant": tenant(4)})
    answer = retriever.retrieve_vector(theirs.vector, 5)
    assert [(r.point, r.kind) for r in answer.alarms] == [(copy.id, "unknown")]
    assert {h.metadata["tenant"] for h in answer.hits} == {tenant(4)}


def test_an_engine_that_ignores_the_filter_is_an_alarm(
    gate: Gate, points: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = gate.workspace.open_store()
    ask = store.nearest

    def deaf(*args: Any, scope: Any, **rest: Any) -> Any:
        return ask(*args, **rest)

    monkeypatch.setattr(store, "nearest", deaf)
    theirs = next(p for p in points if owner(p) == tenant(3))
    retriever = open_retriever(gate.workspace, scope={"tenant": tenant(4)})
    answer = retriever.retrieve_vector(theirs.vector, 3)
    assert {h.metadata["tenant"] for h in answer.hits} == {tenant(4)}
    assert {(r.kind, r.alarm) for r in answer.refused} == {("scope", True)}


def test_readers_of_a_published_copy_are_scoped_too(
    gate: Gate, points: list[Point], tmp_path: Path
) -> None:
    publish(gate.workspace, tmp_path / "out")
    rest: dict[str, Any] = {"encoder": gate.workspace.encoder, "clock": lambda: gate.now}
    key = gate.workspace.log_key
    with pytest.raises(UsageError, match="scopes are on"):
        open_reader(tmp_path / "out", key, **rest)
    theirs = next(p for p in points if owner(p) == tenant(3))
    with open_reader(tmp_path / "out", key, scope={"tenant": tenant(4)}, **rest) as reader:
        answer = reader.retrieve_vector(theirs.vector, 10)
    assert {h.metadata["tenant"] for h in answer.hits} == {tenant(4)}
    assert (len(answer.hits), answer.refused) == (EACH, [])


def test_the_scope_is_indexed_sealed_and_told(gate: Gate) -> None:
    client = gate.workspace.open_store().client  # type: ignore[attr-defined]
    assert SCOPE in client.get_collection("corpus-g1").payload_schema
    hit = open_retriever(gate.workspace, scope="everything").retrieve("the payroll", 1).hits[0]
    assert hit.proof.scope == (f"tenant={hit.metadata['tenant']}",)


def test_where_scopes_are_on_nobody_asks_without_one(gate: Gate) -> None:
    with pytest.raises(UsageError, match="scopes are on") as error:
        open_retriever(gate.workspace)
    assert "everything" in error.value.hint


def test_a_canary_is_asked_for_whom_it_names(gate: Gate, tmp_path: Path) -> None:
    rows = [
        {"id": "all", "text": "payroll"},
        {"id": "four", "text": "payroll", "scope": {"tenant": tenant(4)}},
        {"id": "two", "text": "payroll", "scope": {"tenant": [tenant(5), tenant(6)]}},
    ]
    path = tmp_path / "queries.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    canaries = sets.load(sets.dump(read_queries(path)))
    assert canaries.scopes["four"] == {"tenant": (tenant(4),)}
    found = run(gate.workspace, canaries).rankings
    seen = {query: {name.split("/")[1] for name, _ in found[query]} for query in found}
    assert list(found) == ["all", "four", "two"]
    assert (seen["four"], seen["two"]) == ({tenant(4)}, {tenant(5), tenant(6)})
    assert len(found["all"]) == 10
    assert not sets.merge(canaries, Canaries({"four": "rent"})).scopes.keys() & {"four"}


@pytest.mark.parametrize("scope", ["acme", {"tenant": 5}, {"": "a"}])
def test_a_canary_of_no_scope_anybody_has_is_refused(scope: Any, tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text(json.dumps({"id": "q", "text": "rent", "scope": scope}))
    with pytest.raises(UsageError, match="scope"):
        read_queries(path)


# --- coming in ------------------------------------------------------------------------------------


def test_scopes_that_are_off_are_said_so(new_gate: Callable[..., Gate]) -> None:
    made = new_gate()
    made.publish({"leave.md": HONEST["leave.md"]})
    with pytest.raises(UsageError, match="scopes are off"):
        open_retriever(made.workspace, scope={"tenant": "acme"})


def test_documents_without_a_scope_are_refused_where_scopes_are_on(
    new_gate: Callable[..., Gate],
) -> None:
    made = new_gate()
    made.publish({"laptops.md": HONEST["laptops.md"]})  # before
    made.trust(made.alice, source="other")
    made.set_policy("other", scope=["public"])
    report = made.publish({"leave.md": HONEST["leave.md"]})
    verdict = next(d for d in report.documents if d.id == "leave.md")
    assert verdict.outcome == "reject"
    assert "scope=public" in verdict.findings[0].detail
    retriever = open_retriever(made.workspace, scope="everything")
    answer = retriever.retrieve("a lost laptop", 3)
    assert [(r.document, r.kind) for r in answer.refused] == [("wiki/laptops.md", "scope")]


def test_a_document_cannot_name_its_own_scope(new_gate: Callable[..., Gate]) -> None:
    made = new_gate()
    made.set_policy(scope=["tenant=@tenant"])
    texts = {
        "mine.md": "---\ntenant: theirs\n---\n" + HONEST["leave.md"],
        "none.md": "---\ntenant: theirs\n---\n" + HONEST["laptops.md"],
    }
    report = made.publish(texts, metadata={"mine.md": {"tenant": "mine"}})
    assert {d.id: d.outcome for d in report.documents} == {"mine.md": "admit", "none.md": "reject"}
    hits = open_retriever(made.workspace, scope={"tenant": "mine"}).retrieve("leave", 5).hits
    assert [h.document for h in hits] == ["wiki/mine.md"]
    assert not open_retriever(made.workspace, scope={"tenant": "theirs"}).retrieve("leave", 5).hits


def test_a_contract_that_narrows_a_scope_holds_at_once(new_gate: Callable[..., Gate]) -> None:
    made = new_gate()
    made.set_policy(scope=["public"])
    made.publish({"leave.md": HONEST["leave.md"]})
    assert open_retriever(made.workspace, scope={}).retrieve("leave", 1).hits
    made.set_policy(scope=["roles=hr"])
    for scope in ({}, {"roles": "hr"}):
        assert not open_retriever(made.workspace, scope=scope).retrieve("leave", 1).hits
    reindex(made.workspace, yes=True)
    assert not open_retriever(made.workspace, scope={}).retrieve("leave", 1).hits
    assert open_retriever(made.workspace, scope={"roles": ["it", "hr"]}).retrieve("leave", 1).hits
