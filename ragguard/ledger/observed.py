"""Estimate the false-alarm rate as observed: what reviewers released of the honest judged.

A document counts once for each text it came with. Honest is what was admitted and not rejected
since, and what a reviewer released; a case that waits is not known yet, so a second rate says what
it would be if all of them were honest. Cases that no judgement opened (held by hand, taken back by
a revocation, adopted) say nothing about the gate and are left out; what the contract alone held
counts as admitted once it is released. In observe mode a document that
would have been held counts as one that waits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from ragguard.ledger.cases import CaseRow
from ragguard.ledger.queue import Entry, as_entry
from ragguard.ledger.tables import cases, commits, denials, versions
from ragguard.ledger.versions import version_of
from ragguard.stats.intervals import Interval, wilson

JUDGED = ("ingest",)  # kinds of commits whose verdicts are the gate's
LEAST_DECIDED = 20  # decided cases from which the observed rate binds what is promised
ALWAYS_REVIEW, PROBATION = "always_review", "probation"  # findings by the contract alone
_RANK = ("admitted", "released", "open", "rejected")  # the gravest of a text's states counts


@dataclass(frozen=True)
class ObservedRate:
    """Documents judged, by what is known of them.

    Attributes:
        admitted: Let in, and not rejected since.
        released: Held, and released by a reviewer: false alarms.
        rejected: Held or admitted, and rejected by a reviewer.
        open: Held, and not decided yet; or what would have been held in observe mode.
        by_source: The same of each source.
        by_check: Held ones by the check of their first finding; `admitted` is that of all.
    """

    admitted: int
    released: int
    rejected: int
    open: int
    by_source: Mapping[str, ObservedRate] = field(default_factory=dict)
    by_check: Mapping[str, ObservedRate] = field(default_factory=dict)

    @property
    def decided(self) -> int:
        """Cases that a reviewer decided."""
        return self.released + self.rejected

    @property
    def honest(self) -> int:
        """Documents known or taken to be honest."""
        return self.admitted + self.released

    @property
    def rate(self) -> float:
        """Share of honest documents that were held; 0 when there is none."""
        return self.released / self.honest if self.honest else 0.0

    @property
    def interval(self) -> Interval:
        """95 % interval of `rate` (Wilson)."""
        return wilson(self.released, self.honest)

    @property
    def if_open_honest(self) -> float:
        """The rate if everything that still waits were honest: an upper bound."""
        every = self.honest + self.open
        return (self.released + self.open) / every if every else 0.0

    @property
    def binding(self) -> float:
        """What a promise may not go below: `rate` once enough is decided, else 0."""
        return self.rate if self.decided >= LEAST_DECIDED else 0.0

    def parts_from(self, asked: float) -> bool:
        """Tell whether more is held than asked, beyond what chance explains."""
        return self.decided > 0 and self.interval[0] > asked


def observed(conn: sa.Connection) -> ObservedRate:
    """Work the observed rate out of the ledger."""
    query = (
        sa.select(
            versions.c.id,
            versions.c.source,
            versions.c.document,
            versions.c.digest,
            versions.c.outcome,
            cases.c.state,
        )
        .join(commits, commits.c.id == versions.c.commit)
        .join(cases, cases.c.version == versions.c.id, isouter=True)
        .where(
            commits.c.state == "confirmed",
            commits.c.kind.in_(JUDGED),
            versions.c.outcome.in_(("admit", "quarantine")),
        )
    )
    denied = set(conn.execute(sa.select(denials.c.digest)).scalars())
    would = {
        entry.version.id: entry.check
        for entry in would_wait(conn)
        if entry.version and entry.check not in (ALWAYS_REVIEW, PROBATION)
    }
    checks, ruled = _checks(conn)
    texts: dict[tuple[str, str, str], tuple[int, int]] = {}  # rank of the state, and the version
    for number, source, document, digest, outcome, state in conn.execute(query):
        if state in ("superseded", "withdrawn"):
            continue  # nobody will ever decide it
        name = state or ("open" if number in would else "admitted")
        if outcome == "quarantine" and state is None:
            continue  # written before its case was
        if number in ruled:  # the gate itself would have let it in
            if name == "open":
                continue
            name = "admitted" if name == "released" else name
        if digest in denied:
            name = "rejected"
        key = (source, document, digest)
        texts[key] = max(texts.get(key, (-1, 0)), (_RANK.index(name), number))
    return _counted(texts, {**checks, **would})


def would_wait(conn: sa.Connection) -> list[Entry]:
    """Tell what came in while the gate only observed and would have been held, oldest first."""
    query = (
        sa.select(*versions.c, commits.c.at.label("opened_at"))
        .join(commits, commits.c.id == versions.c.commit)
        .where(
            commits.c.state == "confirmed",
            versions.c.outcome == "admit",
            sa.cast(versions.c.findings, sa.Text).like('%"observed": true%'),
        )
        .order_by(versions.c.id)
    )
    entries = []
    for row in conn.execute(query):
        version = version_of(row)
        if any(f.get("facts", {}).get("observed") is True for f in version.findings):
            case = CaseRow(
                version.id,
                "document",
                "observed",
                version.source,
                version.document,
                version.id,
                {},
                version.commit,
                None,
                row.opened_at,
            )
            entries.append(as_entry(case, version))
    return entries


def _checks(conn: sa.Connection) -> tuple[dict[int, str], set[int]]:
    """Check of the first finding of each version that was held; those the contract alone held."""
    query = sa.select(versions.c.id, versions.c.findings).join(
        cases, cases.c.version == versions.c.id
    )
    first: dict[int, str] = {}
    ruled: set[int] = set()
    for number, findings in conn.execute(query):
        names = [str(f["check"]) for f in findings]
        if names:
            first[number] = names[0]
        if names[:1] in ([ALWAYS_REVIEW], [PROBATION]):
            ruled.add(number)
    return first, ruled


def _counted(
    texts: Mapping[tuple[str, str, str], tuple[int, int]], checks: Mapping[int, str]
) -> ObservedRate:
    every: Counter[str] = Counter()
    by_source: dict[str, Counter[str]] = defaultdict(Counter)
    by_check: dict[str, Counter[str]] = defaultdict(Counter)
    for (source, _, _), (rank, number) in texts.items():
        name = _RANK[rank]
        every[name] += 1
        by_source[source][name] += 1
        if name != "admitted" and number in checks:
            by_check[checks[number]][name] += 1
    for counts in by_check.values():
        counts["admitted"] = every["admitted"]
    return ObservedRate(
        *_four(every),
        {name: ObservedRate(*_four(counts)) for name, counts in sorted(by_source.items())},
        {name: ObservedRate(*_four(counts)) for name, counts in sorted(by_check.items())},
    )


def _four(counts: Counter[str]) -> tuple[int, int, int, int]:
    return counts["admitted"], counts["released"], counts["rejected"], counts["open"]
