"""A process killed before and after every write loses nothing, doubles nothing, shows nothing
half."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SHARDS = 4
HERE = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_next_start_completes_what_a_kill_interrupted(tmp_path: Path, shard: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.killing", str(tmp_path), str(shard), str(SHARDS)],
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
