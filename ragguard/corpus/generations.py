"""Choose which collections are given up, and with which encoder each is asked."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragguard.errors import ModelDigestError
from ragguard.ledger import audit_queries, commits
from ragguard.ledger.commits import Generation, Pair
from ragguard.workspace import Workspace
from ragguard.workspace.encoders import open_named, pins_of

if TYPE_CHECKING:
    from ragguard.embed.encoder import Encoder

_SPLIT = re.compile(r" size=(\d+) overlap=(\d+)$")

log = logging.getLogger(__name__)


def too_old(workspace: Workspace, coming: int | None = None) -> list[Pair]:
    """Return the generations to give up once another one serves, the oldest first.

    Args:
        coming: The one that will serve, where the ledger has it already; it counts as new.
    """
    with workspace.ledger.reading() as conn:
        states = commits.generation_states(conn)
        known = audit_queries.all_generations(conn)
        serving = commits.serving_generation(conn)
    there = [g for g in known if states[g.id][0] != "dropped" and g.id != coming]
    keep = workspace.settings.reindex.keep - 1
    old = [g for g in there if serving is None or g.id != serving.id]
    return [g.pair for g in (old[: max(0, len(there) - keep)] if keep else there)]


def drop(workspace: Workspace, rows: Sequence[Pair]) -> list[str]:
    """Delete the collections of generations that the ledger gave up; returns their names."""
    store = workspace.open_store()
    names = [name for row in rows for name in (row.serving, row.quarantine)]
    for name in names:
        store.drop(name)
    return names


def sweep(workspace: Workspace, coming: Sequence[Generation] = ()) -> None:
    """Delete collections of generations not in use: those of killed runs, and dropped ones.

    Args:
        coming: Generations that are about to be built and that the ledger does not have.
    """
    store = workspace.open_store()
    with workspace.ledger.reading() as conn:
        states = commits.generation_states(conn)
        known = audit_queries.all_generations(conn)
    dropped = [g for g in known if states[g.id][0] == "dropped"]
    for generation in (*coming, *dropped):
        for name in (generation.serving, generation.quarantine):
            if store.exists(name):
                log.info("collection %r is of no generation in use: dropped", name)
                store.drop(name)


def encoder_of(workspace: Workspace, generation: Generation) -> Encoder:
    """Return an encoder of the model that a generation was built with; chunking has no part in it.

    Raises:
        ModelDigestError: The model of that name has other files than then.
        EncodeError: It cannot be loaded.
    """
    with workspace.ledger.reading() as conn:
        built = commits.recipe_body(conn, generation.recipe)
    wanted = (built["model"], built["model_digest"])
    mine = workspace.encoder
    if wanted == (mine.recipe.model, mine.recipe.model_digest):
        return mine
    if generation.recipe not in workspace.encoders:
        encoder = open_named(workspace, str(built["model"]), pins_of(workspace, built), built)
        if encoder.recipe.model_digest != wanted[1]:
            raise ModelDigestError(
                f"model {wanted[0]!r}: its files are not those that generation {generation.id} "
                f"was built with (sha256 {encoder.recipe.model_digest[:12]}…, then "
                f"{str(wanted[1])[:12]}…)",
                hint="Restore the model.",
            )
        workspace.encoders[generation.recipe] = encoder
    return workspace.encoders[generation.recipe]


def settings_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that make a recipe, by name: of `[model]`, `[chunks]` and `[parse]`."""
    read = str(recipe["parser"])
    settings: dict[str, Any] = {
        "[model] name": recipe["model"],
        "[parse] render": "chromium" if " render=chromium" in read else "rules",
        "[parse] details": "open" if " details=open" in read else "closed",
    }
    if match := _SPLIT.search(str(recipe["splitter"])):
        settings |= {"[chunks] size": int(match[1]), "[chunks] overlap": int(match[2])}
    return settings
