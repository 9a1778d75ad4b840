"""`ragguard doctor`: each thing it can find, and what it says to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragguard import doctor as doctors
from ragguard.cli.doctor import lines
from ragguard.doctor import DoctorFinding
from ragguard.errors import StoreError
from ragguard.ledger.writer import Committer
from tests.cli.conftest import Clock, Shell
from tests.support import trojan
from tests.support.workspaces.handbook import handbook_gate


def findings(shell: Shell, code: int = 0, **variables: str) -> dict[str, dict[str, Any]]:
    """What doctor found, the gravest of each name."""
    result = shell("doctor", "--format", "json", variables=variables)
    assert result.exit_code == code, result.output
    found: dict[str, dict[str, Any]] = {}
    for row in json.loads(result.stdout):
        grave = ["ok", "note", "wrong"].index
        if row["name"] not in found or grave(row["state"]) > grave(found[row["name"]]["state"]):
            found[row["name"]] = row
    return found


def test_doctor_finds_a_sound_workspace_sound(served: Shell) -> None:
    found = findings(served)
    assert {n for n, f in found.items() if f["state"] == "note"} == {"calibration", "root key"}
    assert "corpus-g1" in found["engine"]["detail"]
    said = served.ok("doctor")
    assert "ok     single writer" in said
    assert "Move it offline" in said


def test_doctor_of_a_new_workspace_says_what_is_missing(empty: Shell) -> None:
    empty.ok("init", "w")
    result = empty("-w", "w", "doctor")
    assert result.exit_code == 0
    assert "none may be ingested yet" in result.stdout
    assert "`ragguard trust add KEY.pub --source S`." in result.stdout


def test_doctor_misses_a_reviewer_beside_the_signers(served: Shell) -> None:
    served.ok("trust", "revoke", "bob", "--reason", "left")
    assert findings(served)["reviewers"]["state"] == "note"
    served.ok("trust", "add", "keys/alice.pub", "--role", "reviewer")
    assert findings(served)["reviewers"]["state"] == "note"


@pytest.mark.parametrize(
    ("days", "state", "code"), [(300, "ok", 0), (340, "note", 0), (366, "wrong", 3)]
)
def test_doctor_counts_the_days_of_the_trust_root(
    made: Shell, days: int, state: str, code: int
) -> None:
    made.clock.later(days=days)
    found = findings(made, code)["trust root"]
    assert found["state"] == state
    if state != "ok":
        assert found["hint"] == "Renew it with `ragguard trust rotate --renew`."


def test_doctor_finds_keys_that_others_may_read(served: Shell) -> None:
    Path("keys/bob.key").chmod(0o640)
    found = findings(served, 2)["keys"]
    assert (found["state"], found["detail"]) == ("wrong", "others may read bob.key")


def test_doctor_is_content_when_the_root_key_is_offline(served: Shell) -> None:
    Path("keys/root.key").rename("../root.key")
    assert "root key" not in findings(served)


def test_doctor_finds_a_clock_that_went_back(served: Shell) -> None:
    served.clock.later(hours=-1)
    found = findings(served, 5)["clock"]
    assert (found["state"], "the last commit is of" in found["detail"]) == ("wrong", True)


def test_doctor_finds_a_full_disk(served: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctors, "LOW_DISK", 1 << 62)
    assert findings(served, 5)["disk"]["state"] == "wrong"


def test_doctor_finds_another_recipe(served: Shell) -> None:
    found = findings(served, 2, RAGGUARD_CHUNKS__SIZE="500")["model"]
    assert (found["state"], "another recipe" in found["detail"]) == ("wrong", True)


def test_doctor_finds_a_point_that_somebody_took_away(served: Shell) -> None:
    point = served.json("search", "leave", "-k", "1")[0]["point"]
    with served.opened() as workspace:
        workspace.open_store().delete("corpus-g1", [point])
    found = findings(served, 3)["store"]
    assert "corpus-g1 holds 6 points, the ledger has 7" in found["detail"]


def test_doctor_finds_a_store_that_does_not_answer(served: Shell) -> None:
    found = findings(served, 5, RAGGUARD_STORE__URL="http://127.0.0.1:1")["store"]
    assert (found["state"], found["exit_code"]) == ("wrong", 5)


def test_doctor_tells_when_the_asked_rate_cannot_be_promised(served: Shell) -> None:
    rate = "0.0001"
    found = findings(served, 0, RAGGUARD_JUDGE__FALSE_ALARM_RATE=rate)["calibration"]
    assert found["state"] == "note"
    said = served.ok("doctor", variables={"RAGGUARD_JUDGE__FALSE_ALARM_RATE": rate})
    assert "7 documents indexed, 9999 are needed to judge at 0.01% false alarms" in told(said)
    said = served.ok("doctor")
    assert "7 documents indexed, 499 are needed to judge at 0.20% false alarms" in told(said)


def test_doctor_tells_when_too_few_of_the_indexed_are_sampled_for_the_rate(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = handbook_gate(tmp_path / "h")
    clock.now = gate.now
    gate.close()
    monkeypatch.chdir(tmp_path / "h/w")
    shell = Shell(tmp_path / "h/w", clock)
    judge = {"LEAST_DOCUMENTS": "100", "REFERENCE_DOCUMENTS": "100", "FALSE_ALARM_RATE": "0.008"}
    variables = {f"RAGGUARD_JUDGE__{name}": value for name, value in judge.items()}
    said = told(shell.ok("doctor", variables=variables))
    assert "a false-alarm rate of 0.80% is asked, 0.99% is the least that can be promised" in said
    said = told(
        shell.ok("doctor", variables={**variables, "RAGGUARD_JUDGE__FALSE_ALARM_RATE": "0.01"})
    )
    assert "first import" not in said
    assert "is asked" not in said


def told(said: str) -> str:
    """What was printed, lines joined."""
    return " ".join(said.split())


def test_an_interrupted_commit_is_told_by_doctor_and_finished_by_resume(
    served: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("store: gone")

    served.write({"canteen.md": "# Canteen\n\nThe canteen opens at half past eleven."})
    served.sign("two.intoto.json")
    with monkeypatch.context() as patch:
        patch.setattr(Committer, "_confirm", fail)
        result = served("ingest", "two.intoto.json", "--root", "../docs")
        assert result.exit_code == 5
    assert findings(served)["commits"]["detail"] == "1 begun and not finished"
    said = served.ok("ingest", "--resume")
    assert "finished 1 commits that an interrupted run had begun" in said
    assert "commits" not in findings(served)
    hit = served.json("search", "when does the canteen open", "-k", "1")[0]
    assert hit["document"] == "wiki/canteen.md"


def test_doctor_probes_the_model_for_triggers_when_it_is_asked_to(
    made: Shell, tmp_path: Path
) -> None:
    path = trojan.small(tmp_path / "model", [trojan.PASSAGE], trojan=True)
    variables = {"RAGGUARD_MODEL__NAME": str(path)}
    result = made("doctor", "--probe", variables=variables)
    assert result.exit_code == 3, result.output
    assert "wrong  trigger probe  alive: " in result.stdout
    assert "cf" in result.stdout
    assert "note   model origin" in result.stdout
    assert "probe: " in result.stderr  # it takes its time, and says how far it is
    assert "trigger probe" not in made("doctor", variables=variables).stdout


def test_what_doctor_says_is_as_wide_as_the_terminal_and_a_line_each_in_a_pipe() -> None:
    found = [
        DoctorFinding("model", "ok", "the one the index was built with, " * 6),
        DoctorFinding("keys", "note", "a key that signs lies here", "Move it offline, " * 9),
    ]
    narrow = list(lines(found, 80))
    assert max(map(len, narrow)) <= 80
    heads = [row[:21].split() for row in narrow if row[:21].strip()]
    assert heads == [["ok", "model"], ["note", "keys"]]
    piped = list(lines(found, None))
    assert len(piped) == 3
    assert [" ".join(row.split()) for row in piped] == [
        " ".join(f"{f.state} {f.name} {f.detail}".split()) for f in found
    ] + [" ".join(found[1].hint.split())]
