"""Observe mode: nothing is held, nothing is pulled back, and all that would have been is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ragguard.ledger import versions
from ragguard.ledger.observed import observed
from tests.support.simulator import HONEST, SUSPECT, Gate, outcomes


@pytest.fixture(params=["setting", "flag"])
def watching(request: pytest.FixtureRequest, new_gate: Callable[..., Gate]) -> Any:
    """A gate that only observes, and what `ingest` is to be told."""
    if request.param == "setting":
        return new_gate(judge={"observe": True}), {}
    return new_gate(), {"observe": True}


def test_an_honest_site_has_nothing_observed(watching: tuple[Gate, dict[str, Any]]) -> None:
    gate, told = watching
    report = gate.ingest(gate.publisher.publish(HONEST), **told)
    assert report.as_dict()["observe"] is True
    assert [v.id for v in report.documents if v.observed] == []
    assert gate.documents() == set(HONEST)


def test_a_suspect_is_served_and_recorded_and_waits_for_nobody(
    watching: tuple[Gate, dict[str, Any]],
) -> None:
    gate, told = watching
    report = gate.ingest(gate.publisher.publish({**HONEST, "safe.md": SUSPECT}), **told)
    assert report.exit_code == 0
    assert report.counts["admitted"] == len(HONEST) + 1
    (verdict,) = [v for v in report.documents if v.observed]
    assert (verdict.id, verdict.outcome) == ("safe.md", "admit")
    assert verdict.p_value is not None
    assert not verdict.not_yet_judged
    body = next(d for d in report.as_dict()["documents"] if d["id"] == "safe.md")
    assert (body["verdict"], body["observed"]) == ("admit", True)
    assert "safe.md" in gate.documents()
    assert gate.documents("quarantine") == set()
    assert gate.cases(None) == []
    with gate.workspace.ledger.reading() as conn:
        row = versions.members(conn, "serving")["wiki/safe.md"]
        seen = observed(conn)
    assert {f["facts"]["observed"] for f in row.findings} == {True}
    assert {f["check"] for f in row.findings} >= {"instructions"}
    assert (seen.admitted, seen.open) == (len(HONEST), 1)


def test_what_the_contract_refuses_is_refused_all_the_same(
    watching: tuple[Gate, dict[str, Any]],
) -> None:
    gate, told = watching
    gate.set_policy(required_metadata=["owner"])
    path = gate.publisher.publish(
        {"leave.md": HONEST["leave.md"], "safe.md": SUSPECT},
        metadata={"safe.md": {"owner": "desk"}},
    )
    report = gate.ingest(path, **told)
    assert outcomes(report) == {"leave.md": "reject", "safe.md": "admit"}
    assert report.exit_code == 1


def test_the_flag_overrules_the_setting(new_gate: Callable[..., Gate]) -> None:
    gate = new_gate(judge={"observe": True})
    path = gate.publisher.publish({**HONEST, "safe.md": SUSPECT})
    report = gate.ingest(path, observe=False)
    assert (report.observe, report.exit_code) == (False, 1)
    assert gate.documents("quarantine") == {"safe.md"}


def test_what_was_observed_is_held_when_it_comes_again_changed(gate: Gate) -> None:
    gate.ingest(gate.publisher.publish({**HONEST, "safe.md": SUSPECT}), observe=True)
    report = gate.publish({"safe.md": f"{SUSPECT} It is behind the picture."})
    assert report.counts["quarantined"] == 1
    assert gate.documents("quarantine") == {"safe.md"}
    assert "safe.md" in gate.documents()  # the edition that was let in while observing
