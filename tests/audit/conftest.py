from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.simulator import Gate


@pytest.fixture
def kept(prepared: Gate, tmp_path: Path) -> Iterator[Gate]:
    """A copy of a module's workspace, to be tampered with; the index is not looked at."""
    made = prepared.without_index(tmp_path / "copy")
    yield made
    made.close()
