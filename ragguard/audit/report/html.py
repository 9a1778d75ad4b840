"""Render the report as one self-contained page for a person: no script, nothing fetched.

Documents, payloads and names are written by strangers. Every text that the template puts out is
made plain (control and bidirectional characters become visible escapes) and escaped; the content
security policy allows nothing but the page's own style sheet, by its digest. There are no inline
styles and no links but those within the page.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from markupsafe import Markup

from ragguard.audit.findings import AuditFinding, AuditReport, SourceLine
from ragguard.audit.report import html_map, wording
from ragguard.audit.report.html_evidence import Block, blocks
from ragguard.audit.report.json import json_safe
from ragguard.audit.report.templates import environment, read_text
from ragguard.audit.rules import RULES, Rule
from ragguard.text.documentation import rule_address

PACKAGE = "ragguard.audit.report"
MOST_FINDINGS = 240
MOST_OF_A_RULE = 40
FEWEST_OF_A_RULE = 2
OPEN = 6  # findings whose evidence is unfolded
MOST_CHANGES = 8
MOST_SOURCES = 60
MOST_SERIES = 12
MOST_VALUES = 60  # of a series


@dataclass(frozen=True)
class ShownFinding:
    """A finding on the page.

    Attributes:
        number: From 1, in the page's order.
        new: Whether the last audit did not have it.
        open: Whether the evidence is unfolded.
    """

    number: int
    finding: AuditFinding
    new: bool
    about: str
    evidence: Sequence[Block]
    open: bool


@dataclass(frozen=True)
class Card:
    """A rule that has findings.

    Attributes:
        rule: It.
        total: Findings of it.
        things: What they speak for, such as `3 changed vectors`.
        shown: Those that the page shows, new ones first.
        more: How many it does not show.
    """

    rule: Rule
    total: int
    things: str
    shown: Sequence[ShownFinding]
    more: int


def dump(report: AuditReport) -> bytes:
    """Return the page's bytes, UTF-8."""
    return render(report).encode("utf-8", "backslashreplace")


def render(report: AuditReport) -> str:
    """Return the page."""
    change = wording.change(report)
    cards = _cards(report, {id(f) for f in change.new})
    numbers: dict[str, int] = {}
    places: dict[str, int] = {}
    for shown in (s for card in cards for s in card.shown):
        numbers.setdefault(shown.finding.identity, shown.number)
        if shown.finding.document:
            places.setdefault(shown.finding.document, shown.number)
    series = list(report.series.items())
    page: str = _template().render(
        report=report,
        mood=wording.mood(report),
        headline=wording.headline(report),
        change=change,
        numbers=numbers,
        cards=cards,
        rules=list(RULES.values()),
        map=html_map.scatter(report.places, places) if report.places else None,
        lines=[(n, html_map.spark(row[-MOST_VALUES:])) for n, row in series[:MOST_SERIES] if row],
        more_lines=max(0, len(series) - MOST_SERIES),
        sources=_sources(report.sources),
        more_sources=max(0, len(report.sources) - MOST_SOURCES),
        seconds=sum(p.seconds for p in report.parts),
        style=Markup(_style()),  # noqa: S704 - our own file
        policy=_policy(),
        view=html_map,
        most_changes=MOST_CHANGES,
    )
    return page


def _cards(report: AuditReport, new: set[int]) -> list[Card]:
    """List rules with findings, the gravest first; so many findings as a page can bear."""
    groups = wording.grouped(report.findings)
    cards: list[Card] = []
    number = 0
    for rule, members in groups.items():
        room = max(FEWEST_OF_A_RULE, min(MOST_OF_A_RULE, MOST_FINDINGS - number))
        # Sorted is stable: new ones first, otherwise the report's order.
        kept = sorted(members, key=lambda f: id(f) not in new)[:room]
        shown = []
        for finding in kept:
            number += 1
            facts = json_safe(finding.facts)
            shown.append(
                ShownFinding(
                    number,
                    finding,
                    id(finding) in new and bool(report.previous),
                    wording.subject(finding),
                    blocks(facts),
                    number <= OPEN,
                )
            )
        total = sum(f.count for f in members)
        cards.append(
            Card(
                RULES[rule],
                len(members),
                wording.things(rule, total),
                shown,
                len(members) - len(kept),
            )
        )
    return cards


def _sources(rows: Sequence[SourceLine]) -> list[SourceLine]:
    """List sources that the page shows: suspects first, then the largest."""
    ranked = sorted(rows, key=lambda s: (-s.suspects, -s.documents, s.source))
    return ranked[:MOST_SOURCES]


@lru_cache(maxsize=1)
def _template() -> Any:
    filters: dict[str, Callable[..., Any]] = {
        "counted": wording.counted,
        "moment": wording.moment,
        "duration": wording.duration,
        "size": wording.size,
        "rule_address": rule_address,
        "signed": lambda value: f"{value:+.3g}",
        "percent": lambda share: f"{100 * share:.1f} %",
        "p": lambda value: f"{value:.2g}",
        "words": lambda name: str(name).replace("_", " "),
        "subject": wording.subject,
        "reason": wording.reason,
        "grouped": wording.grouped,
    }
    return environment(PACKAGE, filters).get_template("page.html.j2")


@lru_cache(maxsize=1)
def _style() -> str:
    return read_text(PACKAGE, "page.css")


@lru_cache(maxsize=1)
def _policy() -> str:
    digest = b64encode(sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
