"""A process killed before and after every write loses nothing, doubles nothing, shows nothing
half."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
# Scenarios, and the commits that each leaves.
COMMITS = {
    "killing": 4,
    "killing_reindex": 5,
    "killing_rollback": 5,
    "killing_cutover": 4,
    "killing_adopt": 4,
}
# SQLite and the engine write theirs beneath the calls that are traced.
BENEATH = ("ledger.db", "index/corpus-g")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is room: what a killed process has written survives it there too."""
    if not os.access("/dev/shm", os.W_OK) or shutil.disk_usage("/dev/shm").free < 1 << 30:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="ragguard-kill-") as made:
        yield Path(made)


@pytest.mark.sweep
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("scenario", COMMITS)
def test_the_next_start_completes_what_a_kill_interrupted(
    folder: Path, scenario: str, pytestconfig: pytest.Config
) -> None:
    """Every nth boundary is tried, `--kills 1` tries all."""
    each = pytestconfig.getoption("--kills")
    done = subprocess.run(
        [sys.executable, "-m", f"tests.support.{scenario}", str(folder), str(each // 2), str(each)],
        capture_output=True,
        text=True,
        cwd=HERE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    boundaries = result["boundaries"]
    kinds = Counter(" ".join(name.split()[:2]) for name in boundaries)
    print(f"{result['tried']} of {len(boundaries)} boundaries tried, by kind {kinds}")
    assert result["failures"] == [], "\n".join([*result["failures"], done.stderr[-2000:]])
    assert result["tried"] == len(range(each // 2, len(boundaries), each)) >= 4
    assert result["commits"] == COMMITS[scenario]
    # The tracer must see all kinds of writers, or it proves nothing.
    for kind in ("file os.rename", "file open", "sql INSERT", "sql COMMIT", "engine update"):
        assert kinds[kind] >= 1, kinds
    # A new file without a traced write has a writer that the tracer does not know.
    assert [name for name in result["untraced"] if not name.startswith(BENEATH)] == []
