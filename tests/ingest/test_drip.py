"""A campaign that comes drop by drop: lone newcomers at first, caught together in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ragguard.ingest.judge import recent_labels
from ragguard.ingest.report import Report
from ragguard.ingest.run import ingest
from ragguard.ledger import versions
from ragguard.lineage.prove import prove, verify_bundle, verify_log
from ragguard.quarantine.review import decide
from tests.support.simulator import Gate
from tests.support.workspaces.handbook import CORPORA, add, judged_handbook_gate, poison


class Drip(NamedTuple):
    """A gate at which a campaign has come in, one document a manifest."""

    gate: Gate
    names: list[str]
    reports: list[Report]
    recent: list[frozenset[str]]


def drops(campaign: str) -> list[str]:
    """Names of a campaign's documents, in order."""
    rows = map(json.loads, (CORPORA / "poison/labels.jsonl").read_text("utf-8").splitlines())
    return [row["id"] for row in rows if row["campaign"] == campaign]


def drop(gate: Gate, name: str) -> Report:
    """Bring one document in."""
    text, metadata = poison("question-led")[name]
    report: Report = add(gate, {name: text}, {name: metadata})
    return report


def lately(gate: Gate) -> frozenset[str]:
    with gate.workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving")
    return recent_labels(gate.workspace, serving)


@pytest.fixture(scope="module")
def dripped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drip]:
    gate = judged_handbook_gate(tmp_path_factory.mktemp("drip") / "handbook")
    names = drops("ql-lost-device")
    recent = [lately(gate)]
    reports = []
    for name in names:
        reports.append(drop(gate, name))
        recent.append(lately(gate))
    yield Drip(gate, names, reports, recent)
    gate.close()


def test_when_one_is_caught_its_companions_are_pulled_back(dripped: Drip) -> None:
    gate, names, reports, _ = dripped
    assert reports[0].counts["admitted"] == 1
    caught = next(r for r in reports if r.pulled)
    before = reports.index(caught)
    pulled = {v.id for v in caught.pulled}
    assert before >= 1
    assert caught.counts["quarantined"] == 1
    assert pulled <= set(names[:before])
    assert caught.exit_code == 1
    assert caught.as_dict()["pulled"][0]["verdict"] == "quarantine"
    waiting = gate.documents("quarantine")
    assert pulled | {names[before]} <= waiting
    assert not pulled & gate.documents()
    assert {c.document for c in gate.cases()} == waiting
    for verdict in caught.pulled:
        assert "collusion" in {f.check for f in verdict.findings}


def test_a_first_import_is_no_news_and_what_is_pulled_back_is_none_either(dripped: Drip) -> None:
    _, names, reports, recent = dripped
    assert recent[0] == frozenset()
    assert recent[1] == {f"wiki/{names[0]}"}
    pulled = {f"wiki/{v.id}" for r in reports for v in r.pulled}
    assert not pulled & recent[-1]


def test_what_was_pulled_back_is_proved_and_what_is_released_stays(dripped: Drip) -> None:
    gate, names, reports, _ = dripped
    pulled = next(r for r in reports if r.pulled).pulled[0].id
    case = next(c for c in gate.cases() if c.document == pulled)
    decide(gate.workspace, case, "release", gate.bob, "a test")
    assert pulled in gate.documents()
    assert f"wiki/{pulled}" not in lately(gate)
    assert verify_log(gate.workspace).problems == []
    bundle = prove(gate.workspace, f"wiki/{pulled}")
    assert [link["entry"]["act"] for link in bundle["links"]] == ["ingest", "ingest", "release"]
    assert [link["document"]["outcome"] for link in bundle["links"]][:2] == ["admit", "pulled"]
    key = gate.alice.public
    body = json.dumps(bundle).encode()
    proved = verify_bundle(body, gate.workspace.log_key, {key.keyid: key})
    assert proved["document"] == f"wiki/{pulled}"
    again = drop(gate, names[-1])
    assert again.pulled == []
    assert pulled in gate.documents()


def test_a_dry_run_says_what_it_would_pull_and_pulls_nothing(dripped: Drip, tmp_path: Path) -> None:
    _, names, reports, _ = dripped
    first = next(i for i, r in enumerate(reports) if r.pulled)
    gate = judged_handbook_gate(tmp_path / "handbook")
    for name in names[:first]:
        drop(gate, name)
    served = gate.documents()
    text, metadata = poison("question-led")[names[first]]
    path = gate.publisher.publish(
        {names[first]: text},
        mode="delta",
        paths=[gate.publisher.folder / names[first]],
        metadata={names[first]: metadata},
        now=gate.now,
    )
    report = ingest(gate.workspace, [path], root=gate.publisher.folder, dry_run=True)
    assert {v.id for v in report.pulled} == {v.id for v in reports[first].pulled}
    assert gate.documents() == served
    gate.close()


def test_what_counts_as_recent_is_configured(tmp_path: Path) -> None:
    gate = judged_handbook_gate(tmp_path / "handbook", recent_days=0)
    names = drops("ql-lost-device")
    assert drop(gate, names[0]).counts["admitted"] == 1
    assert lately(gate) == frozenset()
    gate.close()
