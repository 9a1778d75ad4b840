"""Kills an adoption and a revocation before and after their writes; `trials` does the killing.

Run as `python -m tests.support.killing.adopt FOLDER SHARD SHARDS`: prints a JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ragguard.config import Settings
from ragguard.ingest.adopt import adopt
from ragguard.quarantine.revoke import blast_radius, find_target, revoke
from ragguard.store.foreign import open_foreign
from ragguard.trust import keys
from ragguard.workspace import Workspace
from tests.ingest.test_adopt import legacy
from tests.support.killing import trials
from tests.support.simulator import HONEST, NEWS, NOW, Gate


def prepare(folder: Path) -> None:
    """A wiki, of which two documents came after its signer's key was stolen, and an old index."""
    gate = Gate(folder)
    later = {"news.md": NEWS, "leave.md": HONEST["leave.md"].replace("27 days", "28 days")}
    gate.publish({name: HONEST[name] for name in HONEST if name != "visitors.md"})
    gate.now += timedelta(days=6)
    gate.reopen()
    gate.publish(later)
    (folder / "root.key").write_bytes(keys.dump_private(gate.root_key, None))
    # Beside all trials: where a collection lies is in the record of its adoption.
    legacy(folder.parent / "old", {"visitors.md": HONEST["visitors.md"], "soup.md": NEWS})
    gate.close()


def parts(folder: Path) -> list[Callable[[], None]]:
    """An adoption, then a revocation; what is done already is left as it is."""
    return [partial(_adopt, folder), partial(_revoke, folder)]


def _adopt(folder: Path) -> None:
    tempfile.tempdir = str(folder)  # what a killed child copied goes with the trial
    with (
        Workspace(folder / "w", Settings(), NOW + timedelta(days=7)) as workspace,
        open_foreign(path=folder.parent / "old") as foreign,
    ):
        # The record counts vectors that were compared; after a kill some are known already.
        adopt(workspace, foreign, "legacy", "trust", re_embed=True)


def _revoke(folder: Path) -> None:
    root = keys.load_private((folder / "root.key").read_bytes(), None)
    with Workspace(folder / "w", Settings(), NOW + timedelta(days=8)) as workspace:
        workspace.recover()
        target = find_target(workspace.root, "alice", None)
        radius = blast_radius(workspace, target, NOW + timedelta(days=5))
        if target.in_force or radius.documents:
            revoke(workspace, target, radius, "laptop stolen", [root])


def _after(trial: Path, part: int, out: Path, wanted: dict[str, Any]) -> list[str]:
    """What is wrong after a kill, but for one thing.

    A root that was in place and not yet in the ledger is logged at the next start for what it is, a
    new root; why it was made stands in the root's own list of revoked keys.
    """
    problems = after_a_kill(trial, part, out, wanted)
    got = json.loads(out.read_text())
    acts = [json.loads(json.loads(row)[1])["act"] for row in got["tables"]["log_entries"]]
    meant = [json.loads(json.loads(row)[1])["act"] for row in wanted["tables"]["log_entries"]]
    if part == 1 and acts == ["trust" if act == "trust revoke" else act for act in meant]:
        allowed = ("table log_entries differs", "table checkpoints differs")
        problems = [p for p in problems if not p.startswith(allowed)]
    return problems


if __name__ == "__main__":
    after_a_kill, trials._after = trials._after, _after
    trials.prepare, trials.parts = prepare, parts
    print(json.dumps(trials.main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
