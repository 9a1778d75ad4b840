"""The nightly workflow is one, and its steps run what is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.fuzz import every
from tests.support.installing import REPOSITORY
from tests.test_install import run

FILE = REPOSITORY / ".github/workflows/fuzz.yml"
STEPS = yaml.safe_load(FILE.read_text("utf-8"))["jobs"]["fuzz"]["steps"]


def test_it_fits_its_schema_and_no_script_has_an_expression_in_it(tmp_path: Path) -> None:
    run(tmp_path, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", FILE)
    assert not any("${{" in step.get("run", "") for step in STEPS)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_its_step_runs_every_target_and_uploads_what_fails() -> None:
    (script,) = [step["run"] for step in STEPS if "run" in step]
    line = script.replace('"$SECONDS_EACH"', "7").replace("make fuzz", "make --dry-run fuzz")
    told = subprocess.run(
        ["bash", "-euc", line], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert "-m tests.fuzz.every 7 build/fuzz" in told
    assert "install --quiet --extra-index-url" in told
    folders = {step["uses"].partition("@")[0]: step["with"] for step in STEPS if "uses" in step}
    words = every.command("html", 7, Path("build/fuzz"))
    assert f"{folders['actions/cache']['path']}/html" in words
    assert f"-artifact_prefix={folders['actions/upload-artifact']['path']}/html-" in words


def test_a_target_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such target: htlm"):
        every.main(["1", str(tmp_path), "htlm"])
