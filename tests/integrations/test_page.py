"""The blocks of docs/frameworks.md run as a reader would run them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.shipped.test_docs import DOCS, Sandbox, blocks


@pytest.mark.sweep
def test_the_python_blocks_of_the_frameworks_page_run(tmp_path: Path) -> None:
    sandbox = Sandbox.make(tmp_path)
    prepare = """
        ragguard init w && cd w
        ragguard key generate alice && ragguard trust add keys/alice.pub --source wiki
    """
    assert sandbox.run(["bash", "-e"], prepare).returncode == 0
    out, write = (b.body for b in blocks(DOCS / "frameworks.md", "python") if b.run)
    done = sandbox.run([sys.executable, "-c", write])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["1 0 0 0", "leave.md.jsonl#0 admit []"]
    done = sandbox.run([sys.executable, "-c", out])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("leave.md Everybody has 27 days")
