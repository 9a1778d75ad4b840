"""`make bench` and `make bench-detection`, by the environment that runs this."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench_folder import REPOSITORY

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or not (Path(sys.prefix) / "bin/ragguard").exists(),
    reason="needs make and an environment with ragguard",
)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a target; the environment is not made anew."""
    stamp = f"{sys.prefix}/.installed"
    return subprocess.run(
        ["make", "--no-print-directory", f"VENV={sys.prefix}", "-o", stamp, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "DATA"))},
    )


@pytest.mark.parametrize("target", ["bench", "bench-detection"])
@pytest.mark.parametrize("data", [None, "no-such-place"])
def test_what_is_missing_is_said_in_a_sentence(target: str, data: str | None) -> None:
    done = make(target, *([f"DATA={data}"] if data else []))
    assert done.returncode == 2
    assert f"make {target} needs DATA=" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.sweep
def test_ingest_is_measured_beside_the_plain_pipeline(data: Path) -> None:
    done = make("bench", f"DATA={data / 'corpus.jsonl'}", "BENCH_FLAGS=--rounds 1 --limit 12")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["documents"] == 12
    ((guarded,), (plain,)) = (found["runs"][how] for how in ("guarded", "plain"))
    assert guarded["chunks"] == plain["chunks"] == guarded["counts"]["admitted"] == 12
    assert {"parse", "embed", "judge", "commit"} <= set(guarded["seconds"])
    assert plain["found"] == 3
    assert found["median"] == pytest.approx(plain["total"] / guarded["total"], abs=0.001)


def test_detection_is_measured_beside_published_methods(data: Path, tmp_path: Path) -> None:
    into = f"--cache {tmp_path}/vectors -o {tmp_path}/result"
    flags = f"--seeds 1 --protocol bulk --per-target 4 --arriving 0.5 {into}"
    done = make("bench-detection", f"DATA={data}", f"BENCH_FLAGS={flags}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "beside published methods" in done.stdout
    result = json.loads((tmp_path / "result/result.json").read_text("utf-8"))
    assert [case["family"] for case in result["cases"]] == [
        "poisonedrag_blackbox",
        "poisonedrag_text",
    ]
    peers = {path.stem for path in (REPOSITORY / "benchmarks/peers").glob("*.py")}
    assert len(result["peers"]) == len(peers)
    assert all({"ragguard", *result["peers"]} == set(c["methods"]) for c in result["cases"])
