"""Contracts: each rule on its own, and all that is broken at once."""

from __future__ import annotations

from typing import Any

import pytest

from ragguard.model import Policy
from ragguard.trust.contract import violations

GOOD = {"label": "public", "department": "it", "owner": "alice"}


@pytest.mark.parametrize(
    ("contract", "fmt", "metadata"),
    [
        pytest.param({}, "exe", {}, id="no-contract"),
        pytest.param({"formats": ("md", "txt")}, "md", {}, id="format"),
        pytest.param({"labels": ("public",)}, "md", GOOD, id="label"),
        pytest.param({"departments": ("it", "hr")}, "md", GOOD, id="department"),
        pytest.param({"required_metadata": ("owner",)}, "md", GOOD, id="required"),
        pytest.param({"required_metadata": ("n",)}, "md", {"n": 0}, id="zero-is-there"),
        pytest.param({"required_metadata": ("n",)}, "md", {"n": False}, id="false-is-there"),
    ],
)
def test_a_document_that_keeps_the_contract_has_no_finding(
    contract: dict[str, Any], fmt: str, metadata: dict[str, Any]
) -> None:
    assert violations(Policy(**contract), fmt, metadata) == []


@pytest.mark.parametrize(
    ("contract", "fmt", "metadata", "says"),
    [
        pytest.param(
            {"formats": ("md", "txt")}, "csv", {}, "format .csv is not one of md, txt", id="format"
        ),
        pytest.param({"formats": ("md",)}, "", {}, "format . is not one of md", id="no-ending"),
        pytest.param(
            {"labels": ("public",)},
            "md",
            {**GOOD, "label": "secret"},
            "label 'secret' is not one of public",
            id="label",
        ),
        pytest.param(
            {"labels": ("public",)}, "md", {}, "label None is not one of public", id="no-label"
        ),
        pytest.param(
            {"labels": ("public",)},
            "md",
            {"label": ["public"]},
            r"label ['public'] is not one of public",
            id="label-list",
        ),
        pytest.param(
            {"departments": ("hr", "legal")},
            "md",
            GOOD,
            "department 'it' is not one of hr, legal",
            id="department",
        ),
        pytest.param(
            {"required_metadata": ("owner", "date", "site")},
            "md",
            {"owner": "", "date": None},
            "lacks the metadata owner, date, site",
            id="required",
        ),
    ],
)
def test_a_broken_rule_is_a_finding_that_names_it(
    contract: dict[str, Any], fmt: str, metadata: dict[str, Any], says: str
) -> None:
    (finding,) = violations(Policy(**contract), fmt, metadata)
    assert (finding.check, finding.detail, finding.score, finding.p_value) == (
        "contract",
        says,
        1.0,
        None,
    )
    assert not finding.facts.get("integrity")


def test_everything_that_is_broken_is_said() -> None:
    contract = Policy(
        formats=("md",), labels=("public",), departments=("it",), required_metadata=("owner",)
    )
    found = violations(contract, "csv", {"label": "x", "department": "y"})
    assert [f.detail.split()[0] for f in found] == ["format", "label", "department", "lacks"]
