"""A calibration is tried on documents that it was not learned on, or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ragguard.cli import run
from ragguard.ingest.calibration import Calibration, Figures, Seeds, Share, dump
from tests.support.bench_folder import paragraphs

NONE = Share(share=0.0, interval=(0.0, 1.0))


def _learned(folder: Path, texts: list[str], weights: dict[str, float]) -> Path:
    found = Calibration(
        at="2026-01-01T00:00:00Z",
        rate=0.01,
        promised_rate=0.01,
        weights=weights,
        learned=True,
        arriving=64,
        settings="0" * 64,
        recipe="0" * 64,
        seeds=Seeds(split=0, fit=1, report=2),
        fit=tuple(hashlib.sha256(t.encode()).hexdigest() for t in texts),
        reference=(),
        report=Figures(
            honest=0,
            false_alarms_before=NONE,
            false_alarms_after=NONE,
            mean_before=0.0,
            mean_after=0.0,
            attacks=(),
        ),
    )
    path = folder / "calibration.json"
    path.write_bytes(dump(found))
    return path


def _run(site: Path, cache: Path, *more: str) -> int:
    asked = ["--protocol", "bulk", "--arriving", "0.5", "--seeds", "1", "--per-target", "4"]
    return run(["bench", str(site), "--cache", str(cache), "--format", "json", *asked, *more])


def test_a_calibration_learned_on_reported_documents_fails_the_run(
    site: Path, cache: Path, tmp_path: Path, capsys: Any
) -> None:
    learned = _learned(tmp_path, paragraphs(), {})
    assert _run(site, cache, "--calibration", str(learned)) == 2
    shown = capsys.readouterr()
    assert "both fitted_on and" in shown.err
    assert shown.out == ""


def test_a_calibration_learned_elsewhere_is_tried_and_named(
    site: Path, cache: Path, tmp_path: Path, capsys: Any
) -> None:
    learned = _learned(tmp_path, ["a text of nobody here"], {"collusion": 0.1})
    assert _run(site, cache, "--calibration", str(learned)) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["calibration"] == json.loads(learned.read_text("utf-8"))["digest"]
    (fitted,) = body["cases"][0]["disjoint"]["fitted_on"]
    assert fitted == body["dataset"]["documents"] - body["cases"][0]["counts"]["honest"] + 1
