"""Read from ledger, log and last audit what happened that somebody is to know.

An event has keys for what it is about: whoever was told all of them is not told again, and is told
only of those that are new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from ragguard.audit.earlier import last_audit_at, last_report
from ragguard.audit.rules import RULES, Level
from ragguard.errors import RagguardError
from ragguard.integrations.jobs import kept
from ragguard.ledger import commits, queue
from ragguard.lineage import receipts
from ragguard.text.safe_display import cut, line
from ragguard.trust.canonical import digest_bytes, digest_text, format_time, parse_time
from ragguard.workspace import Workspace

Kind = Literal["case", "finding", "canary", "receipt", "job", "summary", "test"]
LEVELS: tuple[Level, ...] = ("note", "warning", "error")
LONGEST = 400  # characters of a summary or a name
NAMED = 5  # things named in an event that is about many


@dataclass(frozen=True)
class EventItem:
    """One thing that an event is about.

    Attributes:
        key: What makes it the same tomorrow; a digest where it holds names.
        name: For a person: a document, a question, a job.
    """

    key: str
    name: str


@dataclass(frozen=True)
class Event:
    """Something to be told.

    Attributes:
        kind: What kind of thing.
        level: How grave.
        rule: Rule of the audit, or the kind.
        text: What happened, one sentence without names; `{n}` stands for how many,
            `{s}` for the ending of more than one.
        items: What it is about; their names are hostile text until `line` has seen them.
        at: When, as in the log.
    """

    kind: Kind
    level: Level
    rule: str
    text: str
    items: tuple[EventItem, ...]
    at: str

    @property
    def summary(self) -> str:
        """One harmless line: what happened and to what."""
        names = [cut(line(item.name), 120) for item in self.items[:NAMED] if item.name]
        more = len(self.items) - len(names) if names else 0
        sentence = self.text.format(n=len(self.items), s="" if len(self.items) == 1 else "s")
        named = f": {', '.join(names)}" if names else ""
        return cut(f"{sentence}{named}{f' and {more} more' if more else ''}", LONGEST)

    @property
    def names(self) -> list[str]:
        """Names of what it is about, harmless."""
        return [cut(line(item.name), LONGEST) for item in self.items[:50] if item.name]

    def at_least(self, level: Level) -> bool:
        """Tell whether a finding is of this level or graver; all else always is."""
        return self.kind != "finding" or LEVELS.index(self.level) >= LEVELS.index(level)

    def without(self, known: Callable[[str], bool]) -> Event | None:
        """Return the event about what is not known yet; `None` where all is."""
        left = tuple(item for item in self.items if not known(item.key))
        return replace(self, items=left) if left else None


def happened(workspace: Workspace, given: Sequence[bytes] = ()) -> list[Event]:
    """List everything there is to tell, the gravest first."""
    events = [
        *_cases(workspace),
        *_audit(workspace),
        *_receipts(workspace, given),
        *_late(workspace),
        *_stopped(workspace),
    ]
    return sorted(events, key=lambda e: -LEVELS.index(e.level))


def trial(now: datetime) -> Event:
    """Return an event that says nothing, to try whether it arrives."""
    text = "a trial of ragguard's alarms; nothing happened"
    return Event("test", "note", "test", text, (EventItem("test", ""),), format_time(now))


def _cases(workspace: Workspace) -> Iterator[Event]:
    """Open cases, those of one commit together."""
    with workspace.ledger.reading() as conn:
        entries = queue.entries(conn)
    by_commit: dict[int, list[queue.Entry]] = {}
    for entry in entries:
        by_commit.setdefault(entry.case.opened, []).append(entry)
    for number, rows in by_commit.items():
        checks = Counter(row.check or row.case.kind for row in rows)
        check_counts = ", ".join(f"{name} {count}" for name, count in checks.most_common(4))
        yield Event(
            "case",
            "warning",
            "case",
            f"{{n}} new case{{s}} of commit {number} ({_braced(check_counts)})",
            tuple(EventItem(f"case {row.case.id}", row.label) for row in rows),
            rows[0].case.opened_at,
        )


def _audit(workspace: Workspace) -> Iterator[Event]:
    """Yield findings of the last audit, those of one rule together, and its parts that failed."""
    try:
        report = last_report(workspace)
    except (RagguardError, ValueError) as error:
        why = f"the last one cannot be read: {error}"
        yield _job("audit", f"damaged {digest_text(why)[:32]}", why, format_time(workspace.now))
        return
    if report is not None:
        by_rule: dict[str, list[EventItem]] = {}
        for finding in report.findings:
            about = finding.document or finding.about or finding.point or finding.detail
            key = f"finding {finding.rule} {digest_text(finding.identity)[:32]}"
            by_rule.setdefault(finding.rule, []).append(EventItem(key, about))
        for name, items in by_rule.items():
            rule = RULES[name]
            yield Event(
                "canary" if name.startswith("canary-") else "finding",
                rule.level,
                rule.id,
                f"audit, {rule.id} {name}, {{n}} finding{{s}} ({_braced(rule.summary[:-1])})",
                tuple(items),
                report.at,
            )
        for part in report.incomplete:
            why = f"its part {part.name} failed: {part.reason}"
            yield _job("audit", f"{report.at} {part.name}", why, report.at)


def _receipts(workspace: Workspace, given: Sequence[bytes]) -> Iterator[Event]:
    """Yield answers that rested on what is good no more."""
    for data in given:
        name = f"sha256 {digest_bytes(data)}"
        try:
            verified = receipts.verify_receipt(data, workspace.log_key, {})
            wrong = [p for p in receipts.now(workspace, verified) if p.wrong]
        except RagguardError as error:
            text = "a receipt does not verify"
            items = (EventItem(f"receipt {name}", f"{name}, {error.message}"),)
            yield Event("receipt", "error", "receipt", text, items, format_time(workspace.now))
            continue
        if wrong:
            yield Event(
                "receipt",
                "error",
                "receipt",
                f"an answer rested on {{n}} passage{{s}} good no more ({name})",
                tuple(EventItem(f"receipt {name} {p.rank}", p.document) for p in wrong),
                format_time(workspace.now),
            )


def _late(workspace: Workspace) -> Iterator[Event]:
    """Jobs that should have been done by now."""
    alarms = workspace.settings.alarms
    with workspace.ledger.reading() as conn:
        rows = commits.listed(conn)
    ingests = [row.at for row in rows if row.kind == "ingest"]
    audited = last_audit_at(workspace) if alarms.audit_hours else ""
    for name, hours, last in (
        ("ingest", alarms.ingest_hours, max(ingests, default="")),
        ("audit", alarms.audit_hours, audited),
    ):
        since = workspace.now - parse_time(last) if last else None
        if hours and (since is None or since > timedelta(hours=hours)):
            why = f"none for {hours} hours, the last at {last}" if last else "there was none yet"
            yield _job(name, f"late {last}", why, format_time(workspace.now))


def _stopped(workspace: Workspace) -> Iterator[Event]:
    """Jobs asked of `ragguard web` that could not be done, where the same was not done since."""
    for row in kept.not_done(workspace.folder):
        reason = f": {row.said[0]}" if row.said else ""
        why = f"{row.state}, asked at {row.began}{reason}"
        yield _job(row.name, f"{row.state} {row.began}", why, row.ended or row.began)


def _job(name: str, key: str, why: str, at: str) -> Event:
    item = EventItem(f"job {name} {key}", why)
    return Event("job", "error", "job", f"job not done, {_braced(name)}", (item,), at)


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
