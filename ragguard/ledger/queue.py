"""Choose and group the cases of a reviewer's queue, with the versions they are about.

Cases of one cause are one group, to be decided once. A cause is a campaign (what the first finding
names: companions, a twin, a copy, a rejected text) or a family (one source, one check, one and the
same evidence). Groups are worked out from the open cases whenever they are asked for; nothing of
them is kept.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import sqlalchemy as sa

from ragguard.ledger.cases import CaseRow
from ragguard.ledger.evidence import as_finding, evidence_key, is_particular, others
from ragguard.ledger.tables import cases, commits, versions
from ragguard.ledger.versions import VersionRow, version_of
from ragguard.model import Finding

SHORT, LONG = 8, 16  # hexadecimal digits of a group's name
Kind = Literal["campaign", "family", "alone"]


@dataclass(frozen=True)
class Entry:
    """A case and the version it is about.

    Attributes:
        version: `None` for a removal.
        findings: Of the version, the most telling first.
    """

    case: CaseRow
    version: VersionRow | None
    findings: tuple[Finding, ...]

    @property
    def label(self) -> str:
        """`source/id`; the source alone for a removal."""
        return f"{self.case.source}/{self.case.document}" if self.version else self.case.source

    @property
    def check(self) -> str:
        """Check of the first finding: why it waits; empty for a removal."""
        return self.findings[0].check if self.findings else ""

    @property
    def score(self) -> float:
        """Combined suspicion; that of a removal goes before all."""
        return self.version.score if self.version else 1.0

    @cached_property
    def named(self) -> Sequence[str]:
        """Documents that the first finding names."""
        return others(self.findings[0]) if self.version and self.findings else ()

    @cached_property
    def evidence(self) -> str:
        """Identity of the first finding's evidence in this source; empty where it is none."""
        if not self.version or not self.findings or not is_particular(self.findings[0]):
            return ""
        return f"{self.case.source} {evidence_key(self.findings[0])}"


@dataclass(frozen=True)
class Choice:
    """Which cases are meant; all conditions at once.

    Attributes:
        checks: Check of the first finding; any when empty.
        sources: Sources; any when empty.
        since: Opened at this time or later, by the log; any when empty.
        commit: Opened by this commit; any when `None`.
    """

    checks: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    since: str = ""
    commit: int | None = None

    def takes(self, entry: Entry) -> bool:
        """Tell whether a case is among them."""
        case = entry.case
        return (
            (not self.checks or entry.check in self.checks)
            and (not self.sources or case.source in self.sources)
            and (not self.since or case.opened_at >= self.since)
            and (self.commit is None or case.opened == self.commit)
        )


@dataclass(frozen=True)
class Group:
    """Open cases of one cause.

    Attributes:
        id: `g` and eight hexadecimal digits that stand for just these cases of these documents:
            when another joins, the group has another name, so that nobody decides on what he has
            not seen.
        entries: Its cases, the most suspicious first.
    """

    id: str
    kind: Kind
    entries: tuple[Entry, ...]

    @property
    def sources(self) -> list[str]:
        """Its sources, in order."""
        return sorted({e.case.source for e in self.entries})

    @property
    def checks(self) -> list[str]:
        """Checks of first findings, the most frequent first."""
        counts = Counter(e.check for e in self.entries if e.check)
        return sorted(counts, key=lambda name: (-counts[name], name))


def entries(
    conn: sa.Connection,
    *,
    state: str | None = "open",
    choice: Choice | None = None,
    after: int = 0,
) -> list[Entry]:
    """List cases in a state (`None`: all, `closed`: all but open ones) with versions, oldest first.

    Args:
        state: Of the cases.
        choice: Which of them.
        after: Only cases with a higher number.
    """
    choice = choice or Choice()
    query = (
        sa.select(
            *(c.label(f"case_{c.name}") for c in cases.c),
            commits.c.at.label("case_opened_at"),
            *versions.c,
        )
        .join(commits, commits.c.id == cases.c.opened)
        .join(versions, versions.c.id == cases.c.version, isouter=True)
        .where(cases.c.id > after)
        .order_by(cases.c.id)
    )
    if state == "closed":
        query = query.where(cases.c.state != "open")
    elif state is not None:
        query = query.where(cases.c.state == state)
    if choice.sources:
        query = query.where(cases.c.source.in_(sorted(choice.sources)))
    if choice.since:
        query = query.where(commits.c.at >= choice.since)
    if choice.commit is not None:
        query = query.where(cases.c.opened == choice.commit)
    candidates = (_entry(row) for row in conn.execute(query))
    return [entry for entry in candidates if choice.takes(entry)]


def _entry(row: sa.Row[*tuple[Any, ...]]) -> Entry:
    case = CaseRow(*(getattr(row, f"case_{name}") for name in CaseRow.__dataclass_fields__))
    version = version_of(row) if case.version is not None and row.id is not None else None
    return as_entry(case, version)


def as_entry(case: CaseRow, version: VersionRow | None) -> Entry:
    """Return a case with its version and what is said of it."""
    findings = tuple(as_finding(f) for f in version.findings) if version else ()
    return Entry(case, version, findings)


def groups(rows: Iterable[Entry]) -> list[Group]:
    """List cases by cause: connected by what their first findings name, or by the same evidence.

    Returns:
        The groups, most suspicious first; removals are each alone.
    """
    every = list(rows)
    tree: dict[str, str] = {}

    def root(node: str) -> str:
        while tree.setdefault(node, node) != node:
            tree[node] = node = tree[tree[node]]
        return node

    linked: set[str] = set()
    for entry in every:
        if entry.named:
            linked.add(entry.label)
        nodes = [f"document {name}" for name in entry.named]
        if entry.evidence:
            nodes.append(f"evidence {entry.evidence}")
        for node in nodes:
            tree[root(node)] = root(f"document {entry.label}")
    members: dict[str, list[Entry]] = {}
    for entry in every:
        node = f"document {entry.label}" if entry.version else f"case {entry.case.id}"
        members.setdefault(root(node), []).append(entry)
    by_name: dict[str, Group] = {}
    for cluster in members.values():
        cluster.sort(key=lambda e: (-e.score, e.case.id))
        name = _name(cluster, SHORT)
        name = _name(cluster, LONG) if name in by_name else name
        kind: Kind = "alone"
        if len(cluster) > 1:
            kind = "campaign" if any(e.label in linked for e in cluster) else "family"
        by_name[name] = Group(name, kind, tuple(cluster))
    return sorted(by_name.values(), key=lambda g: (-g.entries[0].score, g.entries[0].case.id))


def _name(members: Sequence[Entry], digits: int) -> str:
    identities = sorted(
        f"{e.case.id}\0{e.label}\0{e.version.digest if e.version else ''}" for e in members
    )
    return "g" + hashlib.sha256("\n".join(identities).encode()).hexdigest()[:digits]
