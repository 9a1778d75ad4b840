"""Write the report as a Prometheus textfile, for the textfile collector of the node exporter.

All are gauges with the label `audit`: several workspaces of one machine may each have a file. The
time of the last success outlives failed runs: it is read from the file that is replaced. A run is a
success when it did all it was asked (exit 0 or 1). Alert on its age; it is 0 before the first.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ragguard.audit.findings import AuditReport, Part, SourceLine, State
from ragguard.audit.report.wording import change
from ragguard.audit.rules import RULES
from ragguard.text.safe_display import cut, line
from ragguard.trust.canonical import parse_time

logger = logging.getLogger(__name__)

PREFIX = "ragguard_audit_"
LAST_SUCCESS = f"{PREFIX}last_success_timestamp_seconds"
SUCCESS = (0, 1)  # exit codes
MOST_SOURCES = 500  # each costs the time series database seven series
LONGEST = 200  # characters of a label
MAX_BYTES = 1 << 24  # of a file that is read back
_STATES: tuple[State, ...] = ("done", "partial", "skipped", "failed")


@dataclass(frozen=True)
class _Sheet:
    """Gauges under one name of an audit."""

    registry: CollectorRegistry
    audit: str

    def gauge(
        self,
        metric: str,
        meaning: str,
        rows: Iterable[tuple[Sequence[str], float]],
        labels: Sequence[str] = (),
    ) -> None:
        """Add a gauge; what is not a finite number is left out."""
        gauge = Gauge(PREFIX + metric, meaning, ("audit", *labels), registry=self.registry)
        for values, value in rows:
            if math.isfinite(value):
                gauge.labels(self.audit, *values).set(value)

    def one(self, metric: str, meaning: str, value: float) -> None:
        """Add a gauge without further labels."""
        self.gauge(metric, meaning, [((), value)])


def dump(report: AuditReport, exit_code: int, last_success: float = 0.0) -> bytes:
    """Return the file's bytes, in the text format 0.0.4; arguments as of `measure`."""
    return generate_latest(measure(report, exit_code, last_success))


def measure(
    report: AuditReport, exit_code: int, last_success: float | None = None
) -> CollectorRegistry:
    """Return all metrics of an audit.

    Args:
        last_success: Unix seconds of the last success before this run, 0 when there was none;
            `None`: it is not known, and only a success says when the last was.
    """
    sheet = _Sheet(CollectorRegistry(), _label(report.name))
    sheet.gauge(
        "info",
        "What was audited, by which ragguard; always 1.",
        [((_label(report.collection), report.version), 1)],
        ("collection", "version"),
    )
    at = parse_time(report.at).timestamp()
    sheet.one("last_run_timestamp_seconds", "When the last run began.", at)
    success = at if exit_code in SUCCESS else last_success
    sheet.gauge(
        "last_success_timestamp_seconds",
        "When the last run began that did all it was asked; 0 if there was none.",
        [((), success)] if success is not None else [],
    )
    sheet.one("exit_code", "Exit code of the last run.", exit_code)
    sheet.one("peak_memory_bytes", "Peak resident memory.", report.memory_bytes)
    _findings(sheet, report)
    _parts(sheet, report.parts)
    sheet.gauge(
        "size",
        "Points, documents and other totals of what was audited.",
        [((_label(k),), n) for k, n in report.counts.items()],
        ("of",),
    )
    sheet.gauge(
        "health_share",
        "Retrieval health, shares from 0 to 1.",
        [((_label(k),), share) for k, share in report.health.items()],
        ("of",),
    )
    _sources(sheet, report.sources)
    return sheet.registry


def last_success(path: Path, name: str) -> float:
    """Unix seconds of the last success, from the file of the run before; 0 when it tells none.

    A file that cannot be read as one is as good as none: the audit goes on and says so in its log.

    Args:
        name: The report's name, as of the run before.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8")
        for family in text_string_to_metric_families(text):
            for sample in family.samples if family.name == LAST_SUCCESS else ():
                if sample.labels.get("audit") == _label(name) and math.isfinite(sample.value):
                    return sample.value
    except FileNotFoundError:
        return 0.0
    except (OSError, ValueError, KeyError, IndexError) as error:
        logger.warning("%s: the time of the last success cannot be read: %s", path, error)
    return 0.0


def _findings(sheet: _Sheet, report: AuditReport) -> None:
    affected: Counter[str] = Counter()
    for finding in report.findings:
        affected[finding.rule] += finding.count
    for metric, meaning, counts in (
        ("findings", "Findings.", Counter(f.rule for f in report.findings)),
        (
            "new_findings",
            "Findings that the last audit did not have.",
            Counter(f.rule for f in change(report).new),
        ),
        ("affected", "Points, documents or other things that findings speak for.", affected),
    ):
        sheet.gauge(
            metric,
            meaning,
            [((r.id, r.name, r.level), counts[r.name]) for r in RULES.values()],
            ("rule", "name", "level"),
        )
    sheet.one("gone_findings", "Findings of the last audit that are no more.", len(report.gone))


def _parts(sheet: _Sheet, parts: Sequence[Part]) -> None:
    sheet.gauge("part_seconds", "Wall time.", [((p.name,), p.seconds) for p in parts], ("part",))
    sheet.gauge(
        "part_looked_at",
        "How many things a part looked at.",
        [((p.name,), p.looked_at) for p in parts],
        ("part",),
    )
    sheet.gauge(
        "part_state",
        "1 for the state that a part ended in, else 0.",
        [((p.name, s), float(p.state == s)) for p in parts for s in _STATES],
        ("part", "state"),
    )
    failed = sum(p.state == "failed" for p in parts)
    sheet.one("parts_failed", "Parts that did not do what was asked.", failed)


def _sources(sheet: _Sheet, rows: Iterable[SourceLine]) -> None:
    kept = sorted(rows, key=lambda s: (-s.suspects, -s.documents, s.source))[:MOST_SOURCES]
    for metric, meaning, values in (
        ("source_documents", "Serving documents.", [s.documents for s in kept]),
        ("source_quarantined", "Documents that wait.", [s.quarantined for s in kept]),
        ("source_arrived", "Documents since the last audit.", [s.arrived for s in kept]),
        ("source_suspects", "Documents that findings name.", [s.suspects for s in kept]),
        ("source_drift", "Effect size of the shift of embeddings.", [s.drift for s in kept]),
    ):
        pairs = zip(kept, values, strict=True)
        sheet.gauge(
            metric,
            meaning,
            [((_label(s.source),), v) for s, v in pairs if v is not None],
            ("source",),
        )
    sheet.gauge(
        "source_state",
        "Provenance of a source; always 1.",
        [((_label(s.source), _label(s.state)), 1) for s in kept],
        ("source", "state"),
    )


def _label(text: str) -> str:
    return cut(line(text), LONGEST)
