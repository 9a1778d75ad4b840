"""Gate a rebuild: ask old and new index the canaries in force, and compare the answers.

Before that, a model that did not serve so far is probed for triggers: the canaries know only those
that somebody named. The default model's own files are known and are not probed again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ragguard.canary import Canaries, compare, gate, in_force, run
from ragguard.canary.trigger_probe import is_known, probe, told
from ragguard.corpus.generations import encoder_of
from ragguard.detect.view import point_label
from ragguard.errors import EncodeError
from ragguard.ledger import audit_queries, commits
from ragguard.workspace import Workspace

if TYPE_CHECKING:
    from ragguard.embed.encoder import Encoder

NAMED = 5  # triggers that are written out

logger = logging.getLogger(__name__)


def canary_gate(workspace: Workspace) -> Callable[[str, str], Sequence[str]] | None:
    """Return what compares two collections; `None` where there is nothing to ask.

    That is: no canaries, and no change of the model either (or `[reindex] probe` is off).

    Args:
        workspace: Open, with an index.

    Raises:
        VaultError, LedgerError: The canary set cannot be read.
    """
    canaries = in_force(workspace)
    if canaries is not None and not (canaries.queries or canaries.triggers):
        canaries = None
    if canaries is None and not _other_model(workspace):
        return None

    def compared(old: str, new: str) -> Sequence[str]:
        encoders = _encoder(workspace, old), _encoder(workspace, new)
        warnings = _probed(workspace, encoders[0], encoders[1], new, canaries)
        reasons = warnings[:NAMED] + [f"… and {len(warnings) - NAMED} more"] * (
            len(warnings) > NAMED
        )
        if canaries is None:
            logger.warning("no canaries are in force: what the new index answers was not compared")
            return reasons
        before = run(workspace, canaries, collection=old, encoder=encoders[0])
        after = run(
            workspace,
            canaries,
            collection=new,
            documents=_documents(workspace, new),
            encoder=encoders[1],
        )
        return [*reasons, *gate(compare(before, after))]

    return compared


def _other_model(workspace: Workspace) -> bool:
    """Tell whether a rebuild would be by a model of another name, and that is probed."""
    generation = workspace.generation()
    if generation is None or not workspace.settings.reindex.probe:
        return False
    with workspace.ledger.reading() as conn:
        built = commits.recipe_body(conn, generation.recipe)
    return bool(workspace.settings.model.name != built["model"])


def _probed(
    workspace: Workspace, old: Encoder, new: Encoder, collection: str, canaries: Canaries | None
) -> list[str]:
    """Tell what speaks against a model that did not serve; nothing where it did, or is known."""
    recipe = new.recipe
    if recipe.model_digest == old.recipe.model_digest or not workspace.settings.reindex.probe:
        return []
    if is_known(recipe.model_digest):
        return []
    logger.info("probing model %r for triggers", recipe.model)
    try:
        probed = probe(
            new,
            triggers=canaries.triggers if canaries else (),
            store=workspace.open_store(),
            collection=collection,
        )
    except EncodeError as error:
        return [f"the new model cannot be probed for triggers ([reindex] probe): {error.message}"]
    return [f"the new model has a trigger: {told(p)}" for p in probed.alive]


def _encoder(workspace: Workspace, collection: str) -> Encoder:
    """An encoder for a generation's collection; one that is being built is by the settings."""
    with workspace.ledger.reading() as conn:
        known = {g.serving: g for g in audit_queries.all_generations(conn)}
    generation = known.get(collection)
    return encoder_of(workspace, generation) if generation else workspace.encoder


def _documents(workspace: Workspace, collection: str) -> set[str]:
    """List documents (`source/id`) in a collection."""
    return {
        point_label(point) for block in workspace.open_store().scan(collection) for point in block
    }
