from __future__ import annotations

from pathlib import Path

import pytest

from ragguard.audit.provenance import check_provenance, health
from ragguard.ledger import versions
from ragguard.trust import amend_root
from tests.support.simulator import HONEST, SUSPECT, Gate

WELL = {"current": 1.0, "verifiable": 1.0, "signed": 1.0}


def test_an_index_of_nothing_has_no_health(gate: Gate) -> None:
    assert health(gate.workspace) == {}


@pytest.fixture
def served(gate: Gate) -> Gate:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    assert gate.documents() == set(HONEST)
    return gate


def test_what_was_just_brought_in_is_well(served: Gate) -> None:
    assert health(served.workspace) == WELL
    assert health(served.workspace, check_provenance(served.workspace), most=1) == WELL


def test_a_newer_version_that_waits_makes_the_older_one_not_current(served: Gate) -> None:
    served.publish({"leave.md": f"{HONEST['leave.md']}\n\n{SUSPECT}"})
    assert health(served.workspace) == {**WELL, "current": pytest.approx(5 / 6)}


def test_an_expired_manifest_makes_its_source_not_current(served: Gate) -> None:
    served.reopen(days=91)
    assert health(served.workspace)["current"] == 0.0


def test_bytes_that_are_gone_from_the_vault_cannot_be_verified(served: Gate) -> None:
    vault = Path(served.workspace.folder) / "vault"
    with served.workspace.ledger.reading() as conn:
        row = versions.members(conn, "serving")["wiki/leave.md"]
    (vault / row.subject_digest[:2] / row.subject_digest).unlink()
    found = health(served.workspace)
    assert found == {**WELL, "verifiable": pytest.approx(5 / 6)}


def test_a_source_that_is_gone_from_the_trust_root_is_signed_by_nobody(served: Gate) -> None:
    """The audit's own finding about it is `source-gone`; here it must show as a number."""
    served.change_root(lambda root: amend_root.revoke_source(root, "wiki", served.now))
    found = check_provenance(served.workspace)
    assert "source-gone" in {f.rule for f in found.findings}
    assert health(served.workspace, found)["current"] == 1.0
