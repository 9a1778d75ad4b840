"""Verify what seals stand on: vectors that are the embeddings of their texts, bytes in the vault.

Both are looked at by sample, another one each night, or in whole on demand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragguard.audit.findings import AuditFinding, FindingFold
from ragguard.detect.view import point_label
from ragguard.errors import RagguardError
from ragguard.ledger import audit_queries
from ragguard.model import Floats, Progress
from ragguard.store import Point
from ragguard.trust.canonical import format_time
from ragguard.workspace import Workspace

LEAST = 200  # points embedded again at least, however small the share
BLOCK = 1000

SENTENCES = {
    "vector-not-of-text": "vectors are not the embeddings of their texts",
    "vault-damaged": "digests that the ledger names are missing from the vault or other bytes",
}


def check_reembedding(
    workspace: Workspace,
    share: float = 0.01,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> tuple[list[AuditFinding], int]:
    """Embed texts of the index again and compare.

    Args:
        share: Share of the points to look at, 1 for all.

    Returns:
        Findings, and how many points were embedded.

    Raises:
        RecipeMismatchError, ModelDigestError: The model is not the one the index was built with.
    """
    generation = workspace.generation()
    if generation is None:
        return [], 0
    store = workspace.open_store(repair=False)
    fold = FindingFold(SENTENCES)
    names = [n for n in (generation.serving, generation.quarantine) if store.exists(n)]
    total = sum(store.count(n) for n in names)
    if not total:
        return [], 0
    workspace.check_recipe(workspace.encoder.recipe, cut=False)
    chance = max(share, LEAST / total)
    rng = tonight(workspace)
    looked_at = 0
    for name in names:
        for block in store.scan(name, vectors=True, batch=BLOCK):
            drawn = np.flatnonzero(rng.random(len(block)) < chance)
            chosen = [p for i in drawn.tolist() if _comparable(p := block[i], workspace)]
            if not chosen:
                continue
            fresh = workspace.encoder.encode([str(p.payload["page_content"]) for p in chosen])
            for finding in _compare(name, chosen, fresh, workspace.encoder.tolerance):
                fold.add(finding)
            looked_at += len(chosen)
            progress("embed again", looked_at, min(total, int(chance * total) + 1))
    return fold.findings(), looked_at


def tonight(workspace: Workspace) -> np.random.Generator:
    """Another sample every run, the same one for one time."""
    return np.random.default_rng(list(format_time(workspace.now).encode()))


def _comparable(point: Point, workspace: Workspace) -> bool:
    """Tell whether there is a text to embed; what is odd beside it is named by its seal."""
    text = point.payload.get("page_content")
    dimensions = workspace.encoder.recipe.dimensions
    return isinstance(text, str) and bool(text) and point.vector.shape == (dimensions,)


def _compare(
    collection: str, points: Sequence[Point], fresh: Floats, tolerance: float
) -> list[AuditFinding]:
    stored = np.stack([p.vector for p in points]).astype(np.float64)
    apart = np.linalg.norm(stored - fresh, axis=1)
    wrong = np.flatnonzero(~(apart <= tolerance))  # NaN is wrong too
    return [
        AuditFinding(
            "vector-not-of-text",
            f"{point_label(points[i])}: its vector is {apart[i]:.3g} away from the embedding of "
            "its text",
            point_label(points[i]),
            points[i].id,
            collection,
            facts={"apart": float(apart[i]) if np.isfinite(apart[i]) else None},
        )
        for i in wrong.tolist()
    ]


def check_vault(
    workspace: Workspace,
    sample: int | None = 1000,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> tuple[list[AuditFinding], int]:
    """Read what the ledger names from the vault and hash it again.

    Args:
        sample: How many digests, about; `None` for all.

    Returns:
        Findings, and how many digests were read.
    """
    fold = FindingFold(SENTENCES)
    looked_at = 0
    with workspace.ledger.reading() as conn:
        total = sum(1 for _ in audit_queries.vault_names(conn))
        chance = 1.0 if sample is None else sample / max(total, 1)
        rng = tonight(workspace)
        for name, digest in audit_queries.vault_names(conn):
            if rng.random() >= chance:
                continue
            looked_at += 1
            try:
                workspace.vault.get(digest)
            except RagguardError as error:
                facts = {"what": name, "digest": digest}
                fold.add(
                    AuditFinding(
                        "vault-damaged", f"{name}: {error.message}", about=digest, facts=facts
                    )
                )
            progress("vault", looked_at, int(chance * total))
    return fold.findings(), looked_at
