"""What an audit starts: what was allowed, for what is new, nothing where integrity is broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from ragguard.audit.findings import AuditFinding, AuditReport
from ragguard.audit.rules import RULES
from ragguard.audit.triggers import RULES_OF, fired
from ragguard.config import TriggerSettings

SUSPECT = AuditFinding("suspect-document", "odd", document="wiki/a.md")
FORBIDDEN = AuditFinding("canary-forbidden", "it appears", document="wiki/b.md")
DRIFT = AuditFinding("label-drift", "more Legal than before", about="label")
ALL = TriggerSettings(drift=("audit",), canaries=("stage", "audit"), suspects=("stage",))


def report(*findings: AuditFinding, old: tuple[AuditFinding, ...] = ()) -> AuditReport:
    fresh = frozenset(f.identity for f in findings) - {f.identity for f in old}
    return AuditReport("2026-03-01T12:00:00Z", "0", "w", "c", findings=findings, fresh=fresh)


def test_every_condition_is_made_of_rules_that_there_are() -> None:
    assert set().union(*RULES_OF.values()) <= RULES.keys()
    assert set(RULES_OF) == {"drift", "canaries", "suspects"}


def test_nothing_is_started_unless_it_is_allowed() -> None:
    assert fired(TriggerSettings(), report(SUSPECT, FORBIDDEN, DRIFT)) == {}
    assert fired(ALL, report()) == {}


def test_what_is_allowed_is_started_once_for_all_its_conditions() -> None:
    assert fired(ALL, report(DRIFT)) == {"audit": ["drift"]}
    assert fired(ALL, report(SUSPECT, FORBIDDEN, DRIFT)) == {
        "audit": ["drift", "canaries"],
        "stage": ["canaries", "suspects"],
    }


def test_what_the_last_audit_had_too_starts_nothing() -> None:
    assert fired(ALL, report(SUSPECT, DRIFT, old=(SUSPECT,))) == {"audit": ["drift"]}


def test_few_suspects_may_be_too_few() -> None:
    allowed = ALL.model_copy(update={"least_suspects": 2})
    other = replace(SUSPECT, document="wiki/c.md")
    assert fired(allowed, report(SUSPECT)) == {}
    assert fired(allowed, report(SUSPECT, other)) == {"stage": ["suspects"]}


def test_where_integrity_is_broken_nothing_is_started() -> None:
    broken = next(name for name, rule in RULES.items() if rule.integrity)
    assert fired(ALL, report(SUSPECT, AuditFinding(broken, "changed"))) == {}


def test_a_cut_over_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError):
        TriggerSettings.model_validate({"drift": ["cutover"]})
