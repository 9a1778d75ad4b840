"""The nightly workflow is one, and its steps run what is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.fuzz import run as fuzzing
from tests.shipped.test_install import run
from tests.support.installing import REPOSITORY

FILE = REPOSITORY / ".github/workflows/fuzz.yml"
STEPS = yaml.safe_load(FILE.read_text("utf-8"))["jobs"]["fuzz"]["steps"]


def test_it_fits_its_schema_and_no_script_has_an_expression_in_it(tmp_path: Path) -> None:
    run(tmp_path, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", FILE)
    assert not any("${{" in step.get("run", "") for step in STEPS)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_its_step_fuzzes_every_target_and_keeps_what_fails() -> None:
    (script,) = [step["run"] for step in STEPS if "run" in step]
    line = script.replace('"$SECONDS_EACH"', "7").replace(
        "make fuzz", "make --dry-run --no-print-directory fuzz"
    )
    told = subprocess.run(
        ["bash", "-euc", line], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert told[-1].split()[1:] == ["-m", fuzzing.__name__, "7", "build/fuzz"]
    assert "atheris==" in told[-2]
    corpus, failed = (step["with"]["path"] for step in STEPS if "path" in step.get("with", {}))
    assert corpus == f"build/fuzz/{fuzzing.PARTS[0]}"
    assert failed.split() == [f"build/fuzz/{part}" for part in fuzzing.PARTS[1:]]
