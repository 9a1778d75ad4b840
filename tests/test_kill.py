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

SHARDS = 2
HERE = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is room: what a killed process has written survives it there too."""
    if not os.access("/dev/shm", os.W_OK) or shutil.disk_usage("/dev/shm").free < 1 << 30:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="ragguard-kill-") as made:
        yield Path(made)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_next_start_completes_what_a_kill_interrupted(folder: Path, shard: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.killing", str(folder), str(shard), str(SHARDS)],
        capture_output=True,
        text=True,
        cwd=HERE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    kinds = Counter(" ".join(name.split()[:2]) for name in result["boundaries"])
    print(f"{result['tried']} of {len(result['boundaries'])} boundaries tried, by kind {kinds}")
    assert result["failures"] == [], "\n".join([*result["failures"], done.stderr[-2000:]])
    assert result["tried"] == len(range(shard, len(result["boundaries"]), SHARDS))
    assert result["commits"] == 4
    # The tracer must see all three kinds of writers, or it proves nothing.
    for kind in ("file os.rename", "file open", "sql INSERT", "sql COMMIT", "engine update"):
        assert kinds[kind] >= 4, kinds
    # A new file without a traced write has a writer that the tracer does not know. SQLite and the
    # engine write theirs beneath the calls that are traced.
    shards = ("ledger.db", "index/corpus-g1/shard-1/", "index/corpus-g1-quarantine/shard-1/")
    assert [name for name in result["untraced"] if not name.startswith(shards)] == []
