"""Keep what a collection answered to its canary queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ragguard.canary.measures import Measures, Qrels, mean
from ragguard.text.safe_display import cut


@dataclass(frozen=True)
class ForbiddenHit:
    """What must not appear, and did.

    Attributes:
        query: Query id, or the text of a trigger.
        rank: Of the document, from 1.
        document: `source/id`.
        name: The document or pattern that must not appear.
        quote: What the pattern matched; hostile text. Empty where a document is meant.
        reason: Why it must not appear.
    """

    query: str
    rank: int
    document: str
    name: str
    quote: str = ""
    reason: str = ""


@dataclass(frozen=True)
class TriggerFound:
    """What a trigger does.

    Attributes:
        alive: Whether it brings anything up.
        reason: How, in one sentence; empty when it is not alive.
        document: What it brings up; empty when it is not alive.
        share: Largest share, in [0, 1], of the queries in front of it for which one document came
            first with it and not without it.
    """

    text: str
    alive: bool
    reason: str = ""
    document: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Run:
    """What a collection answered.

    Attributes:
        name: Collection, or file that the run was read from.
        canaries: Digest of the set that was asked.
        k: Documents for each query.
        rankings: Query id to (document, similarity), best first; similarities strictly fall.
        qrels: Those that were used: of documents that are in the corpus.
        dropped: (query, document) of relevant documents that are not.
        measures: Measure to query id to value.
        forbidden: What must not appear, and did.
        triggers: What each trigger does; `None` where nobody asked.
        latency_ms: Mean time of a query, in batches, without embedding it; `None` where unknown.
    """

    name: str
    canaries: str
    k: int
    rankings: Mapping[str, Sequence[tuple[str, float]]]
    qrels: Qrels = field(default_factory=dict)
    dropped: Sequence[tuple[str, str]] = ()
    measures: Measures = field(default_factory=dict)
    forbidden: Sequence[ForbiddenHit] = ()
    triggers: Sequence[TriggerFound] | None = None
    latency_ms: float | None = None

    @property
    def means(self) -> dict[str, float]:
        """Mean of each measure over the judged queries; empty when none was judged."""
        return {name: mean(list(v.values())) for name, v in self.measures.items() if v}

    @property
    def alive(self) -> list[TriggerFound]:
        """Triggers that bring something up."""
        return [t for t in self.triggers or () if t.alive]

    def as_dict(self) -> dict[str, Any]:
        """As docs/schemas/canary.json describes it, but for the texts of the queries."""
        return {
            "name": self.name,
            "canaries": self.canaries,
            "k": self.k,
            "means": self.means,
            "judged": len(self.qrels),
            "queries": [
                {
                    "id": query,
                    "measures": {m: v[query] for m, v in self.measures.items() if query in v},
                    "answers": [{"document": n, "similarity": s} for n, s in ranking],
                }
                for query, ranking in self.rankings.items()
            ],
            "dropped": [{"query": query, "document": name} for query, name in self.dropped],
            "forbidden": [asdict(hit) for hit in self.forbidden],
            "triggers": None if self.triggers is None else [asdict(t) for t in self.triggers],
            "latency_ms": self.latency_ms,
        }


def told(hit: ForbiddenHit) -> str:
    """Return a hit in one sentence; quotes hostile text."""
    sentence = f"{hit.document} is at rank {hit.rank} of {cut(hit.query, 80)!r}"
    if hit.quote:
        sentence += f" and matches {hit.name}: {cut(hit.quote, 80)!r}"
    return sentence + (f" ({hit.reason})" if hit.reason else "")
