from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from ragguard.bench import page
from ragguard.bench.world import PROTOCOLS

HOSTILE = "<script>alert('x')</script>\"&$\\frac{1}{0}$<img src=x onerror=y>"


@pytest.fixture(scope="module")
def html(report: dict[str, Any]) -> str:
    return page.render(report)


def test_every_protocol_has_a_section_with_three_plots(html: str) -> None:
    assert html.count("<h2 ") == len(PROTOCOLS) + 1
    assert html.count("<svg ") == 3 * len(PROTOCOLS)
    for heading in page.WORDS.values():
        assert heading in html


def test_the_page_fetches_nothing_and_runs_nothing(html: str) -> None:
    assert "<script" not in html
    assert "default-src 'none'" in html
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", html))
    assert all(a.startswith("http://www.w3.org/") for a in addresses), addresses  # namespaces
    assert "@import" not in html
    assert not re.findall(r"<(?:img|iframe|link|object|embed)\b", html)


def test_ids_are_unique_on_the_page(html: str) -> None:
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))


def test_hostile_names_stay_text(report: dict[str, Any]) -> None:
    hostile = copy.deepcopy(report)
    hostile["dataset"]["name"] = HOSTILE
    hostile["dataset"]["left_out"] = {HOSTILE: 1}
    hostile["dataset"]["families"] = {HOSTILE: 1}
    for case in hostile["cases"]:
        case["family"] = HOSTILE
        case["gate"]["first_findings"] = {HOSTILE: 1}
        case["methods"][HOSTILE] = case["methods"]["ragguard"]
        case["checks"][HOSTILE] = next(iter(case["checks"].values()))
    html = page.render(hostile)
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") > 10


def test_the_same_report_gives_the_same_page(report: dict[str, Any], html: str) -> None:
    assert page.render(report) == html


def test_a_crashed_check_is_said_at_the_top(report: dict[str, Any], html: str) -> None:
    broken = copy.deepcopy(report)
    broken["cases"][0]["gate"]["crashed"] = ["stuffing"]
    assert "Checks crashed" not in html
    assert "quarantined what they could not examine: stuffing" in page.render(broken)


def test_figures_that_are_missing_are_a_dash() -> None:
    assert page.percent(None) == page.number(None) == "\N{EN DASH}"
    assert page.percent(0.1234) == "12.3"
    assert page.number(0.98765) == "0.988"
    assert page.span({"interval": [0.1, 0.25]}) == "10.0\N{EN DASH}25.0"


def test_the_plots_show_the_largest_campaigns(report: dict[str, Any]) -> None:
    bulk = [c for c in report["cases"] if c["protocol"] == "bulk"]
    assert [c["per_target"] for c in page._largest(bulk)] == [4]
