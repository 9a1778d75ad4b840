"""Collect a dashboard: health, open cases, drift, canaries, the record of sources, jobs.

All of it is read from ledger, log and the last audit's report; nothing is asked of the index. It is
worked out once for each state of the log.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Literal

import sqlalchemy as sa

from ragguard.audit import earlier
from ragguard.audit.findings import AuditReport
from ragguard.audit.rules import RULES
from ragguard.errors import RagguardError
from ragguard.integrations.jobs import kept
from ragguard.integrations.web.desk import Desk
from ragguard.ledger import commits, log, observed, opinions
from ragguard.ledger.observed import ObservedRate
from ragguard.ledger.tables import log_entries
from ragguard.stats.intervals import as_body, wilson
from ragguard.trust import root as roots
from ragguard.trust.canonical import parse_time
from ragguard.trust.person import persons
from ragguard.workspace import Workspace

State = Literal["ok", "note", "wrong"]
SOON = timedelta(days=30)  # before the trust root expires
AUDIT_OLD = timedelta(days=2)  # an audit is for every night
AGES = ((1, "under a day"), (7, "under a week"), (30, "under a month"))
LEAST_BAD = 3  # rejected documents from which a source has a record
ALONE = 0.05  # share of rejected ones that is bad where there is no other source to compare with
MOST_TOLD = 20  # drift findings, sources of a curve
JOBS = {  # act of the log to the job that it ends
    "ingest": "ingest",
    "audit": "audit",
    "canary run": "canaries asked",
    "spot-check": "spot check",
    "calibrate": "calibrate",
    "reindex": "reindex",
    "cutover": "cut-over",
    "rollback": "rollback",
    "trust revoke": "revoke",
    "restore": "restore",
}


class Board:
    """The dashboard of a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._kept: tuple[int, dict[str, Any]] = (-1, {})

    def body(self) -> dict[str, Any]:
        """List all of it as a JSON object."""
        entries = self._desk.queue().entries
        opened = [parse_time(entry.case.opened_at) for entry in entries]
        with self._lock, self._desk.opened() as workspace:
            with workspace.ledger.reading() as conn:
                size = log.size(conn)
            if self._kept[0] != size:
                self._kept = (size, _of_log(workspace))
            now = workspace.now
            kept = self._kept[1]
            health = [*_looked_at(workspace, kept["audit"]), *kept["health"]]
        return {
            "at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "health": health,
            "cases": _ages(opened, now),
            **{name: kept[name] for name in ("audit", "drift", "canaries", "sources", "jobs")},
        }


def _of_log(workspace: Workspace) -> dict[str, Any]:
    """Tell what changes only when the log grows."""
    past, damaged = earlier.remembered(workspace, 1)
    report = past[0].report if past else None
    with workspace.ledger.reading() as conn:
        rate = observed.observed(conn)
        jobs = _jobs(conn)
        split = sum(opinions.disagree(words) for words in opinions.given(conn).values())
    health = [_part("earlier audit", "wrong", sentence) for sentence in damaged]
    if split:
        health.append(
            _part("opinions", "note", f"cases that reviewers disagreed on so far: {split}")
        )
    return {
        "health": health,
        "audit": _audit(report),
        "drift": _drift(report),
        "canaries": _curves(report, "canary "),
        "sources": sources(rate),
        "jobs": jobs,
    }


# --- health ---------------------------------------------------------------------------------------


def _part(name: str, state: State, detail: str) -> dict[str, str]:
    return {"name": name, "state": state, "detail": detail}


def _looked_at(workspace: Workspace, audit: Mapping[str, Any] | None) -> Iterator[dict[str, str]]:
    root, now = workspace.root, workspace.now
    left = root.expires - now
    state: State = "wrong" if left <= timedelta(0) else "note" if left < SOON else "ok"
    detail = f"version {root.version}, expires {root.expires:%Y-%m-%d}"
    yield _part("trust root", state, detail)
    there = persons(key.principal for key in roots.active(root.reviewers, root, now).values())
    asked = max((s.policy.reviewers for s in root.sources.values()), default=1)
    short = len(there) < asked
    detail = f"{len(there)} in force, {asked} have to agree at most"
    yield _part("reviewers", "wrong" if short else "ok", detail)
    with workspace.ledger.reading() as conn:
        begun = [row.id for row in commits.pending(conn)]
    if begun:
        detail = f"commit {begun[0]} is not finished: the next job finishes it"
        yield _part("commits", "note", detail)
    else:
        yield _part("commits", "ok", "all are finished")
    for row in kept.not_done(workspace.folder):
        detail = f": {row.said[0]}" if row.said else ""
        yield _part(f"job {row.name}", "wrong", f"{row.state}, asked at {row.began}{detail}")
    if audit is None:
        yield _part("audit", "note", "there was none yet")
        return
    levels, failed = audit["findings"], audit["failed"]
    told = ", ".join(f"{level}s: {n}" for level, n in levels.items() if n) or "no findings"
    state = "wrong" if levels.get("error") or failed else "note" if levels.get("warning") else "ok"
    if failed:
        told += f"; could not look: {', '.join(failed)}"
    if now - parse_time(audit["at"]) > AUDIT_OLD:
        state = "note" if state == "ok" else state
        told += "; it is older than two days"
    yield _part("audit", state, told)


def _audit(report: AuditReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "at": report.at,
        "findings": dict(report.levels),
        "failed": [part.name for part in report.incomplete],
        "shares": {name: round(share, 4) for name, share in report.health.items()},
        "documents": int(report.counts.get("documents", 0)),
    }


def _ages(opened: Sequence[datetime], now: datetime) -> dict[str, Any]:
    """Open cases and how long they wait, in days."""
    days = sorted(max(0.0, (now - at) / timedelta(days=1)) for at in opened)
    buckets: Counter[str] = Counter()
    for age in days:
        buckets[next((name for most, name in AGES if age < most), "a month and more")] += 1
    names = [*(name for _, name in AGES), "a month and more"]
    return {
        "open": len(days),
        "oldest_days": round(days[-1], 1) if days else None,
        "median_days": round(median(days), 1) if days else None,
        "ages": {name: buckets[name] for name in names},
    }


# --- drift, canaries ------------------------------------------------------------------------------


def _drift(report: AuditReport | None) -> dict[str, Any]:
    """List findings of the last audit on drift, and the shift of each source over the audits."""
    drifted = [f for f in report.findings if RULES[f.rule].id.startswith("RG4")] if report else []
    return {
        "findings": [{"rule": f.rule, "detail": f.detail} for f in drifted[:MOST_TOLD]],
        "series": _curves(report, "drift of source "),
    }


def _curves(report: AuditReport | None, prefix: str) -> list[dict[str, Any]]:
    """Measures over the audits, oldest first."""
    series = report.series if report else {}
    return [
        {
            "name": name.removeprefix(prefix),
            "values": [{"at": at, "value": round(value, 4)} for at, value in values],
        }
        for name, values in list(series.items())
        if name.startswith(prefix) and values
    ][:MOST_TOLD]


# --- sources --------------------------------------------------------------------------------------


def sources(rate: ObservedRate) -> list[dict[str, Any]]:
    """List sources with their record, the worst first.

    A source has a bad record when at least three of its documents were rejected, and the share that
    was, at the lower end of its interval, lies above the upper end of that of all other sources
    together (above 5 % where there is none).
    """
    rows = []
    for name, own in rate.by_source.items():
        known = own.honest + own.rejected
        others = [r for other, r in rate.by_source.items() if other != name]
        rest = sum(r.honest + r.rejected for r in others)
        bound = wilson(sum(r.rejected for r in others), rest)[1] if rest else ALONE
        interval = wilson(own.rejected, known)
        rows.append(
            {
                "source": name,
                "admitted": own.admitted,
                "released": own.released,
                "rejected": own.rejected,
                "open": own.open,
                "reject": as_body(own.rejected / known if known else 0.0, interval),
                "honest_held": as_body(own.rate, own.interval),
                "bad": own.rejected >= LEAST_BAD and interval[0] > bound,
            }
        )
    return sorted(rows, key=lambda row: (not row["bad"], -row["reject"]["share"], row["source"]))


# --- jobs -----------------------------------------------------------------------------------------


def _jobs(conn: sa.Connection) -> list[dict[str, str]]:
    """Tell when each job ended well the last time, as logged; jobs that never did are left out.

    A job that fails leaves no entry: one whose time is long ago has failed since, or never ran.
    """
    body = log_entries.c.body
    ended = []
    for act, name in JOBS.items():
        query = sa.select(body).where(body.like(f'%"act":"{act}"%'))
        text = conn.execute(query.order_by(log_entries.c.index.desc()).limit(1)).scalar()
        if text is not None:
            ended.append({"job": name, "at": _time_of(str(text))})
    return ended


def _time_of(text: str) -> str:
    try:
        at = str(json.loads(text)["at"])
        parse_time(at)
    except (ValueError, KeyError, TypeError, RagguardError):
        return ""
    return at
