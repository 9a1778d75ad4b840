"""The comparison of an index with its ledger in a pass of its own, without a spool."""

from __future__ import annotations

from ragguard.audit.findings import AuditFinding
from ragguard.audit.index.integrity import ZONES, Reconciler, Zone, check_collections
from ragguard.workspace import Workspace


def check_index(workspace: Workspace) -> list[AuditFinding]:
    """Findings on collections, alias and points; the store is opened without repair."""
    generation = workspace.generation()
    assert generation is not None
    found = check_collections(workspace, generation)
    store = workspace.open_store(repair=False)
    there: list[Zone] = [z for z in ZONES if store.exists(getattr(generation, z))]
    pass_ = Reconciler(workspace, generation, there)
    for zone in there:
        for block in store.scan(getattr(generation, zone), vectors=True):
            pass_.see(zone, block)
    return found + pass_.finish()
