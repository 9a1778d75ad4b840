"""What a contract wants reviewed waits, whatever the checks say."""

from __future__ import annotations

import pytest

from ragguard.errors import UsageError
from ragguard.ingest.report import Report
from ragguard.ledger import observed, queue
from ragguard.quarantine import review
from ragguard.trust import root as roots
from ragguard.trust.contract import review_rule
from tests.support.simulator import HONEST, Gate


def held(report: Report) -> dict[str, str]:
    """Documents that wait, and what says so first."""
    return {v.id: v.findings[0].check for v in report.documents if v.outcome == "quarantine"}


@pytest.mark.parametrize(
    ("rule", "document", "label", "takes"),
    [
        ("all", "a.md", None, True),
        ("path=legal/*", "legal/de/terms.md", None, True),
        ("path=legal/*", "illegal/terms.md", None, False),
        ("path=*.PDF", "a.pdf", None, False),
        ("label=public", "a.md", "public", True),
        ("label=public", "a.md", ["internal", "public"], True),
        ("label=public", "a.md", "publicity", False),
        ("label=None", "a.md", None, False),
    ],
)
def test_a_rule_takes(rule: str, document: str, label: object, takes: bool) -> None:
    metadata = {} if label is None else {"label": label}
    assert (review_rule([rule], document, metadata) == rule) is takes


@pytest.mark.parametrize(
    "rule", ["", "everything", "label=", "path", "author=x", "path=" + "x" * 500]
)
def test_a_rule_that_nobody_can_follow_is_refused(gate: Gate, rule: str) -> None:
    with pytest.raises(UsageError, match="policy review"):
        gate.set_policy(review=[rule])


def test_paths_wait_until_released_and_then_no_more(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.set_policy(review=["path=legal/*"])
    new = {"legal/nda.md": "# Secrecy\n\nPartners sign the form before the first meeting."}
    assert held(gate.publish(new)) == {"legal/nda.md": "always_review"}
    with gate.workspace.ledger.reading() as conn:
        seen = observed.observed(conn)
    assert (seen.open, seen.released) == (0, 0)  # it says nothing of the gate
    review.decide(gate.workspace, gate.cases()[0], "release", gate.bob, "read it")
    with gate.workspace.ledger.reading() as conn:
        assert observed.observed(conn).released == 0
    gate.set_policy(required_metadata=[], max_documents=500)  # all is judged again
    assert held(gate.publish()) == {}
    changed = {"legal/nda.md": new["legal/nda.md"] + " The form is in the intranet."}
    assert held(gate.publish(changed)) == {"legal/nda.md": "always_review"}
    assert "legal/nda.md" in gate.documents()  # the version that was released


def test_a_new_source_is_on_probation_until_reviewers_let_enough_in(gate: Gate) -> None:
    gate.set_policy(probation=3)
    names = sorted(HONEST)
    first = gate.publish({name: HONEST[name] for name in names[:4]})
    assert held(first) == dict.fromkeys(names[:4], "probation")
    with gate.workspace.ledger.reading() as conn:
        (group,) = queue.groups(queue.entries(conn))
    assert group.kind == "family"  # one decision for all
    cases = gate.cases()
    review.decide_cases(gate.workspace, cases[:2], "release", gate.bob, "good")
    review.decide(gate.workspace, cases[2], "reject", gate.bob, "not ours")
    assert held(gate.publish({names[4]: HONEST[names[4]]}))[names[4]] == "probation"
    review.decide(gate.workspace, cases[3], "release", gate.bob, "good")
    assert names[5] not in held(gate.publish({names[5]: HONEST[names[5]]}))


def test_what_is_not_asked_for_is_not_written(gate: Gate) -> None:
    policy = gate.workspace.root.sources["wiki"].policy
    body = roots.dump_policy(policy)
    assert not body.keys() & {"reviewers", "review", "probation"}
    gate.set_policy(review=["all"], probation=5)
    asked = gate.workspace.root.sources["wiki"].policy
    assert roots.parse_policy(roots.dump_policy(asked)) == asked
    assert roots.judged_under(asked) == body  # who reviews what is no reason to judge anew
