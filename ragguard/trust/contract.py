"""A source's contract: what its documents may be and claim.

A broken contract rejects a document.
"""

from __future__ import annotations

from ragguard.model import Finding, Metadata, Policy
from ragguard.trust import scope


def violations(
    policy: Policy, fmt: str, metadata: Metadata, signed: Metadata | None = None
) -> list[Finding]:
    """What of a contract a document breaks.

    Args:
        policy: The source's policy.
        fmt: File ending without the dot.
        metadata: Metadata in force.
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
