"""Cases and decisions: who may decide, and what follows."""

from __future__ import annotations

import pytest

from ragguard.errors import DecisionError, UsageError
from ragguard.ledger import decided as decided_rows
from ragguard.ledger import versions
from ragguard.lineage.prove import verify_log
from ragguard.quarantine import review
from ragguard.quarantine.hold import hold
from ragguard.trust import amend_root, dsse, keys
from tests.support.simulator import HONEST, SUSPECT, Gate
from tests.support.workspaces.ledger_rows import decision_on


@pytest.fixture
def waiting(gate: Gate) -> Gate:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    assert [c.document for c in gate.cases()] == ["safe.md"]
    return gate


def test_release_brings_the_document_into_the_serving_index(waiting: Gate) -> None:
    review.decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, "a quotation")
    assert waiting.documents() == {*HONEST, "safe.md"}
    assert waiting.documents("quarantine") == set()
    (case,) = waiting.cases(None)
    assert case.state == "released"
    payload = next(p for p in waiting.points().values() if p["ragguard"]["document"] == "safe.md")
    assert payload["page_content"] == SUSPECT


def test_a_released_point_is_sealed_for_the_serving_collection(waiting: Gate) -> None:
    (before,) = waiting.points("quarantine").items()
    review.decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, "a quotation")
    after = waiting.points()[before[0]]
    assert after["ragguard"]["seal"] != before[1]["ragguard"]["seal"]
    with waiting.workspace.ledger.reading() as conn:
        assert versions.seal_of(conn, "corpus-g1", before[0]) == after["ragguard"]["seal"]
        assert versions.seal_of(conn, "corpus-g1-quarantine", before[0]) is None


def test_release_replaces_the_older_version_that_served_meanwhile(gate: Gate) -> None:
    gate.publish(HONEST)
    changed = HONEST["leave.md"] + "\n\n" + SUSPECT
    gate.publish({"leave.md": changed})
    review.decide(gate.workspace, gate.cases()[0], "release", gate.bob, "fine")
    texts = [
        p["page_content"] for p in gate.points().values() if p["ragguard"]["document"] == "leave.md"
    ]
    assert texts == [changed]


def test_reject_denies_the_digest_and_empties_the_quarantine(waiting: Gate) -> None:
    review.decide(waiting.workspace, waiting.cases()[0], "reject", waiting.bob, "poison")
    assert waiting.documents() == set(HONEST)
    assert waiting.documents("quarantine") == set()
    with waiting.workspace.ledger.reading() as conn:
        assert len(decided_rows.denied(conn)) == 1
    report = waiting.publish({"copy.md": SUSPECT})
    outcomes = {v.id: v.outcome for v in report.documents}
    assert (outcomes["copy.md"], outcomes["safe.md"]) == ("reject", "reject")


def test_a_decision_is_signed_kept_and_logged(waiting: Gate) -> None:
    case = waiting.cases()[0]
    number = review.decide(waiting.workspace, case, "release", waiting.bob, "a quotation")
    with waiting.workspace.ledger.reading() as conn:
        row = decision_on(conn, case.id)
    assert (row.reviewer, row.reason, row.commit) == ("bob", "a quotation", number)
    envelope = dsse.parse_envelope(waiting.workspace.vault.get(row.envelope), max_bytes=1 << 20)
    result = dsse.verify(
        envelope,
        {waiting.bob.public.keyid: waiting.bob.public},
        payload_type=dsse.IN_TOTO,
        threshold=1,
    )
    assert result
    assert verify_log(waiting.workspace).problems == []


def test_a_signer_cannot_judge_his_own_document(waiting: Gate) -> None:
    waiting.trust(waiting.alice, role="reviewer")
    with pytest.raises(DecisionError, match="signed the document"):
        review.decide(waiting.workspace, waiting.cases()[0], "release", waiting.alice, "mine")
    assert waiting.documents("quarantine") == {"safe.md"}


def test_the_same_person_with_a_second_key_cannot_either(waiting: Gate) -> None:
    second = keys.generate("alice")
    waiting.trust(second, role="reviewer")
    with pytest.raises(DecisionError, match="signed the document"):
        review.decide(waiting.workspace, waiting.cases()[0], "release", second, "mine")


def test_somebody_who_is_no_reviewer_cannot_decide(waiting: Gate) -> None:
    with pytest.raises(DecisionError, match="not signed by a reviewer"):
        review.decide(
            waiting.workspace, waiting.cases()[0], "release", keys.generate("mallory"), "please"
        )
    assert len(waiting.cases()) == 1


def test_a_revoked_reviewer_cannot_decide(waiting: Gate) -> None:
    waiting.change_root(lambda r: amend_root.revoke(r, waiting.bob.public, waiting.now, "left"))
    with pytest.raises(DecisionError, match="not signed by a reviewer"):
        review.decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, "fine")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 2001])
def test_a_decision_needs_a_reason(waiting: Gate, reason: str) -> None:
    with pytest.raises(UsageError, match="reason"):
        review.decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, reason)


def test_a_closed_case_is_not_decided_twice(waiting: Gate) -> None:
    case = waiting.cases()[0]
    review.decide(waiting.workspace, case, "release", waiting.bob, "fine")
    closed = review.find(waiting.workspace.ledger, str(case.id))
    with pytest.raises(UsageError, match="closed"):
        review.decide(waiting.workspace, closed, "reject", waiting.bob, "after all")


@pytest.mark.parametrize("reference", ["1", "safe.md", "wiki/safe.md"])
def test_a_case_is_found_by_number_or_document(waiting: Gate, reference: str) -> None:
    assert review.find(waiting.workspace.ledger, reference).document == "safe.md"


@pytest.mark.parametrize("reference", ["99", "unsafe.md", ""])
def test_a_case_that_is_not_there_is_said_so(waiting: Gate, reference: str) -> None:
    with pytest.raises(UsageError, match="expected one"):
        review.find(waiting.workspace.ledger, reference)


def test_what_a_reviewer_sees_has_signers_findings_and_text(waiting: Gate) -> None:
    shown = review.look(waiting.workspace, waiting.cases()[0], texts=True)
    assert [principal for _, principal in shown.signers] == ["alice"]
    assert shown.texts == [SUSPECT]
    assert shown.version is not None
    assert shown.version.findings[0]["check"] == "instructions"
    assert not shown.replaces


def test_the_reviewed_text_comes_from_the_vault_not_from_the_index(waiting: Gate) -> None:
    """Whoever writes to Qdrant behind our back cannot have another text released."""
    store = waiting.workspace.open_store()
    (point, payload) = next(iter(waiting.points("quarantine").items()))
    store.client.set_payload(
        "corpus-g1-quarantine", payload={"page_content": "The pin is 0000."}, points=[point]
    )
    review.decide(waiting.workspace, waiting.cases()[0], "release", waiting.bob, "fine")
    assert waiting.points()[point]["page_content"] == payload["page_content"] == SUSPECT


def test_a_reviewer_is_told_what_else_serves_with_the_same_bytes(gate: Gate) -> None:
    """A rejection denies the bytes, also those of the honest document that was copied."""
    gate.publish(HONEST)
    gate.publish({"copied.md": HONEST["leave.md"]})
    if "copied.md" in gate.documents():
        hold(gate.workspace, ["wiki/copied.md"], "a copy")
    (case,) = [c for c in gate.cases() if c.document == "copied.md"]
    assert review.look(gate.workspace, case).serves_as == ["wiki/leave.md"]
    review.decide(gate.workspace, case, "reject", gate.bob, "a copy")
    assert "leave.md" in gate.documents()  # until a rebuild
