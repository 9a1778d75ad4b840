"""A process killed before and after every write loses nothing, doubles nothing, shows nothing
half."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# Scenarios, and the commits that each leaves.
COMMITS = {
    "trials": 4,
    "reindex": 5,
    "rollback": 5,
    "cutover": 4,
    "adopt": 4,
}
# SQLite and the engine write theirs beneath the calls that are traced.
BENEATH = ("ledger.db", "index/corpus-g")


@pytest.mark.sweep
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("scenario", COMMITS)
def test_the_next_start_completes_what_a_kill_interrupted(
    tmp_path: Path, scenario: str, pytestconfig: pytest.Config
) -> None:
    """Every nth boundary is tried, `--kills 1` tries all."""
    each = pytestconfig.getoption("--kills")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            f"tests.support.killing.{scenario}",
            str(tmp_path),
            str(each // 2),
            str(each),
        ],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    boundaries = result["boundaries"]
    kinds = Counter(" ".join(name.split()[:2]) for name in boundaries)
    print(f"{result['tried']} of {len(boundaries)} boundaries tried, by kind {kinds}")
    assert result["failures"] == [], "\n".join([*result["failures"], done.stderr[-2000:]])
    assert result["tried"] == len(range(each // 2, len(boundaries), each)) >= 3
    assert result["commits"] == COMMITS[scenario]
    # The tracer must see all kinds of writers, or it proves nothing.
    for kind in ("file os.rename", "file open", "sql INSERT", "sql COMMIT", "engine update"):
        assert kinds[kind] >= 1, kinds
    # A new file without a traced write has a writer that the tracer does not know.
    assert [name for name in result["untraced"] if not name.startswith(BENEATH)] == []
