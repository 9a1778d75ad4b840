"""`ragguard export`: written in a workspace, verified by somebody who has none, restored from."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell, child_environment, one_line_error, subprocess_run

Check = Callable[[str, Any], None]


@pytest.fixture
def exported(served: Shell, tmp_path: Path) -> tuple[Shell, Path, str]:
    """A workspace, its export, and the log's key."""
    body = served.json("export", tmp_path / "x")
    assert (body["documents"], body["commit"]) == (7, 1)
    assert (body["left"], body["missing"]) == ([], [])
    return served, tmp_path / "x", body["log_key"]


def test_what_is_written_is_said_with_what_is_to_be_kept(served: Shell, tmp_path: Path) -> None:
    said = served.ok("export", tmp_path / "x")
    assert "exported commit 1: 7 documents in 7 files" in said
    key = (tmp_path / "x/log.vkey").read_text().strip()
    assert f"log key: {key}" in said
    again = served("export", tmp_path / "x")
    assert again.exit_code == 2
    assert "is no empty folder" in one_line_error(again)


def test_what_is_left_out_is_named_and_the_exit_code_is_1(served: Shell, tmp_path: Path) -> None:
    decide = ("--key", "keys/bob.key", "--reason", "a drill")
    served("quarantine", "release", "1", *decide)
    served.write({"guides/copy.md": (served.site / "safe.md").read_text()})
    served.sign("two.intoto.json")
    served("ingest", "two.intoto.json", "--root", "../docs")
    (case,) = served.json("quarantine", "list")
    served("quarantine", "reject", str(case["case"]), *decide)
    done = served("export", tmp_path / "x")
    assert done.exit_code == 1
    assert "left out: wiki/safe.md (denied: a reviewer rejected exactly these bytes)" in done.stdout
    assert "rejected by reviewers: 1, in denied/ with texts, never to be served" in done.stdout
    done = served("export", tmp_path / "y", "--no-denied-texts")
    assert "rejected by reviewers: 1, in denied/ as digests and sketches" in done.stdout
    assert len(list((tmp_path / "y/denied").iterdir())) == 1
    key = (tmp_path / "x/log.vkey").read_text().strip()
    for folder in ("x", "y"):
        said = served.ok("export", "--verify", tmp_path / folder, "--log-key", key)
        assert "  1 rejected by reviewers, in it to be recognised" in said


def test_a_stranger_verifies_it_in_a_process_of_his_own(
    exported: tuple[Shell, Path, str], tmp_path: Path
) -> None:
    _, folder, key = exported
    (tmp_path / "elsewhere").mkdir()
    shutil.move(folder, tmp_path / "elsewhere/x")
    done = subprocess_run("export", "--verify", "x", "--log-key", key, cwd=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert "verified: commit 1, 7 documents in 7 files" in done.stdout
    assert "note: the trust root is not pinned: version 1 is" in done.stderr


def test_verifying_loads_no_model_no_engine_and_no_database(
    exported: tuple[Shell, Path, str],
) -> None:
    _, folder, key = exported
    program = (
        "import sys; from ragguard.cli import run; code = run(sys.argv[1:]); "
        "heavy = {'numpy', 'torch', 'openvino', 'qdrant_client', 'qdrant_edge', 'sqlalchemy', "
        "'pydantic'}; "
        "print(code, sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "export", "--verify", str(folder), "--log-key", key],
        capture_output=True,
        text=True,
        check=True,
        env=child_environment(),
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_what_is_wrong_is_listed_and_the_exit_code_is_3(
    exported: tuple[Shell, Path, str],
) -> None:
    shell, folder, key = exported
    for number in range(30):
        (folder / f"\x1b[31m{number}").write_text("x")
    done = shell("export", "--verify", folder, "--log-key", key)
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert sum(line.startswith("PROBLEM: ") for line in lines) == 20
    assert "… and 10 more (--format json)" in lines
    assert "\x1b" not in done.output
    body = shell.json("export", "--verify", folder, "--log-key", key, code=3)
    assert (body["ok"], len(body["problems"])) == (False, 30)


def test_a_trust_root_that_is_known_is_looked_for(exported: tuple[Shell, Path, str]) -> None:
    shell, folder, key = exported
    verify = ("export", "--verify", folder, "--log-key", key)
    said = shell.ok(*verify, "--root", "trust/root.json")
    assert "version 3 is the one you gave" in said
    assert shell.json(*verify, "--root", "trust/root.1.json")["pinned"] == 1
    assert shell(*verify, "--root-digest", "0" * 64).exit_code == 3


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--verify",), "--log-key is needed"),
        (("--verify", "--restore"), "two things"),
        (("--restore", "--at", "1"), "--at is about a new export"),
        (("--restore", "--no-denied-texts"), "--no-denied-texts is about a new export"),
        (("--into", "n"), "--into goes with --restore"),
        (("--restore", "--into", "n"), "--log-key is needed"),
        (("--log-key", "x"), "go with --verify or --into"),
        (("--verify", "--log-key", "x"), "not an Ed25519 verifier key"),
        (("--at", "99"), "there is none"),
    ],
)
def test_what_does_not_go_together_is_refused(
    served: Shell, tmp_path: Path, args: tuple[str, ...], said: str
) -> None:
    result = served("export", tmp_path / "x", *args)
    assert result.exit_code in (2, 3)
    assert said in one_line_error(result)
    assert not (tmp_path / "x").exists()


def test_what_the_vault_lost_is_put_back(exported: tuple[Shell, Path, str]) -> None:
    shell, folder, _ = exported
    for path in (folder / "objects").rglob("*"):
        if path.is_file():
            (shell.folder / "vault" / path.parent.name / path.name).unlink()
    said = shell.ok("export", "--restore", folder)
    assert "put back: 7 files of documents, 0 manifests" in said
    assert "ragguard reindex --from-clean --at 1" in said
    body = shell.json("export", "--restore", folder)
    assert (body["documents"], body["intact"], body["lost"]) == (0, 8, {})


def test_a_new_workspace_is_made_and_answers(
    exported: tuple[Shell, Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell, folder, key = exported
    question = "how many days of leave do I have"
    before = [hit["document"] for hit in shell.json("search", question)]
    said = shell.ok("export", "--restore", folder, "--into", tmp_path / "n", "--log-key", key)
    assert "a workspace with 7 documents and 0 releases" in said
    monkeypatch.chdir(tmp_path / "n")
    fresh = Shell(tmp_path / "n", shell.clock)
    assert [hit["document"] for hit in fresh.json("search", question)] == before
    (done,) = fresh.json("history")
    assert (done["commit"], done["kind"], done["at"]) == (1, "restore", "2026-03-01T12:00:00Z")


def test_the_inventory_fits_its_schema(exported: tuple[Shell, Path, str], schema: Check) -> None:
    _, folder, _ = exported
    schema("export", json.loads((folder / "export.json").read_bytes()))
