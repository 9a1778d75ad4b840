"""Count ingest, quarantine and log in the ledger as Prometheus metrics.

So every process sees the same and none has to run all the time. `/metrics` of the review page gives
them to a scraper, `telemetry` sends them to a collector. The audit has its own
(`audit.report.prometheus`), a retriever counts its answers where it runs (`serving.metrics`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Gauge

from ragguard import __version__
from ragguard.ledger import cases, log, totals
from ragguard.text.safe_display import cut, line
from ragguard.trust.canonical import parse_time

PREFIX = "ragguard_"
MOST_SOURCES = 500  # each costs the time series database a dozen series
LONGEST = 200  # characters of a label


class LedgerMetrics:
    """Counts what the ledger holds, anew when its log has grown."""

    def __init__(self) -> None:
        self._size = -1
        self._counted = CollectorRegistry()

    def __call__(self, conn: sa.Connection) -> CollectorRegistry:
        """Everything there is to count."""
        size = log.size(conn)
        if size != self._size:
            self._counted, self._size = _count(conn, size), size
        return self._counted


def _count(conn: sa.Connection, size: int) -> CollectorRegistry:
    registry = CollectorRegistry()

    def gauge(
        name: str,
        meaning: str,
        rows: Iterable[tuple[Sequence[str], float]],
        labels: Sequence[str] = (),
    ) -> None:
        metric = Gauge(PREFIX + name, meaning, labels, registry=registry)
        for values, value in rows:
            target = metric.labels(*(cut(line(v), LONGEST) for v in values)) if labels else metric
            target.set(value)

    documents, verdicts = totals.documents(conn), totals.verdicts(conn)
    waiting = cases.counts(conn)
    kinds = totals.commits_by_kind(conn)
    expiries = totals.expiries(conn)
    oldest = totals.oldest_open_case(conn)
    kept = _largest({source for source, _ in (*documents, *verdicts, *waiting)}, documents)
    gauge("info", "Which ragguard serves this; always 1.", [((__version__,), 1)], ("version",))
    for name, meaning, counts, label in (
        ("documents", "Documents in a zone now.", documents, "zone"),
        ("versions", "Versions that arrived, by verdict.", verdicts, "outcome"),
        ("cases", "Cases by state.", waiting, "state"),
    ):
        rows = [(key, float(n)) for key, n in sorted(counts.items()) if key[0] in kept]
        gauge(name, meaning, rows, ("source", label))
    gauge("open_cases", "Cases that wait.", [((), sum(_open(waiting)))])
    gauge(
        "oldest_open_case_timestamp_seconds",
        "When the case was opened that waits longest; 0 where none waits.",
        [((), _seconds(oldest))],
    )
    gauge(
        "commits",
        "Confirmed commits.",
        [((kind,), float(count)) for kind, (count, _) in sorted(kinds.items())],
        ("kind",),
    )
    gauge(
        "last_commit_timestamp_seconds",
        "When the last commit of a kind was.",
        [((kind,), _seconds(at)) for kind, (_, at) in sorted(kinds.items())],
        ("kind",),
    )
    gauge(
        "manifest_expires_timestamp_seconds",
        "When the last manifest of a source expires.",
        [((s,), _seconds(at)) for s, at in sorted(expiries.items()) if s in kept],
        ("source",),
    )
    gauge("log_entries", "Entries of the log.", [((), size)])
    return registry


def _largest(sources: set[str], documents: dict[tuple[str, str], int]) -> set[str]:
    """Return the sources that are told one by one."""
    sizes = {source: 0 for source in sources}
    for (source, _), count in documents.items():
        sizes[source] += count
    return set(sorted(sizes, key=lambda source: (-sizes[source], source))[:MOST_SOURCES])


def _open(waiting: dict[tuple[str, str], int]) -> Iterable[int]:
    return (count for (_, state), count in waiting.items() if state == "open")


def _seconds(at: str) -> float:
    return parse_time(at).timestamp() if at else 0.0
