"""Render the report on ordinary documents as one self-contained page, nothing fetched.

Names and reasons come from strangers' files; all text passes autoescape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragguard.bench.page import percent, span


def render(report: Mapping[str, Any]) -> str:
    """Return the page."""
    from ragguard.audit.report.templates import environment

    template = environment("ragguard.bench", {"percent": percent, "span": span}).get_template(
        "honest.html.j2"
    )
    return template.render(report=report, held=held_once(report))


def held_once(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List every document that was held, once, with the batches it was held in.

    Returns:
        `collection`, `id`, `reason`, `checks`, `rules`, `batches` each; in the report's order.
    """
    documents: dict[tuple[str, str], dict[str, Any]] = {}
    for case in report["cases"]:
        for held in case["held_documents"]:
            key = (case["collection"], held["id"])
            row = documents.setdefault(
                key, {"collection": case["collection"], **held, "batches": []}
            )
            row["batches"].append(f"{case['protocol']} {case['setting']}")
    return list(documents.values())
