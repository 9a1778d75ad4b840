"""The files of an audit: whole or not at all, one format never at another's cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragguard.audit.report import Targets, prometheus, write_all
from ragguard.audit.report import json as report_json
from ragguard.errors import IncompleteError
from tests.support.audit import reports
from tests.support.simulator import NOW


def _targets(folder: Path) -> Targets:
    return Targets(
        folder / "a.json", folder / "a.sarif", folder / "sub" / "a.html", folder / "a.prom"
    )


def test_every_format_that_is_asked_for_is_written(tmp_path: Path) -> None:
    report = reports.busy()
    written = write_all(report, _targets(tmp_path), 3)
    assert list(written) == ["json", "sarif", "html", "metrics"]
    assert report_json.load(written["json"].read_bytes()).findings == report.findings
    assert json.loads(written["sarif"].read_bytes())["version"] == "2.1.0"
    assert written["html"].read_bytes().startswith(b"<!doctype html>")
    assert b"ragguard_audit_exit_code" in written["metrics"].read_bytes()
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 4  # nothing half-written


def test_nothing_asked_for_is_nothing_written(tmp_path: Path) -> None:
    assert write_all(reports.quiet(), Targets(), 0) == {}
    assert write_all(reports.quiet(), Targets(html=tmp_path / "a.html"), 0) == {
        "html": tmp_path / "a.html"
    }


def test_a_report_that_cannot_be_written_is_told_and_no_success(tmp_path: Path) -> None:
    (tmp_path / "a.sarif").mkdir()
    with pytest.raises(IncompleteError, match=r"a\.sarif") as caught:
        write_all(reports.quiet(), _targets(tmp_path), 0)
    assert caught.value.exit_code == 5
    assert caught.value.hint
    assert (tmp_path / "a.json").exists()
    assert (tmp_path / "sub/a.html").exists()
    assert prometheus.last_success(tmp_path / "a.prom", "handbook") == 0.0
    assert b'exit_code{audit="handbook"} 5.0' in (tmp_path / "a.prom").read_bytes()


def test_the_last_success_stays_in_the_file_over_failed_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.prom"
    write_all(reports.busy(), Targets(metrics=path), 1)
    write_all(reports.failed(), Targets(metrics=path), 5)
    assert prometheus.last_success(path, "handbook") == NOW.timestamp()
    assert b'parts_failed{audit="handbook"} 2.0' in path.read_bytes()
