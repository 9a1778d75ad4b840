"""Spools made by hand: what an audit's neighbourhoods and checks look at, without an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from ragguard.audit.index.spool import Spool
from ragguard.audit.index.spool_writer import Spooler
from ragguard.store import Point
from tests.support.checks.views import unit

D = 48
WORDS = [a + b + c for a in ("ka", "lo", "mi", "su") for b in "rntdv" for c in ("al", "en", "or")]


@dataclass(frozen=True)
class Passage:
    """One chunk.

    Attributes:
        document: `source/id`.
        vector: Unit length.
        text: What it says.
        arrived: Commit that brought it.
        waits: Whether it is in quarantine.
        metadata: Of its document.
    """

    document: str
    vector: np.ndarray
    text: str
    arrived: int = 1
    waits: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


def spooled(folder: Path, passages: Sequence[Passage]) -> Spool:
    """A spool of them, in their order within each zone."""
    with Spooler(folder / "spool", "k", len(passages[0].vector) if passages else D) as spooler:
        for zone, waits in (("serving", False), ("quarantine", True)):
            points = []
            for number, passage in enumerate(passages):
                if passage.waits is waits:
                    source, _, name = passage.document.partition("/")
                    own = {"source": source, "document": name, "commit": passage.arrived}
                    payload = {
                        "page_content": passage.text,
                        "metadata": dict(passage.metadata),
                        "ragguard": own,
                    }
                    points.append(Point(str(UUID(int=number)), passage.vector, payload))
            spooler.add(zone, points)
        return spooler.finish()


def prose(seed: int, size: int = 30) -> str:
    """Words of no language; any two texts share few."""
    rng = np.random.default_rng([seed, 5])
    return " ".join(f"{WORDS[i]}{j}" for i, j in rng.integers(0, len(WORDS), (size, 2)).tolist())


def crowd(n: int = 500, seed: int = 0, subjects: int = 12) -> list[Passage]:
    """Honest documents of one chunk on some subjects."""
    rng = np.random.default_rng(seed)
    topics = [unit(rng.standard_normal(D)) for _ in range(subjects)]
    return [
        Passage(
            f"wiki/{i}.md",
            unit(topics[rng.integers(subjects)] + 0.6 * unit(rng.standard_normal(D))),
            prose(1000 * seed + i),
            arrived=1 + i // 10,
        )
        for i in range(n)
    ]


def campaign(
    beside: Sequence[Passage], size: int = 4, seed: int = 0, texts: Sequence[str] = ()
) -> list[Passage]:
    """Documents that say one thing in different words, on a subject of others."""
    rng = np.random.default_rng([seed, 9])
    centre = unit(beside[7].vector + 1.0 * unit(rng.standard_normal(D)))
    return [
        Passage(
            f"wiki/planted-{seed}-{i}.md",
            unit(centre + 0.25 * unit(rng.standard_normal(D))),
            texts[i] if texts else prose(10**6 + 100 * seed + i),
        )
        for i in range(size)
    ]
