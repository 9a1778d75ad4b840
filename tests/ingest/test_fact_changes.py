from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragguard.ingest.fact_changes import FactChange, fact_changes
from ragguard.ingest.report import Report
from ragguard.trust import dsse, keys, root
from tests.support.simulator import HONEST, LIMIT, Gate

EDITED = HONEST["invoices.md"].replace("2,500 euro", "25,000 euro")
REVISED = (
    EDITED + "\n\nThe team answers within two working days and keeps a list of open questions."
)


@pytest.fixture
def site(gate: Gate) -> Gate:
    gate.publish(HONEST)
    return gate


def outcome(report: Report, name: str = "invoices.md") -> tuple[str, list[str]]:
    verdict = next(v for v in report.documents if v.id == name)
    return verdict.outcome, [f.check for f in verdict.findings]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.replace("27", "20"), [("number", "27", "20")]),
        (lambda t: t.replace("March", "May"), [("date", "March", "May")]),
        (lambda t: t.replace("Rollcall", "Quill"), [("name", "Rollcall", "Quill")]),
        (lambda t: t.replace("before", "after"), [("sense", "before", "after")]),
        (lambda t: t.replace("taken lapse", "taken never lapse"), [("negation", "", "never")]),
        (
            lambda t: t.replace("27", "20").replace("March", "May"),
            [("number", "27", "20"), ("date", "March", "May")],
        ),
    ],
)
def test_an_update_that_changes_only_facts_lists_them(
    change: Callable[[str], str], expected: list[tuple[str, str, str]]
) -> None:
    text = HONEST["leave.md"]
    assert fact_changes(text, change(text)) == tuple(FactChange(*e) for e in expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t,
        lambda t: t.upper(),
        lambda t: t.replace(". ", ".\n"),
        lambda t: t + "\n\nAsk the office for help.",
        lambda t: t.replace("27", "20") + "\n\nAsk the office for help.",
        lambda t: t.replace("a year", "every year of work"),
        lambda t: t.replace(" Days not taken lapse in March.", ""),
        lambda t: t.replace("team lead", "manager"),
    ],
    ids=["same", "capitals", "lines", "added", "fact and added", "reworded", "removed", "a word"],
)
def test_a_revision_is_no_fact_change(change: Callable[[str], str]) -> None:
    text = HONEST["leave.md"]
    assert fact_changes(text, change(text)) == ()


def test_by_default_a_fact_may_change(site: Gate) -> None:
    assert outcome(site.publish({"invoices.md": EDITED})) == ("admit", [])


def test_under_review_a_fact_change_waits_and_the_old_version_serves(site: Gate) -> None:
    site.set_policy(fact_changes="review")
    report = site.publish({"invoices.md": EDITED})
    assert outcome(report) == ("quarantine", ["fact_change"])
    finding = next(v for v in report.documents if v.id == "invoices.md").findings[0]
    assert "'2,500' became '25,000'" in finding.detail
    assert finding.facts["changes"] == [["number", "2,500", "25,000"]]
    served = [
        p["page_content"]
        for p in site.points().values()
        if p["ragguard"]["document"] == "invoices.md"
    ]
    assert served
    assert all("25,000" not in text for text in served)
    assert [case.document for case in site.cases()] == ["invoices.md"]


def test_under_review_a_revision_and_a_new_document_come_in(site: Gate) -> None:
    site.set_policy(fact_changes="review")
    new = "# Parking\n\nThe yard has 40 places. Ask the porter for a permit before you come."
    report = site.publish({"invoices.md": REVISED, "parking.md": new})
    assert outcome(report) == ("admit", [])
    assert outcome(report, "parking.md") == ("admit", [])


def test_an_old_fact_that_is_published_again_is_a_fact_change_too(site: Gate) -> None:
    site.publish({"invoices.md": EDITED})
    site.set_policy(fact_changes="review")
    assert outcome(site.publish({"invoices.md": HONEST["invoices.md"]}))[0] == "quarantine"


def test_the_same_manifest_again_changes_nothing(site: Gate) -> None:
    site.set_policy(fact_changes="review")
    path = site.publisher.publish({"invoices.md": EDITED}, now=site.now)
    assert outcome(site.ingest(path))[0] == "quarantine"
    assert outcome(site.ingest(path))[0] != "admit"
    assert [case.document for case in site.cases()] == ["invoices.md"]
    assert not any("25,000" in p["page_content"] for p in site.points().values())


def test_a_second_signature_of_another_principal_lets_a_fact_change_in(site: Gate) -> None:
    carol, again = keys.generate("carol"), keys.generate("alice")
    for key in (carol, again):
        site.trust(key, source="wiki")
    site.set_policy(fact_changes="second-signature")
    path = site.publisher.publish({"invoices.md": EDITED}, now=site.now, keep=False)
    once = path.read_bytes()

    def signed(key: keys.KeyPair) -> Path:
        path.write_bytes(
            dsse.add_signature(once, key.public.keyid, key.signing_key, max_bytes=LIMIT)
        )
        return path

    assert outcome(site.ingest(signed(again), dry_run=True)) == ("quarantine", ["fact_change"])
    assert outcome(site.ingest(signed(carol))) == ("admit", [])


def test_one_signature_is_not_enough_for_a_fact_change(site: Gate) -> None:
    site.set_policy(fact_changes="second-signature")
    report = site.publish({"invoices.md": EDITED})
    assert outcome(report) == ("quarantine", ["fact_change"])


def test_a_policy_that_does_not_name_it_is_signed_as_before(site: Gate) -> None:
    source = site.workspace.root.sources["wiki"].policy
    assert "fact_changes" not in root.dump_policy(source)
    site.set_policy(fact_changes="review")
    kept = site.workspace.root.sources["wiki"].policy
    assert root.dump_policy(kept)["fact_changes"] == "review"
    assert root.parse_policy(root.dump_policy(kept)) == kept
    with pytest.raises(ValueError, match="fact_changes: expected"):
        root.parse_policy({"fact_changes": "never"})
