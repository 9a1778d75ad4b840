"""Kills a rebuild before and after its writes; `trials` does the killing.

Run as `python -m tests.support.killing.reindex FOLDER SHARD SHARDS`: prints a JSON object.
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
from ragguard.workspace import Workspace
from tests.support.killing import trials
from tests.support.killing.trials import OTHER_SUSPECT, SUSPECT
from tests.support.simulator import HONEST, NOW, Gate


def prepare(folder: Path) -> None:
    """An index with poison that a reviewer let in and whose bytes were denied later."""
    gate = Gate(folder)
    gate.publish({**HONEST, "safe.md": SUSPECT, "vault.md": OTHER_SUSPECT})
    by_name = {case.document: case for case in gate.cases()}
    decide(gate.workspace, by_name["safe.md"], "release", gate.bob, "seen")
    gate.publish({"copy.md": SUSPECT})
    by_name = {case.document: case for case in gate.cases()}
    decide(gate.workspace, by_name["copy.md"], "reject", gate.bob, "seen")
    gate.close()


def parts(folder: Path) -> list[Callable[[], None]]:
    """One rebuild; what is done already is left as it is."""
    return [partial(_rebuild, folder)]


def _rebuild(folder: Path) -> None:
    with Workspace(folder / "w", Settings(), NOW + timedelta(hours=1)) as workspace:
        workspace.recover()
        generation = workspace.generation()
        if generation is not None and generation.id == 1:
            done = reindex(workspace)
            if done.commit is None:
                raise AssertionError(done.stops)


if __name__ == "__main__":
    trials.prepare, trials.parts = prepare, parts
    print(json.dumps(trials.main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
