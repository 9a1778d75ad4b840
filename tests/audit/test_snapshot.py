from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ragguard.audit import snapshot as snapshots
from ragguard.audit.snapshot import AuditedCorpus, dump_snapshot, load_snapshot, snapshot
from ragguard.errors import LedgerError
from tests.support.audit.nights import KEY, Nights


@pytest.fixture(scope="module")
def world() -> Nights:
    made = Nights(sizes={"wiki": 300, "vendor": 40})
    made.audit()
    made.grow()
    return made


def test_what_is_stored_comes_back(world: Nights) -> None:
    taken = world.snapshot(measures={"signed": 0.5})
    data = dump_snapshot(taken)
    back = load_snapshot(data)
    assert dump_snapshot(back) == data
    assert (back.at, back.arrived, back.measures) == (taken.at, taken.arrived, {"signed": 0.5})
    for name, group in taken.groups.items():
        np.testing.assert_array_equal(back.groups[name].sample, group.sample)
        assert back.groups[name].labels == group.labels
    np.testing.assert_array_equal(back.scores["isolation"], taken.scores["isolation"])
    assert len(data) < 300_000


def test_counts_are_those_of_the_corpus(world: Nights) -> None:
    taken = world.snapshot()
    assert taken.documents == len(world.names)
    assert taken.points == 2 * taken.documents
    assert taken.groups["source wiki"].documents == world.sources.count("wiki")
    assert sum(taken.groups["source wiki"].labels["department"].values()) == world.sources.count(
        "wiki"
    )
    assert taken.groups["label department=team 1"].documents == world.labels.count("team 1")
    assert taken.arrived == {s: world.sources[world.seen :].count(s) for s in ("wiki", "vendor")}
    assert len(taken.groups["source wiki"].sample) == snapshots.SAMPLE
    assert len(taken.groups["source vendor"].sample) == world.sources.count("vendor")


def test_order_does_not_matter(world: Nights) -> None:
    n = len(world.names)
    mixed = np.random.default_rng(0).permutation(n)
    corpus = AuditedCorpus(
        np.concatenate([world.vectors[i] for i in mixed]),
        np.repeat(np.arange(n), 2),
        [world.names[i] for i in mixed],
        [world.sources[i] for i in mixed],
        {"department": [world.labels[i] for i in mixed]},
        {"isolation": np.concatenate([world.scores[i] for i in mixed])},
        mixed >= world.seen,
    )
    assert dump_snapshot(world.snapshot(corpus=corpus)) == dump_snapshot(world.snapshot())


def test_the_sample_is_of_the_same_documents_as_long_as_they_are_there(world: Nights) -> None:
    before = world.snapshot().groups["source wiki"].sample
    corpus = world.corpus(vectors=np.concatenate(world.vectors))
    kept = np.array([not name.endswith("7.md") for name in world.names])
    rows = np.repeat(kept, 2)
    fewer = AuditedCorpus(
        corpus.vectors[rows],
        np.repeat(np.arange(int(kept.sum())), 2),
        [n for n, k in zip(world.names, kept, strict=True) if k],
        [s for s, k in zip(world.sources, kept, strict=True) if k],
    )
    after = world.snapshot(corpus=fewer).groups["source wiki"].sample
    shared = {r.tobytes() for r in before} & {r.tobytes() for r in after}
    assert len(shared) > 0.85 * len(before)


def test_who_does_not_know_the_key_cannot_know_the_sample(world: Nights) -> None:
    one, other = (
        {r.tobytes() for r in world.snapshot(key=key).groups["source wiki"].sample}
        for key in (KEY, b"another")
    )
    assert one != other


def test_points_that_are_not_finite_do_not_break_the_next_audit(world: Nights) -> None:
    vectors = np.concatenate(world.vectors).copy()
    vectors[::5] = np.nan
    vectors[1] = np.inf
    scores = np.full(len(vectors), np.nan)
    taken = world.snapshot(corpus=world.corpus(vectors=vectors, scores={"isolation": scores}))
    back = load_snapshot(dump_snapshot(taken))
    assert np.isfinite(back.groups["source wiki"].sample).all()
    assert len(back.scores["isolation"]) == 0


def test_hostile_labels_are_bounded_and_stored(world: Nights) -> None:
    n = len(world.names)
    labels = [f"\udc80\x00<script>{i}" + "x" * 10_000 for i in range(n)]
    taken = world.snapshot(corpus=world.corpus(labels={"department": labels}))
    data = dump_snapshot(taken)
    assert len(data) < 1_500_000
    counts = load_snapshot(data).groups["source wiki"].labels["department"]
    assert len(counts) == snapshots.LABELS + 1
    assert counts[snapshots.OTHERS] == world.sources.count("wiki") - snapshots.LABELS


def test_only_the_largest_groups_are_kept_one_by_one(
    world: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "GROUPS", 1)
    assert set(world.snapshot().groups) == {"source wiki", "label department=team 0"}


def test_a_corpus_of_nothing_has_a_snapshot() -> None:
    empty = AuditedCorpus(
        np.zeros((0, 8), dtype=np.float32), np.array([], dtype=np.int64), [], [], {"x": []}
    )
    taken = snapshot(empty, at="2026-03-01T12:00:00Z", key=KEY, space="r")
    assert (taken.points, taken.documents, dict(taken.groups)) == (0, 0, {})
    assert load_snapshot(dump_snapshot(taken)).documents == 0


def _set(body: dict[str, Any], path: str, value: Any) -> None:
    *folders, last = path.split(".")
    for name in folders:
        body = body[name]
    body[last] = value


def _reverse(group: dict[str, Any]) -> None:
    group["keys"] = base64.b64encode(base64.b64decode(group["keys"])[::-1]).decode()


DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "format": lambda b: _set(b, "format", "ragguard-snapshot-v2"),
    "field gone": lambda b: b.pop("arrived"),
    "field more": lambda b: _set(b, "extra", 1),
    "time": lambda b: _set(b, "at", "yesterday"),
    "space": lambda b: _set(b, "space", 7),
    "negative": lambda b: _set(b, "points", -1),
    "flag": lambda b: _set(b, "documents", True),
    "count": lambda b: _set(b, "arrived.wiki", 1.5),
    "measure": lambda b: _set(b, "measures.signed", "1"),
    "shift": lambda b: _set(b, "shifts.wiki", None),
    "group": lambda b: _set(b, "groups.source wiki", {}),
    "width": lambda b: _set(b, "groups.source wiki.width", 47),
    "no width": lambda b: _set(b, "groups.source wiki.width", 0),
    "sample": lambda b: _set(b, "groups.source wiki.sample", "%%"),
    "not finite": lambda b: _set(b, "groups.source wiki.sample", "AH4AfgB+"),
    "keys": lambda b: _set(b, "groups.source wiki.keys", "AAAAAAAAAAA="),
    "order": lambda b: _reverse(b["groups"]["source wiki"]),
    "labels": lambda b: _set(b, "groups.source wiki.labels", {"department": {"it": "many"}}),
    "scores": lambda b: _set(b, "scores.isolation", "AAAAAAA="),
    "list": lambda b: _set(b, "fresh", []),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_snapshot_is_refused(world: Nights, kind: str) -> None:
    body = json.loads(dump_snapshot(world.snapshot(measures={"signed": 1.0})))
    DAMAGE[kind](body)
    with pytest.raises(LedgerError, match="not one that this ragguard reads"):
        load_snapshot(json.dumps(body).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xff"])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError):
        load_snapshot(data)
