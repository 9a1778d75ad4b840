"""`ragguard calibrate` and `ragguard redteam` at the command line, on the shipped handbook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragguard.cli.output import plain
from ragguard.redteam import attacks
from tests.cli.conftest import Clock, Shell, one_line_error
from tests.support.workspaces.handbook import handbook_gate

Check = Callable[[str, Any], None]
FEW = ("fact_edit", "question_led")


@pytest.fixture
def handbook(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace with the handbook, attacked by two simulators only."""
    known = {name: attacks.registry()[name] for name in FEW}
    monkeypatch.setattr("ragguard.redteam.staging.registry", lambda: known)
    gate = handbook_gate(tmp_path / "h")
    clock.now = gate.now
    gate.close()
    monkeypatch.chdir(tmp_path / "h/w")
    return Shell(tmp_path / "h/w", clock)


def test_redteam_exits_1_under_the_floor_and_tells_which(handbook: Shell, schema: Check) -> None:
    before = handbook.state()
    result = handbook("redteam", "--campaigns", "2", "--floor", "1")
    body = handbook.json("redteam", "--campaigns", "2", "--floor", "1", code=result.exit_code)
    schema("redteam", body)
    failing = [a["attack"] for a in body["attacks"] if not a["holds"]]
    assert result.exit_code == (1 if failing else 0)
    assert result.stdout.count("FAILS") == len(failing)
    for found in body["attacks"]:
        assert found["attack"] in result.stdout
    assert all(plain(line) == line for line in result.stdout.splitlines())
    assert handbook.state() == before


def test_redteam_has_floors_of_single_attacks_and_exit_zero(handbook: Shell, schema: Check) -> None:
    body = handbook.json("redteam", "--attack", "fact_edit", "--campaigns", "1", "--floor", "0")
    schema("redteam", body)
    assert [a["floor"] for a in body["attacks"]] == [0.0]
    assert body["holds"]
    (handbook.folder / "ragguard.toml").write_text("[redteam.floors]\nquestion_led = 0.25\n")
    lenient = ("redteam", "--campaigns", "1", "--floor", "1", "--exit-zero")
    assert {a["attack"]: a["floor"] for a in handbook.json(*lenient)["attacks"]} == {
        "fact_edit": 1.0,
        "question_led": 0.25,
    }


def test_an_unknown_attack_names_those_there_are(handbook: Shell) -> None:
    result = handbook("redteam", "--attack", "flip")
    assert result.exit_code == 2
    assert one_line_error(result) == "attack 'flip': there is none"
    assert "fact_edit, question_led" in result.stderr


def test_calibrate_refuses_a_corpus_that_cannot_promise_the_rate(handbook: Shell) -> None:
    (handbook.folder / "ragguard.toml").write_text("[judge]\nleast_documents = 100\n")
    result = handbook("calibrate")
    assert result.exit_code == 2
    assert "of 0.20% takes 1667 different documents, 500 of them" in one_line_error(result)
    assert "can promise --rate 0.02" in result.stderr
    assert not (handbook.folder / "calibration.json").exists()


def test_calibrate_tells_what_it_learned_and_writes_it(handbook: Shell, schema: Check) -> None:
    (handbook.folder / "ragguard.toml").write_text(
        "[judge]\nleast_documents = 100\nfalse_alarm_rate = 0.05\n"
    )
    told = handbook.ok("calibrate", "--campaigns", "3")
    written = json.loads((handbook.folder / "calibration.json").read_bytes())
    schema("calibration", written)
    assert [a["name"] for a in written["report"]["attacks"]] == list(FEW)
    assert f"of {written['report']['honest']} (95 % interval" in told
    assert all(name in told for name in FEW)
    assert "calibrated 20" in handbook.ok("doctor")
