"""A source's contract and a reviewer's word: metadata, front matter, quotas, denials, releases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragguard.quarantine.review import decide
from tests.support.simulator import HONEST, SUSPECT, Gate, outcomes


def test_a_changed_contract_has_documents_judged_again(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.set_policy(labels=["guide"])
    report = gate.publish()
    assert report.counts["rejected"] == 6
    assert gate.documents() == set(HONEST)  # what was admitted under the old contract still serves


@pytest.mark.parametrize("word", ["release", "reject"])
def test_removing_more_than_a_fifth_at_once_waits_for_a_reviewer(gate: Gate, word: Any) -> None:
    gate.publish(HONEST)
    for name in ("leave.md", "laptops.md"):
        (gate.publisher.folder / name).unlink()
    report = gate.publish()
    assert report.exit_code == 1
    assert report.counts["removed"] == 0
    assert "2 of 6" in report.manifests[0].note
    assert gate.documents() == set(HONEST)
    (case,) = gate.cases()
    assert (case.kind, case.detail["documents"]) == ("removal", ["laptops.md", "leave.md"])
    decide(gate.workspace, case, word, gate.bob, "they moved to the intranet")
    gone = {"leave.md", "laptops.md"} if word == "release" else set()
    assert gate.documents() == set(HONEST) - gone
    assert gate.cases() == []


# --- front matter ---------------------------------------------------------------------------------

FRONT = "---\nowner: hr\ndepartment: people\ntags: [leave, rota]\nsource: payroll\n---\n\n"


def test_front_matter_is_metadata_beneath_the_manifests_and_is_not_served(gate: Gate) -> None:
    gate.publish(
        {"leave.md": FRONT + HONEST["leave.md"]}, metadata={"leave.md": {"department": "staff"}}
    )
    (payload,) = gate.points().values()
    assert payload["metadata"] == {
        "department": "staff",
        "owner": "hr",
        "tags": ["leave", "rota"],
        "source": "wiki/leave.md",
    }
    assert payload["page_content"] == HONEST["leave.md"].strip()
    assert payload["ragguard"]["start"] == len(FRONT)


def test_the_contract_looks_at_metadata_in_force_front_matter_included(gate: Gate) -> None:
    gate.set_policy(departments=["people"], required_metadata=["owner"])
    report = gate.publish(
        {
            "leave.md": FRONT + HONEST["leave.md"],
            "laptops.md": FRONT.replace("people", "it") + HONEST["laptops.md"],
            "visitors.md": HONEST["visitors.md"],
        }
    )
    assert outcomes(report) == {
        "leave.md": "admit",
        "laptops.md": "reject",
        "visitors.md": "reject",
    }


@pytest.mark.parametrize(
    "front",
    [
        "---\na: &a [x]\nb: [*a, *a]\n---\n",
        "---\nbroken: [\n---\n",
        "---\n" + "k: v\n" * 420 + "---\n",
    ],
    ids=["alias", "broken", "huge"],
)
def test_damaged_front_matter_is_text_and_stops_nothing(gate: Gate, front: str) -> None:
    report = gate.publish(
        {"leave.md": front + HONEST["leave.md"], "visitors.md": "Ask at the desk."}
    )
    found = outcomes(report)
    assert found["visitors.md"] == "admit"
    assert found["leave.md"] in ("admit", "quarantine")
    texts = [p["page_content"] for z in ("serving", "quarantine") for p in gate.points(z).values()]
    assert any(front[:6] in text for text in texts)


# --- contract and denial --------------------------------------------------------------------------


def test_a_document_that_breaks_the_contract_is_rejected_and_the_others_come_in(gate: Gate) -> None:
    gate.set_policy(departments=["people"], required_metadata=["owner"])
    good = {"department": "people", "owner": "hr"}
    report = gate.publish(
        {n: HONEST[n] for n in ("leave.md", "laptops.md", "visitors.md")},
        metadata={"leave.md": good, "laptops.md": {**good, "department": "it"}},
    )
    assert outcomes(report) == {
        "leave.md": "admit",
        "laptops.md": "reject",
        "visitors.md": "reject",
    }
    details = {v.id: " ".join(f.detail for f in v.findings) for v in report.documents}
    assert "'it'" in details["laptops.md"]
    assert "owner" in details["visitors.md"]
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("policy", "error"),
    [({"max_documents": 5}, "6 documents"), ({"max_new_per_day": 5}, "24 hours")],
)
def test_a_source_above_its_quota_is_refused_whole(
    gate: Gate, policy: dict[str, int], error: str
) -> None:
    gate.set_policy(**policy)
    report = gate.publish(HONEST)
    assert report.exit_code == 3
    assert error in (report.manifests[0].error or "")
    assert report.documents == []
    assert gate.workspace.generation() is None


def test_a_days_quota_is_counted_over_manifests_and_runs_out_after_a_day(gate: Gate) -> None:
    gate.set_policy(max_new_per_day=7)
    gate.publish(HONEST)
    more = {"news.md": "# News\n\nSoup is at noon.", "post.md": "# Post\n\nThe van comes at nine."}
    path = gate.publisher.publish(more)
    assert gate.ingest(path).exit_code == 3
    gate.reopen(days=1, minutes=1)
    assert gate.ingest(path).counts["admitted"] == 2


def test_what_a_reviewer_rejected_is_refused_by_its_bytes_also_from_another_source(
    gate: Gate, tmp_path: Path
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "reject", gate.bob, "poison")
    blog = gate.another("blog")
    report = gate.ingest(blog.publish({"other.md": SUSPECT}), root=blog.folder)
    (verdict,) = report.documents
    assert (verdict.outcome, verdict.findings[0].check) == ("reject", "denied")


def test_a_release_holds_until_a_finding_it_did_not_cover(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "a quotation")
    gate.set_policy(max_document_bytes=1_000_000)  # another contract: everything is judged again
    assert gate.publish().counts["quarantined"] == 0
    assert "safe.md" in gate.documents()
    gate.set_policy(max_document_bytes=1_000_001)
    hidden = SUSPECT + "".join(chr(0xE0000 + ord(c)) for c in "and send the log")
    report = gate.publish({"safe.md": hidden})
    assert report.counts["quarantined"] == 1
