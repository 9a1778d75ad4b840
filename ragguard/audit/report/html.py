"""The report as one self-contained page for a person: no script, nothing fetched.

Documents, payloads and names are written by strangers. Every text that the template puts out is
made plain (control and bidirectional characters become visible escapes) and escaped; the content
security policy allows nothing but the page's own style sheet, by its digest. There are no inline
styles and no links but those within the page.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ragguard.audit.findings import AuditFinding, AuditReport, SourceLine
from ragguard.audit.report import html_map, wording
from ragguard.audit.report.html_evidence import Block, blocks
from ragguard.audit.report.json import json_safe
from ragguard.audit.rules import RULES, Rule
from ragguard.text.documentation import rule_address
from ragguard.text.safe_display import cut, line, plain

MOST_FINDINGS = 240
MOST_OF_A_RULE = 40
FEWEST_OF_A_RULE = 2
OPEN = 6  # findings whose evidence is unfolded
MOST_CHANGES = 8
MOST_SOURCES = 60
MOST_SERIES = 12
MOST_VALUES = 60  # of a series
LONGEST = 400  # characters of a text


@dataclass(frozen=True)
class ShownFinding:
    """A finding on the page.

    Attributes:
        number: From 1, in the page's order.
        finding: It.
        new: Whether the last audit did not have it.
        about: What it is about.
        evidence: Its facts.
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
    """The page's bytes, UTF-8."""
    return render(report).encode("utf-8", "backslashreplace")


def render(report: AuditReport) -> str:
    """The page."""
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
    """Rules with findings, the gravest first; so many findings as a page can bear."""
    groups = wording.grouped(report.findings)
    made: list[Card] = []
    number = 0
    for rule, members in groups.items():
        room = max(FEWEST_OF_A_RULE, min(MOST_OF_A_RULE, MOST_FINDINGS - number))
        # Sorted is stable: new ones first, otherwise the report's order.
        kept = sorted(members, key=lambda f: id(f) not in new)[:room]
        shown = []
        for found in kept:
            number += 1
            facts = json_safe(found.facts)
            shown.append(
                ShownFinding(
                    number,
                    found,
                    id(found) in new and bool(report.previous),
                    wording.subject(found),
                    blocks(facts),
                    number <= OPEN,
                )
            )
        total = sum(f.count for f in members)
        made.append(
            Card(
                RULES[rule],
                len(members),
                wording.things(rule, total),
                shown,
                len(members) - len(kept),
            )
        )
    return made


def _sources(rows: Sequence[SourceLine]) -> list[SourceLine]:
    """Sources that the page shows: suspects first, then the largest."""
    ranked = sorted(rows, key=lambda s: (-s.suspects, -s.documents, s.source))
    return ranked[:MOST_SOURCES]


def shown(value: Any, most: int = LONGEST) -> str:
    """One plain line of at most so many characters."""
    return cut(line(str(value)), most)


def finalize(value: Any) -> Any:
    """What the template puts out, made plain; markup of ours stays."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(maxsize=1)
def _template() -> Any:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
        loader=FunctionLoader(_read),
    )
    environment.filters |= {
        "shown": shown,
        "counted": wording.counted,
        "moment": wording.moment,
        "duration": wording.duration,
        "size": wording.size,
        "number": number,
        "rule_address": rule_address,
        "signed": lambda value: f"{value:+.3g}",
        "percent": lambda share: f"{100 * share:.1f} %",
        "p": lambda value: f"{value:.2g}",
        "words": lambda name: str(name).replace("_", " "),
        "subject": wording.subject,
        "reason": wording.reason,
        "grouped": wording.grouped,
    }
    return environment.get_template("page.html.j2")


def number(value: float | None) -> str:
    """A number with three significant digits, a whole one with all of them; a dash for none."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


@lru_cache(maxsize=1)
def _style() -> str:
    return _read("page.css")


@lru_cache(maxsize=1)
def _policy() -> str:
    digest = b64encode(sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _read(name: str) -> str:
    return files("ragguard.audit.report").joinpath(name).read_text("utf-8")
