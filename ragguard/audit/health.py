"""Retrieval health: how much of what serves is current, verifiable and signed.

Shares of serving documents, from the ledger and the vault alone; one number each, to be followed
over the nights. What is wrong with a single document is for the findings to say.
"""

from __future__ import annotations

from collections import Counter

from ragguard.audit.provenance import Provenance, check_provenance
from ragguard.kernels.canonical import parse_time
from ragguard.ledger import commits, corpus, streams
from ragguard.workspace import Workspace

MOST = 100_000  # digests looked for in the vault, spread evenly over all


def health(
    workspace: Workspace, provenance: Provenance | None = None, *, most: int = MOST
) -> dict[str, float]:
    """Shares of the serving documents, in [0, 1], higher is better; empty when nothing serves.

    Args:
        workspace: Open.
        provenance: What the audit found already; looked at now when not given.
        most: Bytes of at most so many files are looked for in the vault; above it, of a sample.

    Returns:
        `current`: its source's last manifest has not expired, and no newer version of it waits for
        a reviewer. `verifiable`: the bytes that were signed are in the vault. `signed`: its
        manifest has signatures enough under today's trust.
    """
    found = provenance if provenance is not None else check_provenance(workspace)
    now = workspace.now
    current = serving = 0
    files: Counter[str] = Counter()
    with workspace.ledger.reading() as conn:
        expiry: dict[str, str] = {}
        for row in commits.accepted_manifests(conn):
            if row.version >= 1:  # a later one of a source overwrites the earlier
                expiry[row.source] = row.expires
        stale = {source for source, text in expiry.items() if parse_time(text) <= now}
        waiting = corpus.members(conn, "quarantine").keys()
        for row in streams.standing(conn):
            if row.zone == "serving":
                serving += 1
                current += row.source not in stale and f"{row.source}/{row.document}" not in waiting
                files[row.subject_digest] += 1
    if not serving:
        return {}
    digests = sorted(files)
    sample = digests[:: max(1, -(-len(digests) // most))]
    there = sum(files[d] for d in sample if workspace.vault.has(d))
    return {
        "current": current / serving,
        "verifiable": there / sum(files[d] for d in sample),
        "signed": found.signed / max(1, found.serving),
    }
