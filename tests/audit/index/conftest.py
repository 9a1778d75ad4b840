from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.audit.world import World
from tests.support.simulator import Gate


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    gate = Gate(tmp_path_factory.mktemp("session-lived"))
    yield World(gate)
    gate.close()


@pytest.fixture
def world(lived: World) -> Iterator[World]:
    """A world; whatever a test does to its index and to its seals is undone."""
    yield lived
    lived.restore()
