from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.audit.planted import QUIET
from tests.support.simulator import Gate
from tests.support.workspaces.handbook import handbook_gate


@pytest.fixture
def kept(prepared: Gate, tmp_path: Path) -> Iterator[Gate]:
    """A copy of a module's workspace, to be tampered with; the index is not looked at."""
    made = prepared.without_index(tmp_path / "copy")
    yield made
    made.close()


@pytest.fixture
def handbook(tmp_path: Path) -> Iterator[Gate]:
    """A workspace with the handbook; 300 MiB of index that go away afterwards."""
    gate = handbook_gate(tmp_path / "h", **QUIET)
    yield gate
    gate.close()
    shutil.rmtree(tmp_path / "h")
