"""The fuzzing targets hold on what fuzzing begins with, and on that cut short and turned over."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.target import one
from tests.fuzz.targets import TARGETS

TIMES = {"checks": 2}  # what takes long


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_raises_nothing_but_what_it_may(name: str) -> None:
    rng = random.Random(name)
    for seed in TARGETS[name].seeds:
        one(TARGETS[name], seed)
        for _ in range(TIMES.get(name, 40)):
            data = bytearray(seed[: rng.randrange(len(seed) + 1)])
            for _ in range(rng.randrange(6)):
                data.insert(rng.randrange(len(data) + 1), rng.randrange(256))
            one(TARGETS[name], bytes(data))


# The seeds of the others are refused: they are where to begin from.
REFUSED = {
    *("manifest", "adoption", "decision", "note", "root", "inventory"),
    *("bundle", "calibration"),
}


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - REFUSED))
def test_a_seed_is_read_to_its_end(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].read(seed)
