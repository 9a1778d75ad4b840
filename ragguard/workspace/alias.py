"""Point the alias that readers ask at the generation that the ledger says serves.

That of a candidate on trial is moved by `serving.trial`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ragguard.config import Settings
from ragguard.ledger import commits
from ragguard.ledger.tables import Ledger

if TYPE_CHECKING:
    from ragguard.store import Store
    from ragguard.workspace import Workspace

log = logging.getLogger(__name__)


def of_candidate(settings: Settings) -> str:
    """Name the alias of a candidate while it is on trial."""
    return f"{settings.store.collection}-candidate"


def point(workspace: Workspace) -> None:
    """Move the alias to the generation that serves."""
    generation = workspace.generation()
    if generation is not None:
        store = workspace.open_store(repair=False)
        store.set_alias(workspace.settings.store.collection, generation.serving)


def mend(store: Store, ledger: Ledger, settings: Settings, serving: str) -> None:
    """Move the alias back to the collection that serves, and drop what a killed cut-over left."""
    alias, beside = settings.store.collection, of_candidate(settings)
    aliases = store.aliases()
    if aliases.get(alias) != serving:
        if alias in aliases:
            log.warning(
                "alias %r pointed at %r: set to %r, which the ledger serves",
                alias,
                aliases[alias],
                serving,
            )
        store.set_alias(alias, serving)
    if beside in aliases:
        with ledger.reading() as conn:
            candidates = {g.serving for g in commits.generations_in(conn, "candidate")}
        if aliases[beside] not in candidates:
            store.drop_alias(beside)
