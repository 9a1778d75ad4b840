"""Kills a rollback to a generation before and after its writes; `trials` does the killing.

Run as `python -m tests.support.killing.rollback FOLDER SHARD SHARDS`: prints a JSON object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from ragguard.config import Settings
from ragguard.quarantine.review import decide
from ragguard.rebuild.reindex import reindex
from ragguard.rebuild.rollback import rollback
from ragguard.workspace import Workspace
from tests.support.killing import trials
from tests.support.killing.trials import OTHER_SUSPECT, SUSPECT
from tests.support.simulator import HONEST, NOW, Gate


def prepare(folder: Path) -> None:
    """A rebuilt index that went on: an ingest and a rejection; the old one was tampered with."""
    gate = Gate(folder)
    gate.publish({**HONEST, "safe.md": SUSPECT, "vault.md": OTHER_SUSPECT})
    reindex(gate.workspace)
    gate.publish({"leave.md": HONEST["leave.md"].replace("27 days", "28 days")})
    case = next(case for case in gate.cases() if case.document == "safe.md")
    decide(gate.workspace, case, "reject", gate.bob, "seen")
    store = gate.workspace.open_store()
    store.delete("corpus-g1", [next(iter(store.scan("corpus-g1")))[0].id])
    store.flush("corpus-g1")
    gate.close()


def parts(folder: Path) -> list[Callable[[], None]]:
    """One rollback; what is done already is left as it is."""
    return [partial(_go_back, folder)]


def _go_back(folder: Path) -> None:
    with Workspace(folder / "w", Settings(), NOW + timedelta(hours=1)) as workspace:
        workspace.recover()
        generation = workspace.generation()
        if generation is not None and generation.id == 2:
            rollback(workspace, "g1")


if __name__ == "__main__":
    trials.prepare, trials.parts = prepare, parts
    print(json.dumps(trials.main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
