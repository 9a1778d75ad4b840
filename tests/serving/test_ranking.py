"""Ranking by provenance: bounded, the same here and in readers, off where nobody asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragguard import canary
from ragguard.canary.sets import Canaries
from ragguard.errors import UsageError
from ragguard.serving import snapshot
from ragguard.serving.answer import Answer
from ragguard.serving.publish import publish
from ragguard.serving.ranking import DocumentRanker, corroborated, independent, order
from ragguard.serving.reader import open_reader
from ragguard.serving.retriever import open_retriever
from ragguard.trust import keys
from tests.support.simulator import HONEST, NOW, Gate, Publisher

QUESTION = "how many days of vacation do I get"
BOUND = 0.1
FACT = "Everybody has 27 days of paid leave a year, and asks the team lead two weeks before."
OTHER = FACT.replace("27", "31")
WIKI, BLOG, MIRROR = "wiki/leave.md", "blog/leave.md", "mirror/leave.md"


# --- what it is made of ---------------------------------------------------------------------------


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=8),
    st.lists(st.floats(-1, 1, width=32), min_size=8, max_size=8),
)
def test_merit_never_moves_a_similarity_by_more_than_the_bound(
    near: list[float], merits: list[float]
) -> None:
    similarities = np.array(near, dtype=np.float32)
    rows, counted = order(similarities, np.array(merits[: len(near)], dtype=np.float32), BOUND)
    assert sorted(rows.tolist()) == list(range(len(near)))
    assert np.all(np.abs(counted - similarities) <= BOUND * np.abs(similarities) + 1e-6)
    assert np.all(np.diff(counted[rows]) <= 0)


def test_more_merit_is_better_below_zero_too() -> None:
    rows, _ = order(np.float32([-0.5, -0.5, 0.5, 0.5]), np.float32([-1, 0, -1, 0]), BOUND)
    assert rows.tolist() == [3, 2, 1, 0]


def test_without_merit_the_order_stays() -> None:
    rows, _ = order(np.float32([0.3, 0.9, 0.9, 0.1]), np.zeros(4, dtype=np.float32), BOUND)
    assert rows.tolist() == [1, 2, 0, 3]


def test_sources_that_share_a_signer_are_one_also_by_a_third() -> None:
    signers = {"a": {"alice"}, "b": {"alice", "bob"}, "c": {"bob"}, "d": {"dora"}}
    groups = independent(signers)
    assert groups["a"] == groups["b"] == groups["c"] != groups["d"]


@pytest.mark.parametrize(
    ("texts", "sources", "expected"),
    [
        ([FACT, FACT], ["a", "d"], [True, True]),
        ([FACT, FACT], ["a", "b"], [False, False]),  # one signer
        ([FACT, FACT], ["a", "a"], [False, False]),
        ([FACT, OTHER], ["a", "d"], [False, False]),  # says otherwise
        ([FACT, "Bicycles go into the shed behind the hall."], ["a", "d"], [False, False]),
        ([FACT, FACT], ["a", "unknown"], [False, False]),
        ([], [], []),
        (["", ""], ["a", "d"], [False, False]),
    ],
)
def test_only_an_independent_source_that_says_the_same_corroborates(
    texts: list[str], sources: list[str], expected: list[bool]
) -> None:
    assert corroborated(texts, sources, {"a": 0, "b": 0, "d": 1}) == expected


# --- in holder, reader and canaries ---------------------------------------------------------------


@dataclass
class World:
    gate: Gate
    out: Path
    plain: Answer
    ranked: Answer

    def read(self, ranking: float, out: Path | None = None) -> Any:
        return open_reader(
            out or self.out,
            self.gate.workspace.log_key,
            encoder=self.gate.workspace.encoder,
            max_age=timedelta(days=9),
            clock=lambda: NOW,
            ranking=ranking,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("gate")
    gate = Gate(folder)
    gate.publish(HONEST)
    carol = keys.generate("carol")
    for name, key, text in (
        ("blog", gate.alice, f"{QUESTION}? Ask whoever approves it."),
        ("mirror", carol, f"{HONEST['leave.md']} This copy is kept for the branch."),
    ):
        gate.trust(key, source=name)
        publisher = Publisher(folder / name, key, name)
        made = gate.ingest(publisher.publish({"leave.md": text}), root=publisher.folder)
        assert made.counts["admitted"] == 1
    gate.set_policy("blog", tier="low")
    plain = open_retriever(gate.workspace).retrieve(QUESTION, 8)
    publish(gate.workspace, folder / "plain")
    gate.settings = gate.settings.model_copy(
        update={"retriever": gate.settings.retriever.model_copy(update={"ranking": BOUND})}
    )
    gate.reopen()
    ranked = open_retriever(gate.workspace).retrieve(QUESTION, 8)
    publish(gate.workspace, folder / "out")
    yield World(gate, folder / "out", plain, ranked)
    gate.close()


def test_the_order_is_what_the_formula_says_and_nothing_is_lost(world: World) -> None:
    merits = {BLOG: -0.5, WIKI: 0.5, MIRROR: 0.5}
    assert {h.document for h in world.ranked.hits} == {h.document for h in world.plain.hits}
    said = {h.document: h.similarity for h in world.plain.hits}
    counted = {name: s + BOUND * merits.get(name, 0.0) * abs(s) for name, s in said.items()}
    for above, below in zip(world.ranked.hits, world.ranked.hits[1:], strict=False):
        assert counted[above.document] >= counted[below.document] - 1e-6
        assert above.rank == below.rank - 1
    assert [h.similarity for h in world.ranked.hits] == [
        pytest.approx(said[h.document]) for h in world.ranked.hits
    ]


def test_a_reader_ranks_as_the_holder_does(world: World) -> None:
    with world.read(BOUND) as reader:
        found = reader.retrieve(QUESTION, 8)
    assert [h.document for h in found.hits] == [h.document for h in world.ranked.hits]
    (path,) = world.out.glob("*/points.snapshot")
    kept = snapshot.load(path.read_bytes(), world.gate.workspace.log_key)
    assert len(kept.table) == 61 * kept.points == 61 * 8
    with world.read(0.0) as reader:
        found = reader.retrieve(QUESTION, 8)
    assert [h.document for h in found.hits] == [h.document for h in world.plain.hits]


def test_a_snapshot_that_was_not_made_for_it_says_so(world: World) -> None:
    plain = world.out.parent / "plain"
    with pytest.raises(UsageError, match="nothing to rank"):
        world.read(BOUND, plain)
    with world.read(0.0, plain) as reader:
        assert len(reader.retrieve(QUESTION, 8).hits) == 8


@pytest.mark.parametrize("bound", [-0.01, 0.11])
def test_a_bound_beyond_its_own_is_refused(world: World, bound: float) -> None:
    with pytest.raises(UsageError, match="expected a share from 0"):
        world.read(bound)


def test_canaries_rank_documents_as_the_retriever_ranks_passages(world: World) -> None:
    workspace = world.gate.workspace
    asked = Canaries({"q": QUESTION}, {"q": {WIKI: 1}})
    plain = canary.run(workspace, asked, 8)
    ranked = canary.run(workspace, asked, 8, ranker=DocumentRanker(workspace, BOUND))
    assert [name for name, _ in plain.rankings["q"]] == [h.document for h in world.plain.hits]
    assert [name for name, _ in ranked.rankings["q"]] == [h.document for h in world.ranked.hits]
