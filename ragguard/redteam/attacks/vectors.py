"""Simulate vectors written straight into the index: hubs near everything, and noise.

They never came in by the door: text and vector do not belong together. Hubs sit at the centroids of
the corpus's regions, where they are near many questions at once (Xue et al., "BadRAG", 2024; Chen
et al., "AgentPoison", NeurIPS 2024); noise is what random or damaged writes look like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.model import Floats
from ragguard.redteam.attacks import HonestDocument, PoisonDocument, Target, attack
from ragguard.redteam.attacks.orders import order


@dataclass(frozen=True)
class HubParams:
    """Tunable values."""

    documents: int = 5  # for each region
    per_region: int = 40  # passages of a region, about
    jitter: float = 0.05  # length of the random step away from the centroid


@attack("hub_vectors", family="isolation", params=HubParams)
def hub_vectors(
    target: Target, rng: np.random.Generator, campaigns: int, params: HubParams
) -> list[PoisonDocument]:
    """Write vectors at the centroids of regions, where they are near many questions."""
    if len(target.passages) < 2:
        return []
    vectors = _matrix(target)
    wanted = min(max(campaigns, len(vectors) // params.per_region), len(vectors), 400)
    centroids, sizes = _regions(vectors, wanted, rng)
    largest = np.argsort(-sizes, kind="stable")[:campaigns]
    planted: list[PoisonDocument] = []
    for number, region in enumerate(largest.tolist()):
        for copy in range(params.documents):
            step = rng.standard_normal(vectors.shape[1])
            step *= params.jitter / float(np.linalg.norm(step))
            planted.append(
                _written("hub_vectors", number, copy, centroids[region] + step, target, rng)
            )
    return planted


@dataclass(frozen=True)
class NoiseParams:
    """Tunable values."""

    documents: int = 5  # for each campaign


@attack("noise_vectors", family="isolation", params=NoiseParams)
def noise_vectors(
    target: Target, rng: np.random.Generator, campaigns: int, params: NoiseParams
) -> list[PoisonDocument]:
    """Write random vectors, every other campaign in directions the corpus spreads in."""
    if not target.passages:
        return []
    vectors = _matrix(target).astype(np.float64)
    sample = vectors[rng.permutation(len(vectors))[:2000]]
    middle = sample.mean(axis=0)
    _, spread, directions = np.linalg.svd(sample - middle, full_matrices=False)
    scale = spread / max(1.0, float(np.sqrt(len(sample))))
    planted: list[PoisonDocument] = []
    for number in range(campaigns):
        for copy in range(params.documents):
            if number % 2:
                vector = middle + (rng.standard_normal(len(scale)) * scale) @ directions
            else:
                vector = rng.standard_normal(vectors.shape[1])
            planted.append(_written("noise_vectors", number, copy, vector, target, rng))
    return planted


def _written(
    name: str,
    number: int,
    copy: int,
    vector: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    target: Target,
    rng: np.random.Generator,
) -> PoisonDocument:
    host: HonestDocument = target.passages[int(rng.integers(len(target.passages)))]
    exact = np.asarray(vector, dtype=np.float64)
    return PoisonDocument(
        id=f"{name}-{number:04d}-{copy}",
        # Half of them carry an order, half the text of an honest passage somewhere else.
        text=order(rng)[1] if rng.random() < 0.5 else host.text,
        campaign=f"{name}-{number:04d}",
        metadata=host.metadata,
        vector=(exact / np.linalg.norm(exact)).astype(np.float32),
    )


def _matrix(target: Target) -> Floats:
    return np.stack([passage.vector for passage in target.passages])


def _regions(
    vectors: Floats, count: int, rng: np.random.Generator
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Spherical k-means: centroids (count, d) at unit length and how many passages each has.

    At most 20,000 passages are read and eight rounds made: an attacker needs no better.
    """
    sample = vectors[rng.permutation(len(vectors))[:20_000]]
    centroids = sample[:count].copy()
    nearest = np.zeros(len(sample), dtype=np.int64)
    for _ in range(8):
        nearest = np.argmax(sample @ centroids.T, axis=1)
        for region in range(count):
            members = sample[nearest == region]
            if len(members):
                middle = members.mean(axis=0)
                centroids[region] = middle / max(float(np.linalg.norm(middle)), 1e-9)
    return centroids, np.bincount(nearest, minlength=count)
