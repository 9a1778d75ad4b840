"""The acceptance of a stranger: from an empty folder to a searched and proved corpus."""

from __future__ import annotations

import json
import stat

import pytest

from tests.cli.conftest import SITE, SUSPECT, Shell, child_environment, subprocess_run

SIGNED = {n for n in SITE if n.endswith((".md", ".rst"))}


def next_step(text: str) -> str:
    """What the command says to do next."""
    told = [line for line in text.splitlines() if line.startswith("next: ")]
    assert len(told) == 1, text
    return told[0].removeprefix("next: ")


def test_a_stranger_gets_from_nothing_to_an_answer_by_what_each_step_says(
    empty: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = empty.ok("init", "w")
    assert "workspace made in w" in said
    assert "move it offline" in said
    assert next_step(said) == "cd w && ragguard key generate alice"
    monkeypatch.chdir("w")

    said = empty.ok("key", "generate", "alice")
    assert "keys/alice.key  private, 0600, without a passphrase" in said
    assert stat.S_IMODE((empty.folder / "keys/alice.key").stat().st_mode) == 0o600
    assert next_step(said).startswith("ragguard trust add keys/alice.pub --source SOURCE")

    said = empty.ok("trust", "add", "keys/alice.pub", "--source", "wiki")
    assert "'alice'" in said
    assert "may speak for 'wiki'" in said
    assert "1 of 1 signatures" in said
    step = next_step(said)
    assert step == "ragguard sign DIR --source wiki --key keys/alice.key -o m.intoto.json"

    said = empty.ok(*step.replace("DIR", "../docs").split()[1:])
    assert f"{len(SIGNED)} documents in {len(SIGNED)} files of 'wiki', version 1" in said
    assert "skipped 2: 1 format .json is not supported; 1 format .py is not supported" in said
    step = next_step(said)
    assert step == "ragguard ingest m.intoto.json --root ../docs"

    result = empty(*step.split()[1:], "--format", "json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert {d["id"] for d in report["documents"]} == SIGNED
    assert {d["id"] for d in report["documents"] if d["verdict"] != "admit"} == {"safe.md"}
    assert report["counts"]["admitted"] == len(SIGNED) - 1
    assert "embed: 8/8" in result.stderr

    said = empty.ok("search", "how do I get a day off?")
    assert said.startswith("1. wiki/leave.md  (0.")
    assert "27 days of paid leave" in said
    assert "safe.md" not in said
    assert "ragguard log prove" in next_step(said)

    said = empty.ok("quarantine", "list")
    assert "wiki/safe.md" in said
    assert "speaks to the model" in said
    assert next_step(said).startswith("ragguard quarantine show CASE")

    said = empty.ok("quarantine", "show", "1")
    assert f"|>{SUSPECT}" in said
    assert "signed by   alice" in said
    assert next_step(said).startswith("ragguard quarantine release|reject 1 --key FILE")

    said = empty.ok("log", "verify")
    assert "3 entries, 3 checkpoints and 1 commits agree" in said
    assert "log checkpoint -o FILE" in next_step(said)

    said = empty.ok("history")
    assert "alice" in said
    assert "7 admit, 1 quarantine" in said
    states = {line.split(" ")[0] for line in empty.ok("doctor").splitlines()}
    assert states == {"ok", "note", ""}


def test_names_are_relative_to_the_signed_folder(made: Shell) -> None:
    made.sign()
    found = made.json("verify", "m.intoto.json", "--root", "../docs")
    assert found["documents"] == len(SIGNED)
    assert found["signed_by"] == ["alice"]
    assert found["wrong"] == []
    said = made.ok("verify", "m.intoto.json", "--root", "../docs")
    assert next_step(said) == "ragguard ingest m.intoto.json --root ../docs"


def test_an_ingest_in_which_nothing_is_suspect_exits_0_and_leads_to_search(made: Shell) -> None:
    (made.site / "safe.md").unlink()
    made.sign()
    said = made.ok("ingest", "m.intoto.json", "--root", "../docs")
    assert "7 admitted" in said
    assert next_step(said).startswith("ragguard search")
    said = made.ok("quarantine", "list")
    assert "nothing waits" in said
    assert "ragguard" in next_step(said)


def test_an_ingest_with_suspects_leads_to_the_quarantine(made: Shell) -> None:
    made.sign()
    result = made("ingest", "m.intoto.json", "--root", "../docs")
    assert result.exit_code == 1
    assert "m.intoto.json: wiki version 1, commit 1" in result.stdout
    assert "7 admitted  1 quarantined" in result.stdout
    assert "wiki/safe.md" in result.stdout
    assert next_step(result.stdout) == "ragguard quarantine list"
    assert "7 of them not yet judged" in result.stdout
    assert result.stderr.count("note: first import.") == 1


def test_exit_zero_masks_what_is_only_to_be_looked_at(made: Shell) -> None:
    made.sign()
    made.ok("ingest", "m.intoto.json", "--root", "../docs", "--exit-zero")
    (made.site / "leave.md").write_text("# Leave\n\nEverybody has 30 days.")
    made.sign("two.intoto.json")
    (made.site / "leave.md").write_text("# Leave\n\nEverybody has 90 days.")
    result = made("ingest", "two.intoto.json", "--root", "../docs", "--exit-zero")
    assert result.exit_code == 3
    assert "not the signed bytes" in result.stdout or "digest" in result.stdout


def test_a_dry_run_judges_and_changes_nothing(made: Shell) -> None:
    made.sign()
    before = made.state()
    result = made("ingest", "m.intoto.json", "--root", "../docs", "--dry-run")
    assert result.exit_code == 1
    assert "dry run" in result.stdout
    assert "wiki/safe.md" in result.stdout
    assert next_step(result.stdout) == "the same without --dry-run"
    assert made.state() == before


def test_the_workspace_is_found_from_below_by_name_and_by_variable(
    served: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = served.folder / "notes/deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    here = served.ok("history", "--format", "json")
    monkeypatch.chdir(served.folder.parent)
    assert served.ok("-w", "w", "history", "--format", "json") == here
    assert served("history").exit_code == 2
    named = served("history", "--format", "json", variables={"RAGGUARD_WORKSPACE": "w"})
    assert named.stdout == here


def test_the_same_steps_in_processes_of_their_own(empty: Shell) -> None:
    folder = empty.folder.parent
    assert subprocess_run("init", "w", cwd=folder).returncode == 0
    workspace = folder / "w"
    codes = [
        subprocess_run(*step.split(), cwd=workspace).returncode
        for step in (
            "key generate alice",
            "trust add keys/alice.pub --source wiki",
            "sign ../docs --source wiki --key keys/alice.key -o m.intoto.json",
            "ingest m.intoto.json --root ../docs --format json",
            "log verify",
        )
    ]
    assert codes == [0, 0, 0, 1, 0]
    found = subprocess_run("search", "how do I get a day off", "--format", "json", cwd=workspace)
    assert json.loads(found.stdout)[0]["document"] == "wiki/leave.md"
    assert found.stderr == ""


def test_a_reader_that_stops_reading_ends_us_as_sigpipe_would(served: Shell) -> None:
    import subprocess
    import sys

    made = subprocess.run(
        f"{sys.executable} -m ragguard quarantine list | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=served.folder,
        env=child_environment(),
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stderr) == (141, "")
