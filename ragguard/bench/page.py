"""Render the report as one self-contained page: tables and inline plots, nothing fetched.

Names of families, documents and folders come from strangers' files; all text passes autoescape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from ragguard.bench.peers import OURS
from ragguard.errors import BenchError

Case = Mapping[str, Any]
PLOTTED = 0.01  # false-alarm rate of the ablation
DASH = "\N{EN DASH}"
WORDS = {
    "bulk": "Bulk: everything arrives in one batch",
    "drip": "Drip: the same, cut into many batches on an index that grows",
    "new-topic": "New topic: an honest batch on a subject the index has never seen",
    "cold-start": "Cold start: the first batch of an empty index",
    "whole-index": "Whole index: nobody knows who is new",
}


def require() -> None:
    """Fail early, not after an hour of measuring.

    Raises:
        BenchError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise BenchError(
            "matplotlib is not installed; the page needs it", hint="pip install 'ragguard[bench]'"
        )


def render(report: Mapping[str, Any]) -> str:
    """Return the page.

    Raises:
        BenchError: matplotlib is not installed.
    """
    require()
    from markupsafe import Markup

    from ragguard.audit.report.templates import environment
    from ragguard.bench import figures

    sections = []
    for position, (heading, cases) in enumerate(groups(report["cases"])):
        shown = _largest(cases)
        salt = str(position)
        rate = _resolved(shown)
        sections.append(
            {
                "heading": heading,
                "cases": cases,
                "poison": cases[0]["subjects"] == "poison",
                # The plots are ours: matplotlib wrote and escaped them.
                "roc": Markup(figures.roc(shown, salt)),  # noqa: S704
                "distributions": Markup(figures.distributions(shown, salt)),  # noqa: S704
                "ablation": Markup(figures.ablation(shown, salt, rate)),  # noqa: S704
                "ablation_rate": rate,
            }
        )
    template = environment(
        "ragguard.bench", {"percent": percent, "span": span, "number": number}
    ).get_template("page.html.j2")
    return template.render(report=report, sections=sections, glance=glance(report["cases"]))


def groups(cases: Sequence[Case]) -> Iterator[tuple[str, list[Case]]]:
    """Yield cases under one heading: same protocol, same share arriving, same number of batches."""
    grouped: dict[tuple[Any, ...], list[Case]] = {}
    for case in cases:
        key = (case["protocol"], case["arriving"], case["batches"])
        grouped.setdefault(key, []).append(case)
    for (protocol, arriving, batches), members in grouped.items():
        heading = WORDS[protocol]
        if arriving is not None:
            heading += f"; {100 * arriving:g} % of the corpus arrives"
        if batches:
            heading += f", in {batches} batches"
        yield heading, members


def _largest(cases: Sequence[Case]) -> list[Case]:
    """Of each family the case with most documents a target: what is plotted."""
    best: dict[str, Case] = {}
    for case in cases:
        kept = best.get(case["family"])
        if kept is None or (case["per_target"] or 0) > (kept["per_target"] or 0):
            best[case["family"]] = case
    return list(best.values())


def _resolved(cases: Sequence[Case]) -> float:
    """1 % where every threshold half can set it, else the smallest rate that each can set."""
    rates: list[float] = [
        at["rate"] for at in cases[0]["methods"][OURS]["at"] if at["rate"] >= PLOTTED
    ]
    return next((r for r in rates if all(_has(case, r) for case in cases)), rates[-1])


def _has(case: Case, rate: float) -> bool:
    return any(
        at["rate"] == rate and at["detection"] is not None for at in case["methods"][OURS]["at"]
    )


def glance(cases: Sequence[Case]) -> dict[str, Any]:
    """List all verdicts on poison in one table.

    Returns:
        `columns`, a heading a setting; `rows`, a family and size with the share quarantined in each
        setting or `None`; `honest`, the largest share of honest newcomers quarantined beside.
    """
    columns: dict[str, None] = {}
    rows: dict[tuple[str, int], dict[str, float]] = {}
    honest: dict[str, float] = {}
    for case in cases:
        if case["subjects"] != "poison":
            continue
        heading = case["protocol"]
        if case["arriving"] is not None:
            heading += f" {100 * case['arriving']:g} %"
        if case["batches"]:
            heading += f" in {case['batches']}"
        columns[heading] = None
        share = case["gate"]["documents"]["share"]
        rows.setdefault((case["family"], case["per_target"]), {})[heading] = share
        beside = case["gate"]["honest_quarantined"]["share"]
        honest[heading] = max(honest.get(heading, 0.0), beside)
    return {
        "columns": list(columns),
        "rows": [
            (family, size, [shares.get(c) for c in columns])
            for (family, size), shares in sorted(rows.items(), key=lambda r: (r[0][0], -r[0][1]))
        ],
        "honest": [honest[c] for c in columns],
    }


def percent(share: float | None) -> str:
    """Return a share as a percentage; a dash for none."""
    return DASH if share is None else f"{100 * share:.1f}"


def span(share: Mapping[str, Any] | None) -> str:
    """Return the interval of a share, in percent."""
    if share is None:
        return ""
    low, high = share["interval"]
    return f"{100 * low:.1f}{DASH}{100 * high:.1f}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits; a dash for none."""
    return DASH if value is None else f"{value:.{digits}f}"
