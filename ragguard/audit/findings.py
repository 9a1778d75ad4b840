"""Collect the findings of an audit under stable rules, the parts that looked, and the report.

A finding names what is wrong with one thing, or with many things of one kind as one event. A part
that could not look says so and why: silence never means clean.

Findings of one kind, told one by one while they are few and as one event when they are many.

An index that was wrecked must not fill memory or a page: past `FEW` findings of a rule in a
collection only a count, a sample, and what they concern are kept.

Bookkeeping of an audit: which parts looked, how long it took, and what they found.

A part that fails is written down with its reason and stops no other part; the audit then did not do
what it was asked.
"""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from ragguard.audit.rules import RULES, Level
from ragguard.corpus import spans
from ragguard.errors import LockedError, RagguardError
from ragguard.model import Progress

State = Literal["done", "partial", "skipped", "failed"]
FEW = 50  # findings of one kind told one by one
SAMPLE = 20  # named in a finding that speaks for many
logger = logging.getLogger(__name__)


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
class MapPoint:
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
class SourceLine:
    """A line of the table of sources.

    Attributes:
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
class AnsweredRow:
    """A document among the answers.

    Attributes:
        document: `source/id`.
        questions: Different questions that it was given for.
        share: Of all different questions, in [0, 1].
        new: Whether it came within the days that were looked at.
        alike: Mean cosine of two of these questions, more is alike; `None` where unknown.
    """

    document: str
    questions: int
    share: float
    new: bool
    alike: float | None


@dataclass(frozen=True)
class Answers:
    """What the retrieval log says of the last days.

    Attributes:
        answers: Answers that were logged.
        questions: Different questions.
        since: When the first was given, as text; empty where there is none.
        damaged: Lines of the log that cannot be read.
        lost: Answers that could not be logged, as far as told.
        stale: Passages of an older version than served then, by a reader's snapshot.
        documents: Those given for most questions, these first.
    """

    answers: int
    questions: int
    since: str
    damaged: int = 0
    lost: int = 0
    stale: int = 0
    documents: Sequence[AnsweredRow] = ()


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
        answers: What the retrieval log says; `None` where none is kept.
    """

    at: str
    version: str
    name: str
    collection: str
    counts: Mapping[str, int] = field(default_factory=dict)
    parts: Sequence[Part] = ()
    findings: Sequence[AuditFinding] = ()
    sources: Sequence[SourceLine] = ()
    health: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()
    gone: Sequence[AuditFinding] = ()
    places: Sequence[MapPoint] = ()
    previous: str = ""
    rotation: Mapping[str, int] = field(default_factory=dict)
    memory_bytes: int = 0
    answers: Answers | None = None

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


@dataclass
class _Kind:
    count: int = 0
    few: list[AuditFinding] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)


class FindingFold:
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
        """List all of them, folded where they are many."""
        findings: list[AuditFinding] = []
        for (rule, collection), kind in self._kinds.items():
            if kind.count <= FEW:
                findings.extend(kind.few)
                continue
            facts: dict[str, Any] = {
                "points": [f.point for f in kind.few if f.point][:SAMPLE],
                "documents": sorted({f.document for f in kind.few if f.document})[:SAMPLE],
                "sources": dict(kind.sources),
                "first": kind.few[0].detail,
            }
            detail = f"{kind.count:,} {self._sentences[rule]}"
            findings.append(
                AuditFinding(rule, detail, collection=collection, count=kind.count, facts=facts)
            )
        return findings


@dataclass
class Note:
    """What a part says of itself while it runs."""

    looked_at: int = 0
    state: State = "done"
    reason: str = ""

    def skip(self, reason: str) -> None:
        """Say that it had nothing to look at."""
        self.state, self.reason = "skipped", reason

    def less(self, reason: str) -> None:
        """Say that it looked at less than all, as was asked."""
        self.state, self.reason = "partial", reason


@dataclass
class RunningAudit:
    """Parts and findings of the audit that runs."""

    progress: Progress
    parts: list[Part] = field(default_factory=list)
    findings: list[AuditFinding] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[Note]:
        """Run a part; what goes wrong in it is written down and goes no further."""
        note, began = Note(), time.perf_counter()
        self.progress(name, 0, 1)
        with spans.span(name):
            try:
                yield note
            except LockedError:
                raise
            except RagguardError as error:
                note.state, note.reason = "failed", error.message
                spans.failed(type(error).__name__)
            except Exception as error:
                # Nothing is swallowed: the part is told as failed in every report, the exit code is
                # 5, and the traceback is logged. Else one bug would hide what all other parts
                # found, and whoever can provoke it could silence the audit.
                logger.exception("the part %s of the audit failed", name)
                note.state, note.reason = "failed", f"{type(error).__name__}: {error}"[:300]
                spans.failed(type(error).__name__)
            spans.tell({"ragguard.state": note.state, "ragguard.looked_at": note.looked_at})
        spent = time.perf_counter() - began
        self.progress(name, 1, 1)
        self.parts.append(Part(name, note.state, note.reason, note.looked_at, round(spent, 3)))

    def add(self, findings: Sequence[AuditFinding]) -> None:
        """Write findings down."""
        self.findings.extend(findings)


def peak_memory() -> int:
    """Peak resident memory of this process in bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
