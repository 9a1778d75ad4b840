"""Two collections side by side, on the exact store."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from ragguard.rebuild.compare import contrast, lines
from ragguard.store import Point, Store
from ragguard.store.memory import MemoryStore

TOPICS = ("legal", "sales", "people")


def points(
    count: int, *, d: int = 16, flipped: frozenset[int] = frozenset(), seed: int = 0
) -> list[Point]:
    """Documents of two chunks each, on three subjects; some say the wrong department."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((3, d)) * 3
    made = []
    for n in range(count):
        topic = n % 3
        said = TOPICS[(topic + 1) % 3] if n in flipped else TOPICS[topic]
        for chunk in range(2):
            vector = centres[topic] + rng.standard_normal(d) * 0.5
            vector = (vector / np.linalg.norm(vector)).astype(np.float32)
            fields = {"source": "wiki", "document": f"{n}.md"}
            payload = {
                "page_content": "x",
                "metadata": {"department": said, "title": f"no {n}", "pages": 1.5},
                "ragguard": fields,
            }
            made.append(Point(str(UUID(int=1000 * n + chunk + 1)), vector, payload))
    return made


@pytest.fixture
def store() -> Store:
    made = MemoryStore()
    for name, found in {
        "old": points(60, flipped=frozenset({4, 7})),
        "same": points(60, flipped=frozenset({4, 7})),
        "clean": [p for p in points(60) if p.payload["ragguard"]["document"] not in ("4.md",)],
        "narrow": points(60, d=8),
        "half": points(30, flipped=frozenset({4, 7})),
        "empty": [],
    }.items():
        made.create(name, 8 if name == "narrow" else 16)
        if found:
            made.upsert(name, found)
    return made


def test_an_equal_collection_is_no_different(store: Store) -> None:
    found = contrast(store, "old", "same")
    assert found.before == found.after
    assert (found.distance, found.neighbours, found.shared) == (0.0, 1.0, 60)
    assert (found.before.documents, found.before.chunks, found.before.sampled) == (60, 120, 120)


def test_labels_against_their_neighbours_are_counted_by_value(store: Store) -> None:
    found = contrast(store, "old", "clean")
    before, after = found.before.noise["department"], found.after.noise["department"]
    assert (before.judged, before.odd, before.share) == (60, 2, 2 / 60)
    assert (after.judged, after.odd) == (59, 0)
    assert before.by_value == {"legal": (20, 0), "people": (22, 2), "sales": (18, 0)}
    assert found.before.labels == {"department": {"legal": 20, "people": 22, "sales": 18}}
    assert set(found.after.noise) == {"department"}
    assert "department 3.3% of 60 -> 0.0% of 59" in "\n".join(lines(found))


def test_other_dimensions_have_no_distance_but_neighbours(store: Store) -> None:
    found = contrast(store, "old", "narrow")
    assert found.distance is None
    assert 0.3 < found.neighbours < 1.0
    assert (found.before.dimensions, found.after.dimensions) == (16, 8)
    assert "distance" not in next(lines(found))


def test_a_part_that_is_gone_moves_the_distance(store: Store) -> None:
    store.create("one", 16)
    store.upsert("one", [p for p in points(60) if p.payload["metadata"]["department"] == "legal"])
    found = contrast(store, "old", "one")
    assert found.distance is not None
    assert found.distance > 0.3
    assert found.after.noise == {}
    assert found.after.concentration > found.before.concentration


def test_both_sides_are_sampled_by_name_and_whole_documents(store: Store) -> None:
    found = contrast(store, "old", "half", most=20)
    assert (found.before.sampled, found.before.documents) == (20, 60)
    assert found.after.sampled == 20
    every = contrast(store, "old", "old", most=20)
    assert every.shared == 10
    assert every.neighbours == 1.0
    assert contrast(store, "old", "half", most=20) == found


def test_an_empty_collection_is_said_to_be_empty(store: Store) -> None:
    found = contrast(store, "old", "empty")
    assert (found.after.documents, found.after.sampled, found.shared) == (0, 0, 0)
    assert found.distance is None
    assert len(list(lines(found))) == 3
    assert found.as_dict()["after"]["noise"] == {}
