from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragguard.quarantine.review import decide
from tests.support.simulator import HONEST, SUSPECT, Gate


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A document that was held and released, and one that was updated."""
    gate = Gate(tmp_path_factory.mktemp("traced"))
    gate.publish({**HONEST, "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "a drill")
    gate.publish({"leave.md": HONEST["leave.md"].replace("27", "28")})
    yield gate
    gate.close()
