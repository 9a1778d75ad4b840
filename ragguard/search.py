"""Search: what the serving index answers, with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragguard.errors import UsageError
from ragguard.ledger import corpus
from ragguard.workspace import Workspace


@dataclass(frozen=True)
class Hit:
    """A passage found.

    Attributes:
        rank: From 1.
        similarity: Cosine.
        point: Point id.
        document: `source/id`.
        proof: With `proof`: what was compared, and `ok`.
    """

    rank: int
    similarity: float
    point: str
    document: str
    text: str
    metadata: Mapping[str, Any]
    proof: Mapping[str, Any] | None = None


def search(workspace: Workspace, query: str, k: int, *, proof: bool = False) -> list[Hit]:
    """Ask the serving index.

    Args:
        workspace: Open and locked.
        query: The question.
        k: Passages wanted.
        proof: Compare each passage with its seal and the ledger.

    Raises:
        UsageError: Nothing was ingested yet, or the question is empty.
    """
    if not query.strip():
        raise UsageError("the question is empty")
    generation = workspace.generation()
    if generation is None:
        raise UsageError(
            "nothing to search: no manifest was ingested yet",
            hint="`ragguard sign` documents, then `ragguard ingest` the manifest.",
        )
    workspace.check_recipe(workspace.encoder.recipe)
    store = workspace.open_store()
    vector = workspace.encoder.encode([query])
    found = store.search(generation.serving, vector, k, exact=False)
    points = {p.id: p for p in store.get(generation.serving, found.ids[0], vectors=proof)}
    hits = []
    for rank, (point_id, similarity) in enumerate(
        zip(found.ids[0], found.similarities[0], strict=True), start=1
    ):
        point = points[point_id]
        own: Mapping[str, Any] = point.payload.get("ragguard") or {}
        hits.append(
            Hit(
                rank,
                similarity,
                point_id,
                f"{own.get('source', '?')}/{own.get('document', '?')}",
                str(point.payload.get("page_content", "")),
                point.payload.get("metadata") or {},
                _prove(workspace, generation.serving, point) if proof else None,
            )
        )
    return hits


def _prove(workspace: Workspace, collection: str, point: Any) -> dict[str, Any]:
    """Whether a point is the one ragguard wrote, and where it comes from."""
    own: Mapping[str, Any] = point.payload.get("ragguard") or {}
    with workspace.ledger.reading() as conn:
        known = corpus.seal_of(conn, collection, point.id)
        row = corpus.version_of_point(conn, point.id)
    made = workspace.committer.seal(collection, point.id, point.vector, point.payload)
    ok = known is not None and known == made == own.get("seal")
    return {
        "ok": ok,
        "seal": own.get("seal"),
        "document_digest": row.digest if row else None,
        "manifest": row.manifest if row else None,
        "commit": row.commit if row else None,
        "reason": "" if ok else "the point is not the one the ledger knows: do not trust it",
    }
