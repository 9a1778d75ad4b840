"""The canary gate of a rebuild: old and new index are asked the set in force, and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ragguard.canary import compare, gate, in_force, run
from ragguard.ledger import commits
from ragguard.view import point_label
from ragguard.workspace import Workspace

if TYPE_CHECKING:
    from ragguard.encode.encoder import Encoder


def canary_gate(workspace: Workspace) -> Callable[[str, str], Sequence[str]] | None:
    """What compares two collections with the canaries; `None` where there are none to ask.

    Args:
        workspace: Open, with an index.

    Raises:
        VaultError, LedgerError: The canary set cannot be read.
    """
    canaries = in_force(workspace)
    if canaries is None or not (canaries.queries or canaries.triggers):
        return None

    def compared(old: str, new: str) -> Sequence[str]:
        before = run(workspace, canaries, collection=old, encoder=_encoder_of_old(workspace))
        after = run(
            workspace,
            canaries,
            collection=new,
            documents=_documents(workspace, new),
            encoder=workspace.encoder,
        )
        return gate(compare(before, after))

    return compared


def _encoder_of_old(workspace: Workspace) -> Encoder:
    """An encoder of the model that the serving index was built with; chunking has no part in it."""
    from ragguard.encode.encoder import open_encoder

    generation = workspace.generation()
    with workspace.ledger.reading() as conn:
        built = commits.recipe_body(conn, generation.recipe) if generation else {}
    mine = workspace.encoder.recipe
    if not built or (built["model"], built["model_digest"]) == (mine.model, mine.model_digest):
        return workspace.encoder
    model, chunks = workspace.settings.model, workspace.settings.chunks
    return open_encoder(
        str(built["model"]), runtime=model.runtime, size=chunks.size, overlap=chunks.overlap
    )


def _documents(workspace: Workspace, collection: str) -> set[str]:
    """Documents (`source/id`) in a collection."""
    return {
        point_label(point) for block in workspace.open_store().scan(collection) for point in block
    }
