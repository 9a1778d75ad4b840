from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ragguard.bench.bare_gate import Engine, Gate, Profiles, grow, points
from ragguard.bench.world import draw
from ragguard.detect import lexicon as lexicons
from ragguard.model import FIRST_IMPORT
from tests.bench.conftest import SMALL


@pytest.fixture(scope="module")
def world(build: Any) -> Any:
    return build()


def test_a_grown_lexicon_is_the_one_counted_at_once() -> None:
    first, second = ["the red gate", "the gate opens"], ["the red badge opens"]
    grown = grow(lexicons.count(first, 2), second, 1)
    whole = lexicons.count(first + second, 3)
    assert (grown.documents, grown.words) == (3, whole.words)
    assert (grown.bigrams == whole.bigrams).all()
    assert np.allclose(grown.trigrams, whole.trigrams)


def test_order_of_the_batch_changes_nothing(world: Any) -> None:
    batch = [*world.home[150:190], *draw(world.families["led"], 4, 9, "led", 0)]
    with Gate(world.home[:150], world.dimensions, 0.05, judge=SMALL) as gate:
        one, two = gate.bring(batch, seed=1), gate.bring(batch, seed=2)
    assert one.profile == "corpus"
    assert np.allclose(one.scores, two.scores, atol=1e-3)
    assert (one.quarantined == two.quarantined).mean() > 0.98
    assert one.quarantined[40:].any()


def test_verdicts_are_carried_out_and_the_admitted_count_as_recent(world: Any) -> None:
    led = draw(world.families["led"], 4, 9, "led", 0)
    with Gate(world.home[:150], world.dimensions, 0.05, judge=SMALL) as gate:
        batch = [*world.home[150:190], *led]
        judged = gate.bring(batch, seed=0)
        held = int(judged.quarantined.sum())
        assert 0 < held < len(batch)
        gate.accept(batch, judged)
        assert gate.indexed == 150 + len(batch) - held
        assert gate._store.count("quarantine") == held
        assert not gate._recent()  # one batch that is more than a fifth of the index is no news
        assert gate.fitted == {i.entry.digest for i in world.home[:150]}


def test_an_empty_index_promises_nothing_and_holds_nothing_that_is_merely_unusual(
    world: Any,
) -> None:
    with Gate([], world.dimensions, 0.05) as gate:
        judged = gate.bring(world.home[:60], seed=0)
    assert judged.profile == FIRST_IMPORT
    assert judged.promised == 1.0
    assert not judged.quarantined.any()


def test_engines_agree(world: Any) -> None:
    batch = [*world.home[150:170], *draw(world.families["led"], 4, 3, "led", 0)]
    engines: tuple[Engine, ...] = ("memory", "edge")
    said = []
    for engine in engines:
        with Gate(world.home[:150], world.dimensions, 0.05, engine, SMALL) as gate:
            said.append(gate.bring(batch, seed=1))
    assert np.allclose(said[0].scores, said[1].scores, atol=1e-3)


def test_a_gate_made_again_uses_what_was_fitted_on_the_same_index(world: Any) -> None:
    known: Profiles = {}
    batch, said = world.home[150:180], []
    for _ in range(2):
        with Gate(world.home[:150], world.dimensions, 0.05, judge=SMALL, known=known) as gate:
            said.append(gate.bring(batch, seed=1))
    ((profile, indexed),) = known.values()
    assert (profile.name, indexed) == ("corpus", 150)
    assert said[0].scores.tolist() == said[1].scores.tolist()


def test_what_is_fitted_after_arrivals_stays_with_that_gate(world: Any) -> None:
    known: Profiles = {}
    with Gate(world.home[:120], world.dimensions, 0.05, judge=SMALL, known=known) as gate:
        gate.accept(world.home[120:160], gate.bring(world.home[120:160], seed=0))
        before = {held: fitted[1] for held, fitted in known.items()}
        gate.bring(world.home[160:200], seed=0)  # grown by more than a fifth: fitted again
        assert list(before.values()) == [120]
        assert {held: fitted[1] for held, fitted in known.items()} == before
        assert {n for _, n in gate._profiles.values()} == {gate.indexed}
        assert gate.indexed > 144


def test_what_is_pulled_leaves_the_index_and_waits(world: Any) -> None:
    first, second = world.home[150:160], world.home[160:170]
    with Gate(world.home[:150], world.dimensions, 0.05, judge=SMALL) as gate:
        judged = gate.bring(first, seed=0)
        gate.accept(first, replace(judged, quarantined=np.zeros(10, dtype=np.bool_)))
        assert gate._recent() == {i.prepared.label for i in first}  # less than a fifth of 160
        pulled = first[3].prepared
        later = replace(
            gate.bring(second, seed=0),
            quarantined=np.zeros(10, dtype=np.bool_),
            pulled={pulled.label: 0.9},
        )
        gate.accept(second, later)
        assert gate.indexed == 150 + 19
        assert gate._lexicon.documents == 150 + 19
        waiting = [p.id for block in gate._store.scan("quarantine") for p in block]
        assert waiting == [p.id for p in points(pulled)]
        assert not gate._store.get("serving", waiting)
        assert pulled.label not in gate._recent()
