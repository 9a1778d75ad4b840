"""Address the documentation: what a rule of the audit means, what a check measures.

Anchors are ids and names, which never change; `tests/shipped/test_site.py` builds the site and
looks for each. An installation whose readers reach no network may serve the same pages from
elsewhere.
"""

from __future__ import annotations

DOCUMENTATION = "https://ragguard.readthedocs.io/en/stable/"


def rule_address(rule_id: str) -> str:
    """Tell where a rule of the audit, such as `RG101`, is explained."""
    return f"{DOCUMENTATION}audit/#{rule_id.lower()}"


def check_address(name: str) -> str:
    """Tell where a check, such as `collusion`, is explained."""
    return f"{DOCUMENTATION}checks/#{name}"
