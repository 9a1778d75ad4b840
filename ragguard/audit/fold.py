"""Findings of one kind, told one by one while they are few and as one event when they are many.

An index that was wrecked must not fill memory or a page: past `FEW` findings of a rule in a
collection only a count, a sample, and what they concern are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ragguard.audit.findings import AuditFinding

FEW = 50  # findings of one kind told one by one
SAMPLE = 20  # named in a finding that speaks for many


@dataclass
class _Kind:
    count: int = 0
    few: list[AuditFinding] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)


class Fold:
    """Gathers findings of one rule and collection each.

    Args:
        sentences: By rule, what many of its things are said to be, such as
            `points were never written by ragguard`; the count is put before it.
    """

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self._sentences = sentences
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def add(self, finding: AuditFinding) -> None:
        """Take a finding in."""
        kind = self._kinds.setdefault((finding.rule, finding.collection), _Kind())
        kind.count += finding.count
        if len(kind.few) < FEW:
            kind.few.append(finding)
        source = finding.document.partition("/")[0]
        if source in kind.sources or len(kind.sources) < SAMPLE:
            kind.sources[source] += finding.count

    def findings(self) -> list[AuditFinding]:
        """All of them, folded where they are many."""
        made: list[AuditFinding] = []
        for (rule, collection), kind in self._kinds.items():
            if kind.count <= FEW:
                made.extend(kind.few)
                continue
            facts: dict[str, Any] = {
                "points": [f.point for f in kind.few if f.point][:SAMPLE],
                "documents": sorted({f.document for f in kind.few if f.document})[:SAMPLE],
                "sources": dict(kind.sources),
                "first": kind.few[0].detail,
            }
            detail = f"{kind.count:,} {self._sentences[rule]}"
            made.append(
                AuditFinding(rule, detail, collection=collection, count=kind.count, facts=facts)
            )
        return made
