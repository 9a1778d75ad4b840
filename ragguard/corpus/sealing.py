"""Seal the payloads of points, and tell the seals of what is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ragguard.ledger.writer import Write
from ragguard.model import Floats
from ragguard.workspace import Workspace


def seals_of(writes: Iterable[Write]) -> list[list[str]]:
    """Id and seal of points."""
    return [[w.id, str(w.payload["ragguard"]["seal"])] for w in writes]


def seal_payload(
    workspace: Workspace, collection: str, point: str, vector: Floats, payload: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a payload with the seal of its point in a collection."""
    own = {k: v for k, v in payload["ragguard"].items() if k != "seal"}
    body = {**payload, "ragguard": own}
    seal = workspace.committer.seal(collection, point, vector, body)
    return {**body, "ragguard": {**own, "seal": seal}}
