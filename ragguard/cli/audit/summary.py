"""Print the audit on one screen: what must be looked at, what changed, where the reports are.

At most `MOST_LINES` lines of the given width, whatever was found: a screen of 24 lines keeps room
for the prompt. The widest names and longest lists give way; counts and what failed do not.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragguard.cli.output import console, line, short

if TYPE_CHECKING:
    from ragguard.audit.findings import AuditFinding, AuditReport

MOST_LINES = 22
MOST_RULES = 7
MOST_SUSPECTS = 5
MOST_FAILED = 3
NARROWEST = 40
LONGEST_NAME = 30
_MARKS = {"done": "ok", "partial": "part", "skipped": "skipped", "failed": "FAILED"}
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan", "FAILED": "bold red"}


def show(report: AuditReport, written: Mapping[str, Path], quarantined: bool = False) -> None:
    """Print the summary on standard output, in colour on a terminal.

    Args:
        quarantined: Whether suspects were taken out by this run.
    """
    from rich.text import Text

    screen = console()
    for row in summary(report, written, screen.width, quarantined):
        text = Text(row, no_wrap=True, overflow="ignore")
        first = row.split(" ", 1)[0]
        if first in _STYLES:
            text.stylize(_STYLES[first], 0, len(first))
        screen.print(text, soft_wrap=True)


def summary(
    report: AuditReport, written: Mapping[str, Path], width: int, quarantined: bool = False
) -> list[str]:
    """Return the lines, none wider than `width` columns.

    Args:
        quarantined: Whether suspects were taken out by this run.
    """
    from ragguard.audit.report import wording

    width = max(width, NARROWEST)
    head = _wrapped(
        f"audit of {_cut(line(report.name), LONGEST_NAME)}: {wording.headline(report)}", width, 2
    )
    head.append(_changed(report))
    head += _parts(report, width)
    tail = _reports(written, width) + _about(report)
    tail += _wrapped(f"next: {_next(report, written, quarantined)}", width, 2)
    room = MOST_LINES - len(head) - len(tail)
    table, suspects = _rules(report), _suspects(report)
    # Suspects give way first, but not all of them; then rules.
    suspects = suspects[: max(2, room - min(len(table), MOST_RULES))]
    table = _shortened(table, min(MOST_RULES, room - len(suspects)))
    return [_cut(row, width) for row in (*head, *table, *suspects, *tail)]


def _changed(report: AuditReport) -> str:
    from ragguard.audit.report import wording

    change = wording.change(report)
    if change.first:
        return "since the last audit: this is the first"
    return (
        f"since {wording.moment(report.previous)}: {len(change.new):,} new, "
        f"{len(change.gone):,} gone, {len(change.still):,} still there"
    )


def _parts(report: AuditReport, width: int) -> list[str]:
    from ragguard.audit.report import wording

    told = [f"{line(p.name)} {_MARKS[p.state]}" for p in report.parts if p.state != "failed"]
    if report.rotation:
        told.append("rotation " + " ".join(f"{k} {v}" for k, v in report.rotation.items()))
    seconds = wording.duration(sum(p.seconds for p in report.parts))
    rows = _wrapped(f"looked at: {', '.join(told) or 'nothing'} ({seconds})", width, 2)
    for part in report.parts:  # of a collection that something else wrote
        if part.name == "fields" and part.reason:
            rows += _wrapped(f"read: {line(part.reason)}", width, 2)
    failed = report.incomplete
    kept = failed if len(failed) <= MOST_FAILED else failed[: MOST_FAILED - 1]
    rows += [f"FAILED {line(p.name)}: {line(p.reason) or 'no reason told'}" for p in kept]
    if len(kept) < len(failed):
        rows.append(f"FAILED and {len(failed) - len(kept)} further parts")
    return rows


def _rules(report: AuditReport) -> list[str]:
    from ragguard.audit.report import wording
    from ragguard.audit.rules import RULES

    new = {id(f) for f in wording.change(report).new} if report.previous else set()
    rows = []
    for name, members in wording.grouped(report.findings).items():
        rule = RULES[name]
        fresh = sum(id(f) in new for f in members)
        things = wording.things(name, sum(f.count for f in members))
        also = ", new" if fresh == len(members) else f", {fresh:,} of {len(members):,} new"
        rows.append(f"{rule.level:<7} {rule.id} {name:<21} {things}{also if fresh else ''}")
    return rows


def _suspects(report: AuditReport) -> list[str]:
    """The most suspicious documents, each once; rules that are exact have said what they have."""
    from ragguard.audit.report import wording
    from ragguard.audit.rules import RULES

    suspects: dict[str, AuditFinding] = {}
    for finding in sorted(report.findings, key=lambda f: -f.score):
        if finding.document and finding.p_value is not None and RULES[finding.rule].level != "note":
            suspects.setdefault(finding.document, finding)
    rows = [
        f"{f.score:.2f} {line(f.document)}: {line(wording.reason(f))}" for f in suspects.values()
    ]
    shown = rows[:MOST_SUSPECTS]
    return ["most suspicious:", *(f"  {row}" for row in shown)] if shown else []


def _reports(written: Mapping[str, Path], width: int) -> list[str]:
    if not written:
        return []
    named = [f"{name} {line(short(path))}" for name, path in written.items()]
    whole = f"reports: {', '.join(named)}"
    return [whole] if len(whole) <= width else [f"report: {report}" for report in named]


def _about(report: AuditReport) -> list[str]:
    """Tell where the gravest rule that found something is explained."""
    from ragguard.audit.report import wording
    from ragguard.audit.rules import RULES
    from ragguard.text.documentation import rule_address

    for name in wording.grouped(report.findings):
        return [f"about {RULES[name].id}: {rule_address(RULES[name].id)}"]
    return []


def _next(report: AuditReport, written: Mapping[str, Path], quarantined: bool) -> str:
    from ragguard.audit.report import wording
    from ragguard.audit.rules import RULES

    if quarantined:
        return "ragguard quarantine list"
    mood = wording.mood(report)
    if mood == "quiet":
        return "nothing; the next audit compares with this one"
    if mood == "incomplete":
        return "mend what failed and audit again: what it looks for may be there"
    first = next(iter(wording.grouped(f for f in report.findings if f.level != "note")))
    advice = RULES[first].advice.replace("`", "")
    return advice if "html" not in written else f"{advice} Evidence: {short(written['html'])}"


def _shortened(rows: Sequence[str], most: int) -> list[str]:
    if len(rows) <= most:
        return list(rows)
    kept = max(0, most - 1)
    return [*rows[:kept], f"and {len(rows) - kept} further rules"]


def _wrapped(text: str, width: int, most: int) -> list[str]:
    """At most so many lines; the rest is cut off."""
    rows = textwrap.wrap(line(text), width, subsequent_indent="  ", break_on_hyphens=False)
    return rows if len(rows) <= most else [*rows[: most - 1], _cut(f"{rows[most - 1]} …", width)]


def _cut(row: str, width: int) -> str:
    """Return a row of at most `width` columns; wide characters count two."""
    from rich.cells import cell_len, set_cell_size

    return row if cell_len(row) <= width else set_cell_size(row, width - 1).rstrip() + "…"
