"""Compare two collections: labels that neighbours contradict, and how vectors lie.

Before and after a rebuild. Both sides are sampled by the same rule, documents by a hash of their
names, so that the same documents are looked at as far as both hold them. What is measured says
that something changed and where; whether the new one may serve, the canaries decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ragguard.detect.view import point_label
from ragguard.knn.graph import occurrence
from ragguard.knn.topk import top_k
from ragguard.model import Floats, Ints
from ragguard.stats import label_vote, two_sample
from ragguard.stats import label_vote as noise
from ragguard.store import Point, Store
from ragguard.text.words import stable_hash

MOST_POINTS = 5000  # looked at on either side
DISTANCES = 1000  # of them, for the distance of the two
DIMENSIONS = 64  # vectors are cut to, for it
K = 10  # neighbours
VOTERS = 24  # chunks that may vote on one, as in the check metadata_vote
LEAST_VOTERS = 4  # fewer say nothing
SHARPNESS = 12.0
MOST_VALUES = 32  # values above which a key names documents, not kinds of them
MOST_KEYS = 8
PAGE = 1000


@dataclass(frozen=True)
class Noise:
    """One metadata key of one side.

    Attributes:
        judged: Documents on which enough neighbours had a say.
        odd: Those whose neighbours say another value.
        by_value: Value to (judged, odd); hostile text.
    """

    judged: int
    odd: int
    by_value: Mapping[str, tuple[int, int]]

    @property
    def share(self) -> float:
        """Of the judged documents, in [0, 1]; 0 where none was judged."""
        return self.odd / self.judged if self.judged else 0.0


@dataclass(frozen=True)
class Side:
    """One collection.

    Attributes:
        documents: It holds.
        chunks: It holds.
        sampled: Chunks looked at.
        dimensions: Of its vectors; 0 of an empty one.
        concentration: Length of the mean vector, in [0, 1].
        hubness: Skewness of how often a chunk is among another's 10 nearest; higher: more hubs.
        labels: Key to value to documents, over the whole collection.
        noise: Key to what its neighbours say, over the sample.
    """

    documents: int
    chunks: int
    sampled: int
    dimensions: int
    concentration: float
    hubness: float
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    noise: Mapping[str, Noise] = field(default_factory=dict)


@dataclass(frozen=True)
class Contrast:
    """Two collections.

    Attributes:
        before: What serves.
        after: What would.
        shared: Sampled documents of both sides.
        distance: Energy coefficient of the two samples, in [0, 1]; `None` where they have not the
            same dimensions. Of vectors of two models it says only that these are two models.
        neighbours: Mean share of a shared document's 10 nearest shared documents that stay; 1
            where none is shared. It holds across models.
    """

    before: Side
    after: Side
    shared: int
    distance: float | None
    neighbours: float

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class _Sample:
    """Of one collection.

    Attributes:
        names: Documents, those with the smallest hashes first.
        metadata: Theirs.
        vectors: float32 (n, d), of their chunks.
        owners: int64 (n,), place in `names` of each.
        documents: Of the whole collection.
        chunks: Of the whole collection.
        labels: Key to value to documents, of the whole collection.
    """

    names: Sequence[str]
    metadata: Sequence[Mapping[str, Any]]
    vectors: Floats
    owners: Ints
    documents: int
    chunks: int
    labels: Mapping[str, Mapping[str, int]]


def contrast(store: Store, before: str, after: str, *, most: int = MOST_POINTS) -> Contrast:
    """Hold two collections against each other; nothing is changed, and nothing drawn by chance.

    Args:
        before: Physical name.
        after: Physical name.
        most: Points looked at on either side.

    Raises:
        StoreError: A collection is not there.
    """
    old, new = _sample(store, before, most), _sample(store, after, most)
    places = {name: n for n, name in enumerate(new.names)}
    shared = [(n, places[name]) for n, name in enumerate(old.names) if name in places]
    distance = None
    if old.vectors.shape[1] == new.vectors.shape[1] and min(len(old.owners), len(new.owners)) > 1:
        rows = [two_sample.project(side.vectors[:DISTANCES], DIMENSIONS) for side in (old, new)]
        distance = two_sample.energy(rows[0], rows[1])
    tables = [
        _nearest(_by_document(side.vectors, side.owners, [pair[at] for pair in shared]))
        for at, side in enumerate((old, new))
    ]
    return Contrast(
        _side(old), _side(new), len(shared), distance, noise.kept_neighbours(tables[0], tables[1])
    )


def lines(delta: Contrast) -> Iterator[str]:
    """Render the comparison in a few lines; values of metadata are hostile text."""
    old, new = delta.before, delta.after
    distance = "" if delta.distance is None else f", distance {delta.distance:.3f}"
    yield (
        f"embeddings: mean length {old.concentration:.3f} -> {new.concentration:.3f}, hubness "
        f"{old.hubness:.2f} -> {new.hubness:.2f}{distance}"
    )
    yield (
        f"neighbours kept: {delta.neighbours:.1%} of the {K} nearest, over {delta.shared} documents"
    )
    told = [
        f"{key} {_told(old.noise.get(key))} -> {_told(new.noise.get(key))}"
        for key in dict.fromkeys((*old.noise, *new.noise))
    ]
    yield f"labels against their neighbours: {', '.join(told) or 'no key that few values share'}"


def _told(noise: Noise | None) -> str:
    return "-" if noise is None or not noise.judged else f"{noise.share:.1%} of {noise.judged}"


def _sample(store: Store, collection: str, most: int) -> _Sample:
    """Return the documents with the smallest hashes, whole ones, as long as their chunks fit."""
    points: dict[str, list[str]] = {}
    known: dict[str, Mapping[str, Any]] = {}
    chunks, held, bound = 0, 0, (2**32, "")
    for block in store.scan(collection):
        for point in block:
            label = point_label(point)
            chunks += 1
            known.setdefault(label, _labels(point))
            if _rank(label) <= bound:
                points.setdefault(label, []).append(point.id)
                held += 1
        while held > 2 * most and len(points) > 1:
            last = max(points, key=_rank)
            held -= len(points.pop(last))
            bound = max(map(_rank, points))
    labels: dict[str, Counter[str]] = {}
    for fields in known.values():
        for key, value in fields.items():
            labels.setdefault(key, Counter())[value] += 1
    kept = 0
    names: list[str] = []
    for name in sorted(points, key=_rank):
        kept += len(points[name])
        if kept > most and names:
            break
        names.append(name)
    owners = {i: n for n, name in enumerate(names) for i in sorted(points[name])}
    wanted = list(owners)
    stored = [
        point
        for start in range(0, len(wanted), PAGE)
        for point in store.get(collection, wanted[start : start + PAGE], vectors=True)
    ]
    return _Sample(
        names,
        [known[name] for name in names],
        np.stack([p.vector for p in stored]) if stored else np.empty((0, 0), dtype=np.float32),
        np.array([owners[p.id] for p in stored], dtype=np.int64),
        len(known),
        chunks,
        {key: dict(labels[key]) for key in _shared_keys(labels)},
    )


def _rank(label: str) -> tuple[int, str]:
    return stable_hash(label), label


def _labels(point: Point) -> dict[str, str]:
    """Return the metadata values that may be labels."""
    fields = point.payload.get("metadata")
    if not isinstance(fields, Mapping):
        return {}
    return {
        str(key): str(value)
        for key, value in fields.items()
        if isinstance(value, str | int | bool) and str(value)
    }


def _shared_keys(labels: Mapping[str, Counter[str]]) -> list[str]:
    """List keys that few values share, the most frequent first."""
    shared = [
        (-sum(values.values()), key)
        for key, values in labels.items()
        if 2 <= len(values) <= min(MOST_VALUES, sum(values.values()) / 3)
    ]
    return [key for _, key in sorted(shared)[:MOST_KEYS]]


def _side(sample: _Sample) -> Side:
    vectors, owners = sample.vectors, sample.owners
    rows, close = top_k(vectors, vectors, VOTERS, owners, owners)
    there = rows >= 0
    voters = owners[rows[there]]
    every = label_vote.ballots(
        np.repeat(owners, there.sum(axis=1)), voters, close[there], VOTERS, SHARPNESS
    )
    hubs = occurrence(rows[:, :K].astype(np.int32), len(rows)) if len(rows) else owners
    return Side(
        sample.documents,
        sample.chunks,
        len(vectors),
        vectors.shape[1],
        noise.concentration(vectors),
        noise.skewness(hubs),
        sample.labels,
        {key: _noise(sample, every, key) for key in sample.labels},
    )


def _noise(sample: _Sample, every: label_vote.Ballots, key: str) -> Noise:
    names = sorted(sample.labels[key])
    number = {name: n for n, name in enumerate(names)}
    codes = np.array([number.get(m.get(key, ""), -1) for m in sample.metadata], dtype=np.int64)
    judged, odd = noise.disagreement(every, codes, len(names), LEAST_VOTERS)
    counts = {
        name: (int(judged[codes == n].sum()), int(odd[codes == n].sum()))
        for name, n in number.items()
    }
    return Noise(int(judged.sum()), int(odd.sum()), counts)


def _by_document(vectors: Floats, owners: Ints, places: Sequence[int]) -> Floats:
    """Return the mean direction of each of some documents: float32 (len(places), d)."""
    if not places:
        return vectors[:0]
    sums = np.zeros((int(owners.max()) + 1, vectors.shape[1]))
    np.add.at(sums, owners, vectors)
    chosen = sums[list(places)]
    means: Floats = (
        chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    ).astype(np.float32)
    return means


def _nearest(vectors: Floats) -> Ints:
    own = np.arange(len(vectors))
    return top_k(vectors, vectors, min(K, max(0, len(vectors) - 1)), own, own)[0]
