"""Report an audit as JSON, SARIF, a Prometheus textfile and a page, drawn from one report.

Each has `dump(report) -> bytes` in its module; `write_all` puts those that are asked for in their
files, whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ragguard.audit.findings import AuditReport
from ragguard.errors import IncompleteError
from ragguard.trust.files import replace_file


@dataclass(frozen=True)
class Targets:
    """Files to write; `None`: not asked for.

    Attributes:
        json: The whole report (docs/schemas/audit.json).
        sarif: SARIF 2.1.0.
        metrics: Prometheus textfile; the collector wants its name to end in `.prom`.
    """

    json: Path | None = None
    sarif: Path | None = None
    html: Path | None = None
    metrics: Path | None = None


def write_all(report: AuditReport, targets: Targets, exit_code: int) -> dict[str, Path]:
    """Write the reports that are asked for.

    The metrics are last: they tell a success only when the others are written. One that cannot be
    written does not keep the others from it; then the metrics tell no success.

    Returns:
        The files written by format, in order.

    Raises:
        IncompleteError: Some could not be written.
    """
    from ragguard.audit.report import html as report_html
    from ragguard.audit.report import json as report_json
    from ragguard.audit.report import prometheus as metrics
    from ragguard.audit.report import sarif

    drawn: list[tuple[str, Path | None, Callable[[], bytes]]] = [
        ("json", targets.json, lambda: report_json.dump(report)),
        ("sarif", targets.sarif, lambda: sarif.dump(report)),
        ("html", targets.html, lambda: report_html.dump(report)),
    ]
    written: dict[str, Path] = {}
    troubles: list[str] = []
    for name, path, dump in drawn:
        if path is not None:
            _write(name, path, dump, written, troubles)
    if (path := targets.metrics) is not None:
        code = IncompleteError.exit_code if troubles else exit_code
        before = metrics.last_success(path, report.name)
        _write("metrics", path, lambda: metrics.dump(report, code, before), written, troubles)
    if troubles:
        raise IncompleteError(
            f"reports could not be written: {'; '.join(troubles)}",
            hint="Name a folder that can be written to and has room; the audit itself is done.",
        )
    return written


def _write(
    name: str,
    path: Path,
    dump: Callable[[], bytes],
    written: dict[str, Path],
    troubles: list[str],
) -> None:
    try:
        replace_file(path, dump(), shared=True)
    except OSError as error:
        troubles.append(f"{path}: {error.strerror}")
    else:
        written[name] = path
