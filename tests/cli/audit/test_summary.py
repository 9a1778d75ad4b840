from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from ragguard.audit.findings import AuditReport, Part
from ragguard.cli.audit.summary import MOST_LINES, show, summary
from ragguard.text.safe_display import plain
from tests.support.audit import reports

FILES = {
    "json": Path("/var/lib/ragguard/reports/audit.json"),
    "sarif": Path("/var/lib/ragguard/reports/audit.sarif"),
    "html": Path("/var/lib/ragguard/reports/audit.html"),
    "metrics": Path("/var/lib/node_exporter/ragguard.prom"),
}
KINDS = {
    "quiet": reports.quiet,
    "busy": reports.busy,
    "failed": reports.failed,
    "hostile": reports.hostile,
    "many": lambda: reports.many(2_000),
    "empty": lambda: AuditReport(reports.AT, "0.1.0", "", ""),
}


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("kind", KINDS)
def test_it_fits_a_screen(kind: str, width: int) -> None:
    rows = summary(KINDS[kind](), FILES, width)
    assert len(rows) <= MOST_LINES
    assert max(map(cell_len, rows)) <= width
    assert all(plain(row) == row and "\n" not in row and "\t" not in row for row in rows)


def test_wide_characters_fit_as_well() -> None:
    report = replace(reports.quiet(), name="\u4f60\u597d" * 90)
    report = replace(report, parts=[Part("\u4f60" * 60, "failed", "\u597d" * 200)])
    assert max(map(cell_len, summary(report, {}, 80))) <= 80


def test_it_says_first_what_must_be_looked_at_and_last_what_to_do() -> None:
    rows = summary(reports.busy(), FILES, 160)
    assert rows[0].startswith("audit of handbook: Not what was written: 3,000 points of noise")
    assert rows[1] == "since 2026-02-28 12:00 UTC: 10 new, 2 gone, 3 still there"
    assert rows[2].startswith("looked at: log ok, index ok, provenance ok, vault part")
    assert rows[-1].startswith("next: Remove them with a clean rebuild")
    assert "error   RG116 noise-flood           3,000 points of noise, new" in rows
    assert "warning RG301 suspect-document      4 suspect documents, 3 of 4 new" in rows
    assert any(row.startswith("  0.97 vendor-acme/leave-0.md: collusion") for row in rows)
    assert sum("/audit." in row for row in rows) >= 3


def test_parts_that_failed_are_told_with_their_reason() -> None:
    rows = summary(reports.failed(), {}, 80)
    assert "FAILED neighbourhoods: out of memory at 4.0 GiB (raise [audit] memory_mb)" in rows
    assert not any(row.startswith("FAILED") for row in summary(reports.busy(), {}, 80))


def test_rules_that_do_not_fit_are_counted() -> None:
    report = reports.many(2_000)
    rows = summary(report, FILES, 80)
    listed = sum(row.startswith(("error ", "warning ", "note ")) for row in rows)
    (rest,) = (row for row in rows if row.endswith("further rules"))
    assert listed + int(rest.split()[1]) == len({f.rule for f in report.findings})


def test_a_first_audit_and_a_quiet_one_say_so() -> None:
    first = summary(replace(reports.busy(), previous=""), {}, 80)
    assert "since the last audit: this is the first" in first
    assert not any("new" in row.split(", ")[-1] for row in first if row.startswith("error"))
    rows = summary(reports.quiet(), {}, 80)
    assert rows[0] == "audit of handbook: Nothing to look at in 7,512 points."
    assert rows[-1] == "next: nothing; the next audit compares with this one"


def test_what_was_quarantined_waits_for_review() -> None:
    assert summary(reports.busy(), {}, 80, quarantined=True)[-1] == (
        "next: ragguard quarantine list"
    )


def test_it_is_printed_without_colour_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(reports.hostile(), FILES)
    out, err = capsys.readouterr()
    assert out.splitlines() == summary(reports.hostile(), FILES, 100)
    assert "\x1b" not in out
    assert err == ""
