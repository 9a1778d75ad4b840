"""Rank by provenance: one bounded factor on the similarity. Off by default.

A passage's merit is in [-1, 1]: half of one for what is against it, half for what speaks for it.

    tier          -1/2 where its source is of tier `low`
    age           -1/2 times the share of its source's last manifest that has run out: 0 when it was
                  accepted, 1 when it expires
    findings      -1/2 where it was let in under `observe` with findings, or a newer version waits
    corroboration +1/2 where a passage of an independent source says the same, and neither says
                  otherwise; sources that share a signer are not independent

Its similarity s counts as s + bound * merit * |s|. With the largest bound, 0.1, nothing passes what
is nearer by more than a sixth (1.05 / 0.9): provenance decides between passages that answer alike,
never whether something answers. Merit says nothing of truth, and whoever has two sources' keys can
corroborate himself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ragguard.model import Floats, Ints
from ragguard.serving.contradiction import contradiction
from ragguard.text.words import normalise, words
from ragguard.trust.canonical import parse_time

if TYPE_CHECKING:
    from ragguard.ledger.versions import VersionRow
    from ragguard.workspace import Workspace

MOST_BOUND = 0.1
WIDTH = 4  # times as many passages are ranked as are given
MOST = 40  # passages that may corroborate each other
SAME = 0.6  # Jaccard overlap of words from which two passages say the same
HALF = 0.5


@dataclass(frozen=True)
class SourceFacts:
    """What is known of a source.

    Attributes:
        low: Whether its tier is `low`.
        accepted: When its last manifest was.
        expires: When that expires.
        group: Number of those that share signers with it.
    """

    low: bool
    accepted: datetime | None
    expires: datetime | None
    group: int


class Merits:
    """What is for and against documents, but for corroboration."""

    def __init__(self, workspace: Workspace) -> None:
        from ragguard.ledger import commits

        self._now = workspace.now
        with workspace.ledger.reading() as conn:
            at = {row.id: row.at for row in commits.listed(conn)}
            last = {row.source: row for row in commits.accepted_manifests(conn) if row.version >= 1}
        root = workspace.root
        signers = {
            name: {root.keys[grant.keyid].principal for grant in source.signers}
            for name, source in root.sources.items()
        }
        groups = independent(signers)
        self._sources: dict[str, SourceFacts] = {}
        for name, source in root.sources.items():
            row = last.get(name)
            self._sources[name] = SourceFacts(
                source.policy.tier == "low",
                parse_time(at[row.commit]) if row is not None else None,
                parse_time(row.expires) if row is not None else None,
                groups[name],
            )

    @property
    def groups(self) -> dict[str, int]:
        """Sources by number: those that share a signer have the same."""
        return {name: source.group for name, source in self._sources.items()}

    def of(self, row: VersionRow, newer_waits: bool) -> float:
        """Merit of a version without corroboration, in [-1, 0]."""
        source = self._sources.get(row.source)
        observed = any(dict(f.get("facts") or {}).get("observed") for f in row.findings)
        doubted = newer_waits or (row.outcome == "admit" and observed)
        if source is None:  # adopted: nobody signs for it
            return max(-1.0, -HALF * (1.0 + doubted))
        return max(-1.0, -HALF * (source.low + _used(source, self._now) + doubted))


def _used(source: SourceFacts, now: datetime) -> float:
    if source.accepted is None or source.expires is None:
        return 1.0
    whole = (source.expires - source.accepted).total_seconds()
    run = (now - source.accepted).total_seconds()
    return min(1.0, max(0.0, run / whole)) if whole > 0 else 1.0


def independent(signers: Mapping[str, set[str]]) -> dict[str, int]:
    """Number sources so that those who share a signer, also by a third, have one number."""
    groups = {name: number for number, name in enumerate(sorted(signers))}
    for source, other in combinations(sorted(signers), 2):
        if signers[source] & signers[other] and groups[source] != groups[other]:
            old, new = groups[other], groups[source]
            groups = {name: new if number == old else number for name, number in groups.items()}
    return groups


def corroborated(
    texts: Sequence[str], sources: Sequence[str], groups: Mapping[str, int]
) -> list[bool]:
    """Say which passages another independent source says too.

    Args:
        texts: Passages (n,), the nearest first.
        groups: See `Merits.groups`; a source that has no number corroborates nobody.
    """
    agreed = [False] * len(texts)
    held = [set(words(normalise(text))) for text in texts[:MOST]]
    for a, b in combinations(range(len(held)), 2):
        mine, theirs = groups.get(sources[a]), groups.get(sources[b])
        if mine is None or theirs is None or mine == theirs or (agreed[a] and agreed[b]):
            continue
        both = len(held[a] & held[b])
        if not both or both < SAME * len(held[a] | held[b]):
            continue
        if contradiction([texts[a], texts[b]], [sources[a], sources[b]]) is None:
            agreed[a] = agreed[b] = True
    return agreed


class DocumentRanker:
    """Ranks documents as the retriever ranks passages, for what asks without it (canaries).

    Args:
        bound: See `order`.
    """

    def __init__(self, workspace: Workspace, bound: float) -> None:
        from ragguard.ledger import versions

        with workspace.ledger.reading() as conn:
            serving = versions.members(conn, "serving")
            waiting = versions.members(conn, "quarantine").keys()
        merits = Merits(workspace)
        self._bound, self._groups = bound, merits.groups
        self._merits = {label: merits.of(row, label in waiting) for label, row in serving.items()}

    def rank(
        self, ranking: Sequence[tuple[str, float]], texts: Sequence[str]
    ) -> list[tuple[int, float]]:
        """Rank documents anew.

        Args:
            ranking: Document (`source/id`) and similarity, the nearest first.
            texts: The best passage of each.

        Returns:
            Row and what it counts as, the best first.
        """
        merits = np.array([self._merits.get(label, 0.0) for label, _ in ranking], dtype=np.float32)
        sources = [label.partition("/")[0] for label, _ in ranking]
        merits[np.array(corroborated(texts, sources, self._groups), dtype=bool)] += HALF
        near = np.array([similarity for _, similarity in ranking], dtype=np.float32)
        rows, counted = order(near, merits, self._bound)
        return [(row, float(counted[row])) for row in rows.tolist()]


def order(similarities: Floats, merits: Floats, bound: float) -> tuple[Ints, Floats]:
    """Rank passages.

    Args:
        similarities: (n,), cosine, more is closer.
        merits: (n,), in [-1, 1].
        bound: Largest share of a similarity that merit adds or takes.

    Returns:
        Rows, the best first, ties by row; and what each row counts as.
    """
    counted = similarities + bound * np.clip(merits, -1.0, 1.0) * np.abs(similarities)
    return np.argsort(-counted, kind="stable"), counted
