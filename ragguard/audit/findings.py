"""What an audit says: findings under stable rules, the parts that looked, and the report.

A finding names what is wrong with one thing, or with many things of one kind as one event. A part
that could not look says so and why: silence never means clean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ragguard.audit.rules import RULES, Level

State = Literal["done", "partial", "skipped", "failed"]


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong.

    Attributes:
        rule: Name of a rule of `rules.RULES`.
        detail: One sentence for a person; may quote hostile text.
        document: `source/id` of the document concerned; empty when it is about none.
        point: Point id; empty when it is about none, or about many.
        collection: Collection it was found in; empty when it is about none.
        count: How many things of this kind the finding speaks for.
        score: Suspicion in [0, 1], higher is worse; 1 where the rule is exact.
        p_value: Of a statistical rule; `None` where the rule is exact.
        facts: Machine-readable evidence.
        about: What else it is about, when it is about neither document nor point: a source, a
            label, a check.
    """

    rule: str
    detail: str
    document: str = ""
    point: str = ""
    collection: str = ""
    count: int = 1
    score: float = 1.0
    p_value: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""

    @property
    def level(self) -> Level:
        """Gravity of its rule."""
        return RULES[self.rule].level

    @property
    def identity(self) -> str:
        """What makes it the same finding tomorrow: rule, collection, and what it is about."""
        return "\n".join((self.rule, self.collection, self.document or self.point or self.about))


@dataclass(frozen=True)
class Part:
    """One part of the audit, and whether it could look.

    Attributes:
        name: `log`, `index`, `provenance`, `neighbourhoods`, `drift`, `canaries` and the like.
        state: `partial` when it looked at less than all, as was asked (rotation, samples).
        reason: Why it did not do all, in one sentence; empty when done.
        looked_at: How many things it looked at.
        seconds: Wall seconds.
    """

    name: str
    state: State
    reason: str = ""
    looked_at: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Place:
    """A point on the map of the embedding space.

    Attributes:
        x: Horizontal, in [0, 1].
        y: Vertical, in [0, 1].
        source: Source of its document.
        document: `source/id`.
        suspect: Whether a finding names the document.
    """

    x: float
    y: float
    source: str
    document: str
    suspect: bool = False


@dataclass(frozen=True)
class SourceRow:
    """A line of the table of sources.

    Attributes:
        source: Name.
        documents: Serving now.
        quarantined: Waiting now.
        arrived: Documents that came since the last audit.
        suspects: Documents that findings name.
        drift: Effect size of the embedding shift since the last audit, `None` where unknown.
        p_value: Of that shift.
        state: `current`, `stale`, `revoked`, `unsigned`, or what else holds for its provenance.
    """

    source: str
    documents: int
    quarantined: int = 0
    arrived: int = 0
    suspects: int = 0
    drift: float | None = None
    p_value: float | None = None
    state: str = "current"


@dataclass(frozen=True)
class AuditReport:
    """Everything an audit has to say; terminal, JSON, SARIF, metrics and page are drawn from it.

    Attributes:
        at: The run's time, as text.
        version: ragguard's.
        name: Workspace or collection that was audited, for titles.
        collection: Physical collection; with `quarantine` beside it where there is one.
        counts: `points`, `documents`, `quarantined_points` and other totals.
        parts: What looked, in order.
        findings: Everything found, the gravest first.
        sources: Per source.
        health: Retrieval health: shares in [0, 1] by name, such as `signed` or `current`.
        series: Per measure, its value at the last audits and now, oldest first, as (time, value).
        fresh: Identities of findings that the last audit did not have; all at a first audit.
        gone: Findings of the last audit that are no more.
        places: A sample of points for the map, suspects always among them.
        previous: When the last audit was; empty at the first.
        rotation: What of a rotation was covered, such as `{"slice": 3, "of": 30}`; else empty.
        memory_bytes: Peak resident memory.
    """

    at: str
    version: str
    name: str
    collection: str
    counts: Mapping[str, int] = field(default_factory=dict)
    parts: Sequence[Part] = ()
    findings: Sequence[AuditFinding] = ()
    sources: Sequence[SourceRow] = ()
    health: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()
    gone: Sequence[AuditFinding] = ()
    places: Sequence[Place] = ()
    previous: str = ""
    rotation: Mapping[str, int] = field(default_factory=dict)
    memory_bytes: int = 0

    @property
    def levels(self) -> Counter[Level]:
        """Findings by level."""
        return Counter(f.level for f in self.findings)

    @property
    def incomplete(self) -> list[Part]:
        """Parts that did not do what was asked."""
        return [p for p in self.parts if p.state == "failed"]

    def exit_code(self, fail_on: Level = "warning") -> int:
        """3 for broken integrity, 5 for a part that failed, 1 for findings of a level, else 0.

        Args:
            fail_on: The mildest level that counts as something to look at.
        """
        if any(RULES[f.rule].integrity for f in self.findings):
            return 3
        if self.incomplete:
            return 5
        order: list[Level] = ["note", "warning", "error"]
        worst = max((order.index(f.level) for f in self.findings), default=-1)
        return 1 if worst >= order.index(fail_on) else 0
