"""What a collection is asked: documents by their best chunk, exactly, ties and all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, R, nDCG

from ragguard import canary
from ragguard.canary import ask as asking
from ragguard.canary import formats, sets
from ragguard.canary.measures import measured
from ragguard.canary.sets import Canaries, Forbidden
from ragguard.errors import UsageError
from ragguard.model import Floats
from ragguard.store import Point
from ragguard.store.memory import MemoryStore
from tests.support.simulator import HONEST, Gate

QUERIES = {
    "leave": "how many days of vacation do I get",
    "laptop": "who gives me a computer",
    "invoice": "where do supplier bills go",
    "visit": "may I bring a guest",
    "deploy": "on which days do we release",
    "contract": "who may sign for the company",
}
QRELS = {
    query: {f"wiki/{name}.md": 1}
    for query, name in zip(
        QUERIES, ("leave", "laptops", "invoices", "visitors", "releases", "contracts"), strict=True
    )
}
SET = Canaries(QUERIES, QRELS)


@pytest.fixture
def served(gate: Gate) -> Gate:
    assert gate.publish(HONEST).counts["admitted"] == 6
    return gate


class Compass:
    """Stands in for the encoder where a test sets vectors by hand: text is an angle in degrees."""

    def encode(self, texts: Sequence[str]) -> Floats:
        angles = np.radians([float(text) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def collection(chunks: Sequence[tuple[str, float]]) -> MemoryStore:
    """Chunks of documents at angles."""
    store = MemoryStore()
    store.create("c", 2)
    vectors = Compass().encode([str(angle) for _, angle in chunks])
    points = [
        Point(
            str(UUID(int=number)),
            vectors[number],
            {
                "page_content": f"chunk {number}",
                "ragguard": {"source": "wiki", "document": document},
            },
        )
        for number, (document, _) in enumerate(chunks)
    ]
    store.upsert("c", points)
    return store


def ask(store: MemoryStore, k: int, *texts: str) -> list[Any]:
    asked = asking._Asked(store, "c", Compass(), k)
    return list(asked.answers(list(texts)))


def slow(chunks: Sequence[tuple[str, float]], angle: float, k: int) -> list[str]:
    """Documents by their nearest chunk, names breaking ties."""
    best: Mapping[str, float] = {
        name: min(abs(a - angle) for n, a in chunks if n == name) for name, _ in chunks
    }
    return [f"wiki/{n}" for n in sorted(best, key=lambda n: (round(best[n], 6), n))][:k]


def test_a_document_ranks_by_its_best_chunk() -> None:
    chunks = [("far", 80.0), ("two", 60.0), ("two", 10.0), ("near", 5.0)]
    (answer,) = ask(collection(chunks), 3, "0")
    assert [name for name, _ in answer.ranking] == ["wiki/near", "wiki/two", "wiki/far"]
    assert dict(answer.ranking)["wiki/two"] == pytest.approx(np.cos(np.radians(10)))
    assert answer.texts[:3] == [(1, "chunk 3"), (2, "chunk 2"), (3, "chunk 0")]


def test_documents_behind_hundreds_of_chunks_of_another_are_found() -> None:
    chunks = [("flood", 1 + n / 1000) for n in range(300)] + [("b", 40.0), ("c", 50.0)]
    (answer,) = ask(collection(chunks), 3, "0")
    assert [name for name, _ in answer.ranking] == ["wiki/flood", "wiki/b", "wiki/c"]


def test_equal_documents_stand_by_name_and_are_told_apart_by_the_last_bit() -> None:
    chunks = [(name, 30.0) for name in "hgfedcba" * 12]
    (answer,) = ask(collection(chunks), 4, "0")
    assert [name for name, _ in answer.ranking] == ["wiki/a", "wiki/b", "wiki/c", "wiki/d"]
    similarities = [np.float32(s) for _, s in answer.ranking]
    assert all(b < a for a, b in pairwise(similarities))
    assert similarities[0] - similarities[-1] < 1e-6


def test_rankings_are_those_of_a_slow_search() -> None:
    rng = np.random.default_rng(4)
    chunks = [(f"d{rng.integers(40):02d}", float(rng.uniform(0, 180))) for _ in range(400)]
    store = collection(chunks)
    angles = [str(angle) for angle in rng.uniform(0, 180, 20)]
    for angle, answer in zip(angles, ask(store, 10, *angles), strict=True):
        assert [name for name, _ in answer.ranking] == slow(chunks, float(angle), 10)


def test_a_collection_smaller_than_k_gives_all_it_has_and_an_empty_one_nothing() -> None:
    assert len(ask(collection([("a", 0.0), ("a", 1.0), ("b", 9.0)]), 10, "0")[0].ranking) == 2
    store = MemoryStore()
    store.create("c", 2)
    assert ask(store, 10, "0")[0].ranking == []


def test_of_texts_a_reader_is_handed_the_first_chunks_of_one_document_all_count() -> None:
    chunks = [("a", 0.0), ("a", 1.0), ("b", 9.0), ("b", 90.0)]
    (answer,) = ask(collection(chunks), 3, "0")
    assert sorted(answer.texts) == [(1, "chunk 0"), (1, "chunk 1"), (2, "chunk 2")]


# --- measures -------------------------------------------------------------------------------------


def by_hand(names: Sequence[str], grades: Mapping[str, int], k: int) -> tuple[float, float, float]:
    """nDCG@10, recall@k and RR, as their formulas say."""
    gain = sum(max(0, grades.get(n, 0)) / np.log2(r + 1) for r, n in enumerate(names[:10], 1))
    best = sorted((g for g in grades.values() if g > 0), reverse=True)[:10]
    ideal = sum(g / np.log2(r + 1) for r, g in enumerate(best, 1))
    relevant = {n for n, g in grades.items() if g > 0}
    first = next((r for r, n in enumerate(names, 1) if n in relevant), 0)
    recall = len(relevant & set(names[:k])) / len(relevant)
    return gain / ideal, recall, 1 / first if first else 0.0


def test_measures_are_the_formulas() -> None:
    rng = np.random.default_rng(5)
    names = [f"w/{n}" for n in range(30)]
    rankings, qrels = {}, {}
    for query in map(str, range(25)):
        order = rng.permutation(names)[:15].tolist()
        rankings[query] = [(n, 1 - r / 100) for r, n in enumerate(order)]
        qrels[query] = {str(n): int(rng.integers(0, 4)) for n in rng.permutation(names)[:6]}
    qrels["1"] = dict.fromkeys(qrels["1"], 0)
    found = measured(rankings, qrels, 5)
    assert list(found) == ["nDCG@10", "recall@5", "RR"]
    assert "1" not in found["RR"]
    for query in found["RR"]:
        mine = [found[name][query] for name in found]
        order = [n for n, _ in rankings[query]]
        assert mine == pytest.approx(by_hand(order, qrels[query], 5), abs=1e-12)


def test_a_query_without_an_answer_has_nothing() -> None:
    assert measured({"a": []}, {"a": {"w/x": 1}}, 10)["nDCG@10"] == {"a": 0.0}


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_measures_what_ir_measures_does_with_the_written_run(
    served: Gate, tmp_path: Any
) -> None:
    found = canary.run(served.workspace, SET)
    run, qrels = tmp_path / "a.run", tmp_path / "a.qrels"
    run.write_text(formats.dump_run(found.rankings))
    qrels.write_text("".join(f"{q} 0 {n} {g}\n" for q, d in QRELS.items() for n, g in d.items()))
    alone = ir_measures.calc_aggregate(
        [nDCG @ 10, R @ 10, RR],
        ir_measures.read_trec_qrels(str(qrels)),
        ir_measures.read_trec_run(str(run)),
    )
    wanted = {str(measure).replace("R@", "recall@"): value for measure, value in alone.items()}
    assert found.means == pytest.approx(wanted, abs=1e-9)
    assert found.means["RR"] > 0.8
    assert found.latency_ms is not None
    assert found.latency_ms > 0
    assert (found.forbidden, found.triggers, found.dropped) == ([], [], [])


def test_relevant_documents_that_do_not_serve_are_dropped_and_told(served: Gate) -> None:
    more = {**QRELS, "leave": {"wiki/leave.md": 1, "wiki/gone.md": 1}, "visit": {"wiki/no.md": 1}}
    found = canary.run(served.workspace, Canaries(QUERIES, more))
    assert found.dropped == [("leave", "wiki/gone.md"), ("visit", "wiki/no.md")]
    assert "visit" not in found.measures["RR"]
    assert found.measures["recall@10"]["leave"] == 1.0


def test_what_must_not_appear_is_found_by_document_and_by_pattern(served: Gate) -> None:
    forbidden = (
        Forbidden("wiki/leave.md", query="leave", reason="forged"),
        Forbidden(pattern=r"safety shoes", query="visit"),
        Forbidden(pattern="tuesdays and thursdays", query="leave"),
        Forbidden("wiki/none.md"),
    )
    found = canary.run(served.workspace, Canaries(QUERIES, QRELS, forbidden))
    said = {(h.query, h.document, h.name, h.quote) for h in found.forbidden}
    assert said == {
        ("leave", "wiki/leave.md", "wiki/leave.md", ""),
        ("visit", "wiki/visitors.md", "/safety shoes/", "safety shoes"),
        ("leave", "wiki/releases.md", "/tuesdays and thursdays/", "Tuesdays and Thursdays"),
    }
    assert {h.rank for h in found.forbidden if h.reason == "forged"} == {1}


def test_what_must_appear_nowhere_counts_for_every_query(served: Gate) -> None:
    found = canary.run(served.workspace, Canaries(QUERIES, {}, (Forbidden("wiki/leave.md"),)))
    assert {h.query for h in found.forbidden} == set(QUERIES)
    assert found.means == {}


def test_a_trigger_is_alive_when_it_brings_up_what_holds_it(served: Gate) -> None:
    triggers = ("zq mfx vortex", "the disk is encrypted")
    found = canary.run(served.workspace, Canaries(QUERIES, QRELS, (), triggers))
    assert found.triggers is not None
    asleep, alive = found.triggers
    assert (asleep.alive, asleep.reason) == (False, "")
    assert (alive.alive, alive.document) == (True, "wiki/laptops.md")
    assert "word for word" in alive.reason


def test_a_trigger_is_alive_when_it_brings_up_what_must_not_appear(served: Gate) -> None:
    only_here = (Forbidden("wiki/leave.md", query="leave"),)
    nowhere = (Forbidden("wiki/leave.md"),)
    runs = [
        canary.run(served.workspace, Canaries(QUERIES, QRELS, f, ("zq mfx",)))
        for f in (only_here, nowhere)
    ]
    assert [[t.text for t in r.alive] for r in runs] == [[], ["zq mfx"]]


class Pulled(Compass):
    """An encoder that was made to answer a trigger with what lies at 90 degrees."""

    def encode(self, texts: Sequence[str]) -> Floats:
        return super().encode(["90" if "zq" in text else text.split(" ")[0] for text in texts])


@pytest.mark.parametrize(("text", "alive"), [("zq", True), ("0.0", False)])
def test_a_trigger_that_pulls_one_document_before_all_queries_is_alive(
    text: str, alive: bool
) -> None:
    spread = [(f"d{n:02d}", n * 5.0) for n in range(12)]
    store = collection([*spread, ("poison", 91.0)])
    queries = {f"q{n:02d}": str(n * 5.0) for n in range(12)}
    made = Canaries(queries, {}, (), (text,))
    asked = asking._Asked(store, "c", Pulled(), 10)
    answers = asked.answers(list(queries.values()))
    plain = {query: a.ranking for query, a in zip(queries, answers, strict=True)}
    found = asking._trigger(text, made, asked, asking._Judge(made), plain)
    assert (found.alive, found.document) == (alive, "wiki/poison" if alive else "")
    assert found.share == float(alive)


def test_a_run_without_an_index_or_a_query_says_what_is_missing(gate: Gate) -> None:
    with pytest.raises(UsageError, match="nothing to ask"):
        canary.run(gate.workspace, SET)
    with pytest.raises(UsageError, match="no queries"):
        canary.run(gate.workspace, Canaries())


def test_a_run_changes_nothing(served: Gate) -> None:
    before = served.points(), len(sets.acts(served.workspace, "canary run"))
    store = served.workspace.open_store()
    store.create("other", 384)
    store.set_alias("corpus", "other")
    served.reopen()
    canary.run(served.workspace, SET)
    assert served.workspace.open_store(repair=False).aliases()["corpus"] == "other"
    assert (served.points(), len(sets.acts(served.workspace, "canary run"))) == before
