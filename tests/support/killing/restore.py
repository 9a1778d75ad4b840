"""Kills the making of a new workspace from an export, before and after its writes.

Run as `python -m tests.support.killing.restore FOLDER TRIALS`: prints a JSON object. Nothing may
stand under the new workspace's name until all of it does, and what a killed run left is no
hindrance to the next: the trials run one after another on the same name.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ragguard.config import Settings
from ragguard.embed import encoder
from ragguard.export.restore_workspace import restore_into
from ragguard.export.write import export
from ragguard.ledger import decided as decided_rows
from ragguard.ledger import versions
from ragguard.lineage.prove import verify_log
from ragguard.quarantine.review import decide
from ragguard.workspace import Workspace
from tests.support.killing.trials import OTHER_SUSPECT, SUSPECT, Remembering, Tracer, child
from tests.support.simulator import HONEST, NOW, Gate

RENAMED, END = "file os.rename .n.ragguard-restore/.n.ragguard-", "the end"


class _Making(Tracer):
    """Counts from the first thing that is made: what a killed run left is removed before.

    Args:
        folder: As in `Tracer`.
        target: Likewise.
        last: Name of a boundary to die at.
    """

    def __init__(self, folder: Path, target: int, last: str) -> None:
        super().__init__(folder, target)
        self._last = last

    def boundary(self, name: str) -> None:
        if name == self._last:
            self.target = len(self.names)
        if self.names or "os.mkdir" in name:
            super().boundary(name)


def prepare(folder: Path) -> str:
    """An export with documents, a release and a rejection; returns the log's key."""
    gate = Gate(folder)
    gate.publish({"leave.md": HONEST["leave.md"], "safe.md": SUSPECT, "vault.md": OTHER_SUSPECT})
    for case in gate.cases():
        action = "release" if case.document == "safe.md" else "reject"
        decide(gate.workspace, case, action, gate.bob, "seen")
    key = export(gate.workspace, folder / "export").log_key
    gate.close()
    return key


def _restore(folder: Path, key: str, target: int = -1, last: str = "") -> list[str]:
    tracer = _Making(folder / "out", target, last)
    tracer.install()
    restore_into(folder / "export", folder / "out/n", key, NOW)
    tracer.boundary(END)
    return tracer.names


def _whole(place: Path) -> dict[str, Any]:
    """What is in a workspace, and what is wrong with it."""
    with Workspace(place, Settings(), NOW) as workspace:
        generation, store = workspace.generation(), workspace.open_store()
        with workspace.ledger.reading() as conn:
            serving = sorted(versions.members(conn, "serving"))
            denied = [row.digest for row in decided_rows.denied(conn)]
        return {
            "serving": serving,
            "denied": denied,
            "points": store.count(generation.serving) if generation else 0,
            "problems": verify_log(workspace).problems,
            "recovered": workspace.recover(),
        }


def main(folder: Path, trials: int) -> dict[str, Any]:
    """Kill runs at boundaries spread over all of one; report what was wrong."""
    chunks = Settings().chunks
    model = Remembering(
        encoder.open_encoder(
            "all-MiniLM-L6-v2", runtime="auto", size=chunks.size, overlap=chunks.overlap
        )
    )
    encoder.open_encoder = lambda *_, **__: model
    out, place = folder / "out.json", folder / "out/n"

    def run(work: Any) -> Any:
        if child(work, out):
            raise SystemExit("a run that nobody killed failed")
        return json.loads(out.read_text())

    key, modules = run(lambda: (prepare(folder), sorted(sys.modules)))
    for name in modules:  # what every child needs is imported once
        with suppress(ImportError):
            importlib.import_module(name)
    names, model.known = run(lambda: (_restore(folder, key), model.known))
    wanted = run(lambda: _whole(place))
    place.rename(folder / "first")
    failures = []
    # The names of folders are random, and some are made once for two files: counts differ by a few.
    chosen = [((len(names) - 10) * n // trials, "") for n in range(trials)]
    for target, last in [*chosen, (-1, RENAMED), (-1, END)]:
        name = last or names[target]
        status = child(lambda t=target, n=last: _restore(folder, key, t, n))
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            failures.append(f"{name}: the child was not killed (status {status})")
        if place.exists() != (last == END):
            failures.append(f"{name}: the new name is there, or is not")
    found = run(lambda: _whole(place))
    if found != wanted:
        failures.append(f"the end: {found}, expected {wanted}")
    beside = sorted(p.name for p in place.parent.iterdir())
    return {
        "tried": [names[target] for target, _ in chosen],
        "failures": failures,
        "wanted": wanted,
        "beside": beside,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
