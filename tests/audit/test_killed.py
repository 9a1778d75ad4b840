"""An audit that is killed where it writes, and the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from ragguard.ledger import cases
from ragguard.lineage.prove import verify_log
from tests.support.audit.planted import PLANTED, entries, integrity, named, night, plant, serving
from tests.support.simulator import Gate

HERE = Path(__file__).resolve().parents[2]
# Imported once: each audit is a process that is forked from this one.
KILLED = """
import os, signal, sys, traceback
from datetime import datetime
from importlib import import_module
from pathlib import Path
from ragguard.audit import AuditRequest, audit
from ragguard.config import Settings
from scipy import sparse, stats
from ragguard.store import edge
from ragguard.workspace import Workspace

def die(at, module, name):
    owner = import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    settings = Settings.model_validate({"audit": {"reembed_share": 0.0, "derive_documents": 0}})
    with Workspace(Path(sys.argv[1]), settings, datetime.fromisoformat(at)) as workspace:
        audit(workspace, AuditRequest(quarantine=True))

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        try:
            die(*line.split())
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    print(os.waitpid(pid, 0)[1], flush=True)
"""
POINTS = [
    ("ragguard.audit.index.spool_writer", "Spooler.finish"),  # half of the spool is written
    ("numpy", "savez"),  # the spool is there, its table is not
    ("ragguard.ledger.writer", "Committer._confirm"),  # suspects are out, the ledger does not know
    ("ragguard.workspace", "Workspace.log_act"),  # the report is in the vault, the log lacks it
]


def test_an_audit_that_was_killed_leaves_nothing_half_written(handbook: Gate) -> None:
    plant(handbook)
    start = len(serving(handbook))
    handbook.close()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(handbook.folder / "w")],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as audits:
        assert audits.stdin is not None
        assert audits.stdout is not None
        for module, name in POINTS:
            handbook.now += timedelta(hours=1)
            audits.stdin.write(f"{handbook.now.isoformat()} {module} {name}\n")
            ended = int(audits.stdout.readline())
            assert os.WIFSIGNALED(ended), f"{name}: not killed, it ended with {ended}"
            assert os.WTERMSIG(ended) == signal.SIGKILL
            handbook.workspace.recover()
            assert verify_log(handbook.workspace).problems == []
            assert [e for e in entries(handbook) if e["act"] == "audit" and "report" in e] == []
            left = start - len(serving(handbook))
            assert left in (0, 4)
            assert len(handbook.documents("quarantine")) == left
            handbook.close()
    assert left == 4
    done = night(handbook, quarantine=True)
    assert done.report.incomplete == []
    assert integrity(done.report) == []
    assert not PLANTED & named(done.report)
    assert not (handbook.folder / "w" / "cache" / "audit" / "spool.new").exists()
    with handbook.workspace.ledger.reading() as conn:
        assert len(cases.listed(conn)) == 4
