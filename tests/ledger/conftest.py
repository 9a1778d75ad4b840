from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragguard.ledger.tables import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger in a file."""
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", create=True)
    yield made
    made.close()
