from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ragguard.audit.findings import AuditReport, SourceLine
from ragguard.audit.report import prometheus
from ragguard.audit.rules import RULES
from tests.support.audit import reports
from tests.support.simulator import NOW

Samples = dict[tuple[str, frozenset[str]], float]


def samples(data: bytes) -> Samples:
    """Samples by name and labels other than `audit`; no name and labels twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(data.decode("utf-8")):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            assert sample.labels["audit"]
            values = [v for k, v in sample.labels.items() if k != "audit"]
            key = (sample.name.removeprefix(prometheus.PREFIX), frozenset(values))
            assert key not in found
            found[key] = sample.value
    return found


def value(found: Samples, name: str, *labels: str) -> float:
    return found[name, frozenset(labels)]


def test_a_report_can_be_read_back() -> None:
    report = reports.busy()
    found = samples(prometheus.dump(report, 3))
    assert value(found, "findings", "RG301", "suspect-document", "warning") == 4
    assert value(found, "findings", "RG101", "foreign-point", "error") == 0
    assert value(found, "affected", "RG116", "noise-flood", "error") == 3_000
    assert value(found, "new_findings", "RG301", "suspect-document", "warning") == 3
    assert value(found, "gone_findings") == 2
    assert value(found, "size", "points") == 7_512
    assert value(found, "part_seconds", "neighbourhoods") == 31.4
    assert value(found, "part_looked_at", "log") == 412
    assert value(found, "part_state", "vault", "partial") == 1
    assert value(found, "part_state", "vault", "done") == 0
    assert value(found, "parts_failed") == 0
    assert value(found, "health_share", "signed") == 0.9312
    assert value(found, "source_documents", "wiki") == 1_204
    assert value(found, "source_suspects", "vendor-acme") == 4
    assert value(found, "source_drift", "vendor-acme") == 0.61
    assert ("source_drift", frozenset({"faq"})) not in found  # unknown is not zero
    assert value(found, "source_state", "faq", "stale") == 1
    assert value(found, "last_run_timestamp_seconds") == NOW.timestamp()
    assert value(found, "exit_code") == 3
    assert sum(1 for name, _ in found if name == "findings") == len(RULES)


@pytest.mark.parametrize(
    ("code", "succeeded"), [(0, True), (1, True), (2, False), (3, False), (4, False), (5, False)]
)
def test_only_exit_0_and_1_are_a_success(code: int, succeeded: bool) -> None:
    found = samples(prometheus.dump(reports.busy(), code, last_success=7.0))
    assert value(found, prometheus.LAST_SUCCESS.removeprefix(prometheus.PREFIX)) == (
        NOW.timestamp() if succeeded else 7.0
    )


def test_the_last_success_survives_failed_runs(tmp_path: Path) -> None:
    path = tmp_path / "r.prom"
    name = reports.quiet().name
    assert prometheus.last_success(path, name) == 0.0
    path.write_bytes(prometheus.dump(reports.quiet(), 0))
    for night in range(3):
        later = replace(reports.failed(), at=f"2026-03-0{night + 2}T12:00:00Z")
        kept = prometheus.last_success(path, name)
        path.write_bytes(prometheus.dump(later, 5, kept))
        assert prometheus.last_success(path, name) == NOW.timestamp()
    assert prometheus.last_success(path, "another workspace") == 0.0


@pytest.mark.parametrize("data", [b"\xff\xfe", b"not { a metric", b'ragguard_audit_x{a="b', b""])
def test_a_damaged_file_tells_no_success_and_stops_nothing(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "r.prom"
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert prometheus.last_success(path, "handbook") == 0.0
    assert bool(caplog.records) == bool(data)


def test_hostile_labels_add_no_sample() -> None:
    report = reports.hostile()
    found = samples(prometheus.dump(report, 5))
    assert value(found, "findings", "RG101", "foreign-point", "error") == 3
    named = {labels for name, labels in found if name == "source_documents"}
    assert len(named) == len(reports.HOSTILE)
    assert value(found, "exit_code") == 5


def test_every_line_is_a_sample_or_a_comment_and_the_last_one_ends() -> None:
    data = prometheus.dump(reports.hostile(), 5)
    assert data.endswith(b"\n")
    for row in data.decode().splitlines():
        assert row.startswith(
            (f"# HELP {prometheus.PREFIX}", f"# TYPE {prometheus.PREFIX}", "ragguard_")
        )


def _wide() -> AuditReport:
    return replace(reports.quiet(), sources=[SourceLine(f"s{i}", i) for i in range(3_000)])


def test_sources_without_number_do_not_flood_the_database() -> None:
    found = samples(prometheus.dump(_wide(), 0))
    kept = [labels for name, labels in found if name == "source_documents"]
    assert len(kept) == prometheus.MOST_SOURCES
    assert frozenset({"s2999"}) in kept
