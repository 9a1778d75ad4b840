from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragguard.cli import run
from tests.support.bench_folder import write_rows

ASKED = ["--arriving", "0.5", "--seeds", "1", "--per-target", "4", "--rate", "0.05"]
TWO_CAMPAIGNS = ["--protocol", "bulk", "--campaigns", "2", "--format", "json"]


def test_a_run_prints_tables_and_writes_both_files(
    site: Path, cache: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers/long.py").write_text(
        "NAME = 'long passages'\n"
        "def score(scan):\n"
        "    return [float(len(words)) for words in scan.words]\n"
    )
    code = run(
        [
            "bench",
            str(site),
            "--topic",
            str(site / "topic/stars.jsonl"),
            "--cache",
            str(cache),
            "--protocol",
            "bulk",
            "--protocol",
            "new-topic",
            "-o",
            str(tmp_path / "out"),
            *ASKED,
            "--peers",
            str(tmp_path / "peers"),
        ]
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "led x4" in shown.out
    assert "Honest batches on another topic" in shown.out
    assert "long passages" in shown.out
    assert "report.html" in shown.err
    body = json.loads((tmp_path / "out/result.json").read_text("utf-8"))
    assert [c["protocol"] for c in body["cases"]] == ["bulk", "new-topic"]
    assert (tmp_path / "out/report.html").read_text("utf-8").startswith("<!doctype html>")


def test_json_is_the_report_alone(site: Path, cache: Path, capsys: Any) -> None:
    code = run(
        [
            *("bench", str(site), "--cache", str(cache), *TWO_CAMPAIGNS),
            "--sample",
            "120",
            *ASKED,
        ]
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    body = json.loads(shown.out)
    assert body["format"] == "ragguard-bench/1"
    assert body["dataset"]["documents"] == 120
    assert body["cases"][0]["counts"]["subjects"] == 8
    assert "bulk: 1/1" in shown.err  # progress


def test_simulators_attack_too(site: Path, cache: Path, capsys: Any) -> None:
    code = run(
        [
            *("bench", str(site), "--cache", str(cache), *TWO_CAMPAIGNS),
            "--simulate",
            "--family",
            "paraphrase",
            *ASKED,
        ]
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    (case,) = json.loads(shown.out)["cases"]
    assert case["family"] == "paraphrase"
    assert case["counts"]["campaigns"] == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("NAME = 'x'\ndef score(scan):\n    return [1.0]\n", "finite scores, found shape (1,)"),
        ("NAME = 'x'\ndef score(scan):\n    return [float('nan')] * len(scan.texts)\n", "finite"),
        ("NAME = 'x'\ndef score(scan):\n    raise OSError('no')\n", "peer 'x': OSError: no"),
        ("NAME = 'ragguard'\ndef score(scan):\n    return 0\n", "second peer named 'ragguard'"),
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("", "holds no peer"),
    ],
)
def test_a_peer_that_fails_ends_the_run(
    site: Path, cache: Path, tmp_path: Path, capsys: Any, source: str, message: str
) -> None:
    (tmp_path / "wrong.py").write_text(source)
    code = run(
        [
            "bench",
            str(site),
            "--cache",
            str(cache),
            "--protocol",
            "bulk",
            "--campaigns",
            "1",
            "--peers",
            str(tmp_path),
            *ASKED,
        ]
    )
    assert code == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_the_layout_is_a_usage_error(tmp_path: Path, capsys: Any) -> None:
    assert run(["bench", str(tmp_path)]) == 2
    assert "corpus.jsonl: No such file" in capsys.readouterr().err


def test_a_corpus_too_small_is_refused_before_anything_is_judged(
    tmp_path: Path, capsys: Any
) -> None:
    write_rows(tmp_path / "corpus.jsonl", [{"id": i, "text": f"text {i}"} for i in range(4)])
    write_rows(tmp_path / "attacks/a.jsonl", [{"id": 1, "text": "poison"}])
    assert run(["bench", str(tmp_path), "--protocol", "bulk", "--arriving", "0.25"]) == 2
    assert "too few" in capsys.readouterr().err
