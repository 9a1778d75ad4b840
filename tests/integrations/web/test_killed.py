"""A server killed in a decision or a job: nothing is half there, and it can be asked for again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.killing.web import KINDS

ROOT = Path(__file__).resolve().parents[3]


def killed(module: str, folder: Path, each: int, *kinds: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"tests.support.{module}", str(folder), str(each), *kinds],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert result["failures"] == [], "\n".join([*result["failures"], done.stderr[-2000:]])
    return result


def tried(folder: Path, each: int, *kinds: str) -> dict[str, Any]:
    result = killed("killing.web", folder, each, *kinds)
    for names in result["boundaries"].values():
        assert {"sql COMMIT", "engine flush", "sql INSERT INTO decisions"} <= set(names)
    return result


def test_a_server_killed_in_a_decision_leaves_it_whole_or_open(tmp_path: Path) -> None:
    result = tried(tmp_path, 30, "group")
    assert result["tried"] >= 2


@pytest.mark.timeout(1800)
def test_a_server_killed_at_any_write_of_a_decision(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Every nth boundary is tried, `--kills 1` tries all."""
    each = pytestconfig.getoption("--kills")
    result = tried(tmp_path, each, *KINDS)
    assert result["tried"] >= sum(map(len, result["boundaries"].values())) // each - len(KINDS)
    print(f"{result['tried']} boundaries tried")


def tried_jobs(folder: Path, each: int) -> dict[str, Any]:
    result = killed("killing.jobs", folder, each)
    assert {"sql COMMIT", "engine flush", "sql INSERT INTO cases"} <= set(result["boundaries"])
    assert sum("jobs.json" in name for name in result["boundaries"]) > 2
    return result


def test_a_server_killed_in_a_job_says_so_and_the_job_is_asked_for_again(tmp_path: Path) -> None:
    assert tried_jobs(tmp_path, 40)["tried"] >= 2


@pytest.mark.timeout(1800)
def test_a_server_killed_at_any_write_of_a_job(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Every nth boundary is tried, `--kills 1` tries all."""
    each = pytestconfig.getoption("--kills")
    result = tried_jobs(tmp_path, each)
    assert result["tried"] >= len(result["boundaries"]) // each - 1
    print(f"{result['tried']} boundaries tried")
