"""Kills a cut-over before and after its writes; `trials` does the killing.

Run as `python -m tests.support.killing.cutover FOLDER SHARD SHARDS`: prints a JSON object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from ragguard.config import Settings
from ragguard.rebuild import cutover
from ragguard.rebuild.reindex import reindex
from ragguard.serving import trial
from ragguard.workspace import Workspace
from tests.support.killing import trials
from tests.support.killing.trials import SUSPECT
from tests.support.simulator import HONEST, NEWS, NOW, Gate


def prepare(folder: Path) -> None:
    """A candidate, and what came and went since it was built."""
    gate = Gate(folder)
    gate.publish({**HONEST, "safe.md": SUSPECT})
    done = reindex(gate.workspace, stage=True)
    if done.commit is None:
        raise AssertionError(done.stops)
    (gate.publisher.folder / "visitors.md").unlink()
    gate.publish({"news.md": NEWS})
    gate.close()


def parts(folder: Path) -> list[Callable[[], None]]:
    """The begin of the trial and its end; what is done already is left as it is."""
    return [partial(_start, folder), partial(_finish, folder)]


def _start(folder: Path) -> None:
    with Workspace(folder / "w", Settings(), NOW + timedelta(hours=1)) as workspace:
        there = trial.current(workspace)
        if there is not None and there.state(workspace.now) == "running":
            trial.follow(workspace, there)
        else:
            cutover.start(workspace, 1.0, timedelta(days=7))


def _finish(folder: Path) -> None:
    with Workspace(folder / "w", Settings(), NOW + timedelta(hours=2)) as workspace:
        workspace.recover()
        workspace.open_store()
        if trial.current(workspace) is not None:
            cutover.finish(workspace)


if __name__ == "__main__":
    trials.prepare, trials.parts = prepare, parts
    print(json.dumps(trials.main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
