"""The shipped handbook, ingested once for a test process and copied from then on."""

from __future__ import annotations

import atexit
import json
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ragguard.ingest.sign import read_metadata
from tests.support.simulator import Gate
from tests.support.workspaces.copying import copy_folder

CORPORA = Path(__file__).resolve().parents[3] / "corpora"


@cache
def _prepared() -> Path:
    root = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    folder = Path(mkdtemp(prefix="ragguard-handbook-", dir=root))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    gate = Gate(folder)
    shutil.copytree(CORPORA / "handbook/v1", gate.publisher.folder, dirs_exist_ok=True)
    path = gate.publisher.publish(metadata=read_metadata(CORPORA / "handbook/metadata.json"))
    report = gate.ingest(path)
    assert report.exit_code in (0, 1), report.manifests
    for case in gate.cases():
        from ragguard.quarantine.review import decide

        decide(gate.workspace, case, "release", gate.bob, "part of the handbook")
    gate.close()
    (folder / "last.json").write_text(
        json.dumps([gate.publisher.last.version, gate.publisher.last.digest])
    )
    _KEYS[folder] = (gate.root_key, gate.alice, gate.bob)
    return folder


_KEYS: dict[Path, Any] = {}


# Settings under which an index of the handbook's size is judged by statistics.
SMALL = {"false_alarm_rate": 0.01, "least_documents": 100}


def judged_handbook_gate(folder: Path, **judge: Any) -> Gate:
    """A gate at which the handbook is large enough to judge by, and was judged itself."""
    from ragguard.ledger import versions
    from ragguard.ledger.tables import set_meta
    from ragguard.ledger.writer import JUDGED_UNTIL

    gate = handbook_gate(folder, judge={**SMALL, **judge})
    with gate.workspace.ledger.writing() as conn:
        newest = max(row.id for row in versions.members(conn, "serving").values())
        set_meta(conn, JUDGED_UNTIL, str(newest))
    return gate


def handbook_gate(folder: Path, **settings: Any) -> Gate:
    """A gate whose index holds the handbook (132 documents, 397 passages)."""
    from ragguard.config import Settings
    from ragguard.trust.manifest import LastAccepted
    from tests.support.simulator import NOW, Publisher

    source = _prepared()
    copy_folder(source, folder, into=True)
    gate = Gate.__new__(Gate)
    gate.folder, gate.settings, gate.now = folder, Settings.model_validate(settings), NOW
    gate.root_key, gate.alice, gate.bob = _KEYS[source]
    gate._open = None
    gate.publisher = Publisher(folder / "site", gate.alice)
    gate.publisher.last = LastAccepted(*json.loads((folder / "last.json").read_text()))
    return gate


def poison(*families: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Poisoned sample documents of some families: name to text and metadata."""
    metadata = read_metadata(CORPORA / "poison/metadata.json")
    rows = map(json.loads, (CORPORA / "poison/labels.jsonl").read_text("utf-8").splitlines())
    return {
        row["id"]: (
            (CORPORA / "poison/documents" / row["id"]).read_text("utf-8"),
            dict(metadata[row["id"]]),
        )
        for row in rows
        if row["family"] in families
    }


def add(gate: Gate, texts: dict[str, str], metadata: dict[str, Any] | None = None) -> Any:
    """Sign a few documents as an addition and bring them in."""
    path = gate.publisher.publish(
        dict(texts),
        mode="delta",
        paths=[gate.publisher.folder / name for name in texts],
        metadata=metadata or {},
        now=gate.now,
    )
    return gate.ingest(path)
