"""A corpus that grows night by night, honestly or not, and the snapshots of its audits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from ragguard.audit.drift import DriftResult, compare
from ragguard.audit.snapshot import AuditedCorpus, AuditSnapshot, snapshot
from ragguard.trust.canonical import format_time
from tests.support.simulator import NOW

D = 48
TOPICS = 12
KEY = b"nobody knows this"


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


class Nights:
    """Sources that each have a mixture of subjects; two chunks a document.

    Args:
        seed: Of everything.
        sizes: Documents of each source at the first audit.
    """

    def __init__(self, seed: int = 0, sizes: Mapping[str, int] | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.topics = unit(self.rng.standard_normal((TOPICS, D)))
        self.now = NOW
        self.names: list[str] = []
        self.sources: list[str] = []
        self.labels: list[str] = []
        self.vectors: list[np.ndarray] = []
        self.scores: list[np.ndarray] = []
        self.mixtures: dict[str, np.ndarray] = {}
        self.seen = 0
        self.history: list[AuditSnapshot] = []
        for source, count in (sizes or {"wiki": 300, "vendor": 120}).items():
            self.add(source, count)

    def add(
        self, source: str, count: int, *, topic: np.ndarray | None = None, label: str = ""
    ) -> None:
        """Documents of a source's own subjects and labels, unless told."""
        rng = self.rng
        mixture = self.mixtures.setdefault(source, rng.dirichlet(np.ones(TOPICS)))
        about = self.topics[rng.choice(TOPICS, count, p=mixture)]
        about = about if topic is None else np.tile(topic, (count, 1))
        self.vectors += list(
            unit(about[:, None, :] + 0.6 * unit(rng.standard_normal((count, 2, D))))
        )
        self.names += [f"{source}/{len(self.names) + i}.md" for i in range(count)]
        self.sources += [source] * count
        drawn = [f"team {i}" for i in rng.choice(4, count, p=[0.4, 0.3, 0.2, 0.1])]
        self.labels += [label] * count if label else drawn
        self.scores += list(rng.exponential(size=(count, 2)))

    def grow(self) -> None:
        """An honest day."""
        for source, rate in (("wiki", 8), ("vendor", 4)):
            self.add(source, int(self.rng.poisson(rate)))

    def topic(self) -> np.ndarray:
        """A subject that nobody wrote about."""
        return unit(self.rng.standard_normal(D))

    def corpus(self, *, known: bool = True, **changes: Any) -> AuditedCorpus:
        """What an audit sees; `known` says whether it knows what came since the last."""
        n = len(self.names)
        values: dict[str, Any] = {
            "vectors": np.concatenate(self.vectors),
            "documents": np.repeat(np.arange(n), 2),
            "names": self.names,
            "sources": self.sources,
            "labels": {"department": self.labels},
            "scores": {"isolation": np.concatenate(self.scores)},
            "fresh": np.arange(n) >= self.seen if known else None,
        }
        return AuditedCorpus(**{**values, **changes})

    def snapshot(self, **options: Any) -> AuditSnapshot:
        """What tonight's audit would remember."""
        taken = {"at": format_time(self.now), "key": KEY, "space": "r", **options}
        corpus = taken.pop("corpus", None) or self.corpus(known=taken.pop("known", True))
        counts = {n: taken.pop(n) for n in ("points", "documents", "arrived") if n in taken}
        return replace(snapshot(corpus, **taken), **counts)

    def audit(self, false_alarm_rate: float = 0.01, **options: Any) -> DriftResult:
        """Tonight's audit; remembered for the next, which is a day later."""
        said = compare(self.snapshot(**options), self.history, false_alarm_rate=false_alarm_rate)
        self.history.append(said.snapshot)
        self.seen = len(self.names)
        self.now += timedelta(days=1)
        return said

    def settle(self, count: int = 5) -> None:
        """Honest nights that say nothing of note."""
        for number in range(count):
            if number:
                self.grow()
            self.audit()


def said(comparison: DriftResult) -> set[tuple[str, str]]:
    """Rules and what they are about."""
    return {(f.rule, f.about) for f in comparison.findings}
