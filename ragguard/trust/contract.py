"""Check a document against its source's contract: what it may be and claim.

A broken contract rejects a document. What a contract wants reviewed always waits for a reviewer,
whatever the checks say: `all` of a source, `label=VALUE` (of the metadata key `label`), or
`path=PATTERN` (a document id, `*` stands for any characters, a slash too).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from ragguard.model import Finding, Metadata, Policy
from ragguard.trust import scope


def violations(
    policy: Policy, fmt: str, metadata: Metadata, signed: Metadata | None = None
) -> list[Finding]:
    """Tell what of a contract a document breaks.

    Args:
        fmt: File ending without the dot.
        signed: What of it a signer wrote; what a document says of itself names no access scope.
            All of it by default.

    Returns:
        A finding each; empty when the contract is met.
    """
    broken = []
    if policy.formats and fmt not in policy.formats:
        allowed = ", ".join(policy.formats)
        broken.append(f"format .{fmt} is not one of {allowed}")
    for key, allowed_values in (("label", policy.labels), ("department", policy.departments)):
        value = metadata.get(key)
        if allowed_values and value not in allowed_values:
            broken.append(f"{key} {value!r} is not one of {', '.join(allowed_values)}")
    missing = [key for key in policy.required_metadata if metadata.get(key) in (None, "")]
    if missing:
        broken.append(f"lacks the metadata {', '.join(missing)}")
    try:
        scope.tokens(policy.scope, metadata if signed is None else signed)
    except ValueError as error:
        broken.append(str(error))
    return [Finding("contract", 1.0, None, text) for text in broken]


MAX_RULES = 100
MAX_RULE = 500  # characters


def check_rules(rules: Iterable[str]) -> None:
    """Refuse rules of review that nobody can follow.

    Raises:
        ValueError: Says which one.
    """
    listed = list(rules)
    if len(listed) > MAX_RULES:
        raise ValueError(f"policy review: {len(listed)} rules, at most {MAX_RULES} are taken")
    for rule in listed:
        key, _, value = rule.partition("=")
        if rule != "all" and (key not in ("label", "path") or not value or len(rule) > MAX_RULE):
            raise ValueError(
                f"policy review {rule[:60]!r}: expected 'all', 'label=VALUE' or 'path=PATTERN'"
            )


def review_rule(rules: Iterable[str], document: str, metadata: Metadata) -> str:
    """Return the rule by which a document always waits for a reviewer; empty where none does.

    Args:
        rules: Of the source's contract.
        metadata: Metadata in force; `label` may be a list, of which one value is enough.
    """
    label = metadata.get("label")
    labels = [str(v) for v in label] if isinstance(label, list | tuple) else [str(label)]
    for rule in rules:
        key, _, value = rule.partition("=")
        if (
            rule == "all"
            or (key == "label" and label is not None and value in labels)
            or (key == "path" and fnmatch.fnmatchcase(document, value))
        ):
            return rule
    return ""
