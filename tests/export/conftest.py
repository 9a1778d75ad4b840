from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragguard.export.write import ExportResult, export
from ragguard.quarantine.review import decide
from tests.support.simulator import HONEST, SUSPECT, Gate
from tests.support.workspaces.exports import FAQ
from tests.support.workspaces.rebuilding import OTHER


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Files and records that serve, one document that a reviewer released, one that waits."""
    gate = Gate(tmp_path_factory.mktemp("session-exported"))
    gate.publish({**HONEST, "faq.jsonl": FAQ, "safe.md": SUSPECT, "vault.md": OTHER})
    by_name = {case.document: case for case in gate.cases()}
    decide(gate.workspace, by_name["safe.md"], "release", gate.bob, "a drill")
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def made(world: Gate, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """Its export."""
    return export(world.workspace, tmp_path_factory.mktemp("made") / "export")


@pytest.fixture
def copy(made: ExportResult, tmp_path: Path) -> Path:
    """A copy of the export that a test may damage."""
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))
