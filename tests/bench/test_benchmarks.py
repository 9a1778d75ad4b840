"""Measuring scripts in benchmarks/: those that use the package's functions run on tiny data."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.support.bench_folder import REPOSITORY

SCRIPTS = REPOSITORY / "benchmarks"


@pytest.fixture
def fact_edits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("fact_edits")


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda p: p.stem)
def test_what_a_script_imports_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    assert importlib.import_module(path.stem).__doc__


def test_the_cost_of_judging_is_told_for_every_check() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/cost_of_judging.py", "--indexed", "300", "--newcomers", "60"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["newcomers"] == 60
    assert {"accord", "collusion", "hidden", "instructions", "twin_edit"} <= set(told["checks"])
    assert told["checks"]["twin_edit"]["skipped"] == []


def test_fact_edits_are_made_and_judged_by_the_scratch_gate(
    fact_edits: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    scratch = importlib.import_module("scratch_gate")
    texts = scratch.handbook()[:160]
    made = np.random.default_rng(0).standard_normal((len(texts), 384)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    honest = [replace(t, vector=v) for t, v in zip(texts, made, strict=True)]
    pairs = [
        (original, replace(edited, vector=original.vector), kind)
        for original, edited, kind in fact_edits.edits(honest, 12, 0)
    ]
    fact_edits.measure_edits(honest, pairs, 0.05, 0)
    lines = capsys.readouterr().out.splitlines()
    (guilty,) = (line for line in lines if line.startswith("all guilty"))
    assert "12 documents" in guilty
    assert float(guilty.split("quarantined ")[1].split(",")[0]) >= 0.5
    fact_edits.measure_flips(honest, ("department",), 0.05, 0)
    assert "metadata_vote alone" in capsys.readouterr().out
