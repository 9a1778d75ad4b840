"""Start after an audit what the operator allowed for what was found, and nothing else.

A condition is met by a finding that the last audit did not have, so that what stays wrong does not
start the same thing every night. Where integrity is broken nothing is started: what is wrong there
wants a person first.
"""

from __future__ import annotations

from collections.abc import Mapping

from ragguard.audit.findings import AuditReport
from ragguard.audit.recheck import RULES as JUDGED
from ragguard.config import TriggerAct, TriggerSettings

ORDER: tuple[TriggerAct, ...] = ("audit", "stage")
RULES_OF: Mapping[str, frozenset[str]] = {
    "drift": frozenset({"embedding-drift", "label-drift", "score-drift"}),
    "canaries": frozenset({"canary-forbidden", "canary-quality"}),
    "suspects": frozenset({*JUDGED.values(), "suspect-document"}),
}


def fired(allowed: TriggerSettings, report: AuditReport) -> dict[TriggerAct, list[str]]:
    """Say what an audit starts, and for which conditions.

    Returns:
        Acts in the order in which they are done, each with its conditions.
    """
    if report.exit_code() == 3:
        return {}
    new = [finding.rule for finding in report.findings if finding.identity in report.fresh]
    met: list[tuple[str, tuple[TriggerAct, ...]]] = []
    for name, rules in RULES_OF.items():
        number = sum(rule in rules for rule in new)
        least = allowed.least_suspects if name == "suspects" else 1
        if number >= least:
            met.append((name, getattr(allowed, name)))
    conditions = {act: [name for name, acts in met if act in acts] for act in ORDER}
    return {act: names for act, names in conditions.items() if names}
