"""`audit` as a shell sees it: options, exit codes, formats, files."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from ragguard.ledger import log
from tests.cli.conftest import SUSPECT, Clock, Shell, one_line_error
from tests.ingest.test_adopt import legacy, point
from tests.support.audit.tamper import Index, nudged
from tests.support.simulator import HONEST
from tests.support.workspaces.copying import copy_folder

SERVING = "corpus-g1"
HOSTILE = "\x1b[31mred\x1b[0m \x07 \u202eevil\u202c \x9b2J \r over"


@pytest.fixture(autouse=True)
def _clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("ragguard.cli.audit"), "now", clock)


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A collection of six honest documents and one that speaks to the model."""
    return legacy(tmp_path / "legacy", {**HONEST, "safe.md": SUSPECT})


def damage(shell: Shell) -> None:
    """Somebody changes a float of the index."""
    with Index(shell.folder / "index").open(SERVING) as raw:
        name, (vector, payload) = next(iter(raw.points().items()))
        raw.put(name, nudged(vector), payload)


# A model that is not there: nothing can be embedded again.
NO_MODEL = {"RAGGUARD_MODEL__NAME": "/nowhere/model"}
# Texts would be cut otherwise now; those of the index are embedded as they are.
OTHER_CUT = {"RAGGUARD_CHUNKS__SIZE": "500"}


def told(result: Result) -> str:
    """What was printed, lines joined."""
    return " ".join(result.stdout.split())


def no_control_characters(text: str) -> bool:
    return not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--re-embed",),
        ("--max-minutes", "5"),
        ("--quarantine",),
        ("--expect-checkpoint", "ragguard.toml"),
    ],
)
def test_what_needs_a_workspace_does_not_go_with_a_collection(
    made: Shell, collection: Path, options: tuple[str, ...]
) -> None:
    result = made("audit", "--path", collection, *options)
    assert result.exit_code == 2
    assert one_line_error(result).startswith(f"{options[0]}: needs a workspace")
    assert "ragguard adopt" in result.stderr


@pytest.mark.parametrize(
    "option", ["--collection", "--vector", "--text-field", "--metadata-field", "--document-field"]
)
def test_how_to_read_a_collection_does_not_go_with_a_workspace(made: Shell, option: str) -> None:
    result = made("audit", option, "x")
    assert result.exit_code == 2
    assert one_line_error(result).startswith(f"{option}: says how to read a collection")


def test_two_places_are_a_usage_error(empty: Shell, collection: Path) -> None:
    result = empty("audit", "--path", collection, "--url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "one of them" in one_line_error(result)


@pytest.mark.parametrize(
    "options",
    [("--max-minutes", "0"), ("--fail-on", "everything"), ("--path", "/nowhere"), ("--bogus",)],
)
def test_a_value_that_does_not_fit_is_a_usage_error(made: Shell, options: tuple[str, ...]) -> None:
    result = made("audit", *options)
    assert (result.exit_code, result.stdout) == (2, "")


def test_without_a_workspace_there_is_nothing_to_audit(empty: Shell) -> None:
    result = empty("audit")
    assert result.exit_code == 2
    assert "ragguard" in one_line_error(result)


# --- exit codes -----------------------------------------------------------------------------------


def test_an_untouched_index_is_0_and_says_what_it_looked_at(served: Shell) -> None:
    result = served("audit")
    assert result.exit_code == 0, result.output
    assert "Nothing to look at in 7 points" in result.stdout
    assert "since the last audit: this is the first" in result.stdout
    assert "log ok, index ok, provenance ok" in told(result)
    assert "neighbourhoods ok, checks ok" in told(result)
    served.clock.later(days=1)
    assert "0 new, 0 gone, 0 still there" in served.ok("audit")
    assert served.ok("log", "verify")


def test_findings_are_1_as_mild_as_asked_and_only_that_is_masked(served: Shell) -> None:
    served.clock.later(days=91)  # the manifest has expired
    assert served("audit").exit_code == 1
    assert served("audit", "--fail-on", "error").exit_code == 0
    assert served("audit", "--fail-on", "note").exit_code == 1
    assert served("audit", "--exit-zero").exit_code == 0


def test_tampering_is_3_whatever_else_is_asked(served: Shell) -> None:
    damage(served)
    result = served("audit")
    assert result.exit_code == 3
    assert "vector-changed" in result.stdout
    assert served("audit", "--exit-zero", "--fail-on", "error").exit_code == 3


def test_a_part_that_failed_is_5_and_is_not_masked(served: Shell) -> None:
    result = served("audit", "--exit-zero", variables=NO_MODEL)
    assert result.exit_code == 5, result.output
    assert "FAILED embeddings" in result.stdout
    assert "neighbourhoods ok, checks ok" in told(result)
    damage(served)
    assert served("audit", variables=NO_MODEL).exit_code == 3  # the gravest wins


def test_an_index_that_was_cut_otherwise_is_looked_at_like_any(served: Shell) -> None:
    result = served("audit", variables=OTHER_CUT)
    assert result.exit_code == 0, result.output
    assert "FAILED" not in result.stdout
    assert "vault ok" in told(result)


def test_an_older_checkpoint_is_no_harm_and_a_newer_one_is_3(served: Shell, tmp_path: Path) -> None:
    older = tmp_path / "older.txt"
    older.write_text(served.ok("log", "checkpoint"))
    assert served("audit", "--expect-checkpoint", older).exit_code == 0
    copy_folder(served.folder, tmp_path / "backup")
    served.clock.later(days=1)
    assert served("audit").exit_code == 0
    newer = tmp_path / "newer.txt"
    newer.write_text(served.ok("log", "checkpoint"))
    shutil.rmtree(served.folder)
    copy_folder(tmp_path / "backup", served.folder)
    result = served("--workspace", served.folder, "audit", "--expect-checkpoint", newer)
    assert result.exit_code == 3
    assert "log-rolled-back" in result.stdout


# --- output ---------------------------------------------------------------------------------------


def test_json_is_valid_and_alone_on_stdout(
    served: Shell, schema: Callable[[str, Any], None]
) -> None:
    damage(served)
    result = served("audit", "--format", "json")
    assert result.exit_code == 3
    body = json.loads(result.stdout)
    schema("audit", body)
    assert {f["rule"] for f in body["findings"]} >= {"vector-changed"}
    assert "vector-changed" not in result.stderr
    lines = served("audit", "--format", "jsonl").stdout.splitlines()
    assert len(lines) == len(body["findings"])
    assert {json.loads(line)["rule"] for line in lines} == {f["rule"] for f in body["findings"]}


def test_all_reports_are_written_and_named(
    served: Shell, tmp_path: Path, schema: Callable[[str, Any], None]
) -> None:
    served.clock.later(days=91)
    files = {kind: tmp_path / f"audit.{kind}" for kind in ("json", "sarif", "html", "metrics")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", path)]
    result = served("audit", *options)
    assert result.exit_code == 1
    assert all(path.name in result.stdout for path in files.values())
    body = json.loads(files["json"].read_text())
    schema("audit", body)
    rules = {f["rule"] for f in body["findings"]}
    assert "source-stale" in rules
    assert "RG201" in files["sarif"].read_text()
    assert "source-stale" in files["html"].read_text()
    assert "ragguard_" in files["metrics"].read_text()


def test_a_report_that_cannot_be_written_is_5_and_the_others_are_there(
    served: Shell, tmp_path: Path
) -> None:
    result = served("audit", "--html", "/proc/nowhere/a.html", "--json", tmp_path / "a.json")
    assert result.exit_code == 5
    assert "reports could not be written" in result.stderr
    assert (tmp_path / "a.json").exists()


def test_it_fits_a_screen_of_80_columns_and_hostile_text_stays_text(
    empty: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    hostile = {f"{HOSTILE}.md": f"{SUSPECT} {HOSTILE}", **HONEST}
    result = empty("audit", "--path", legacy(tmp_path / "hostile", hostile), "--fail-on", "note")
    assert result.exit_code == 1, result.output
    assert "hidden-or-instructing" in result.stdout
    assert no_control_characters(result.stdout)
    assert no_control_characters(result.stderr)
    assert len(result.stdout.splitlines()) <= 22


# --- what it changes ------------------------------------------------------------------------------


def acts(shell: Shell) -> list[str]:
    """What was logged, in order."""
    with shell.opened() as workspace, workspace.ledger.reading() as conn:
        return [json.loads(text)["act"] for _, text, _ in log.entries(conn)]


def test_what_was_released_for_the_same_finding_is_not_taken_out(served: Shell) -> None:
    served.ok("quarantine", "release", "1", "--key", "keys/bob.key", "--reason", "a drill")
    result = served("audit", "--quarantine")
    assert result.exit_code == 1
    assert "hidden-or-instructing" in result.stdout
    assert "documents were taken out" not in result.stderr
    assert acts(served)[-2:] == ["release", "audit"]


def test_quarantine_takes_suspects_out_and_says_where_they_are(served: Shell) -> None:
    lax = {"RAGGUARD_AUDIT__FALSE_ALARM_RATE": "0.499"}  # honest pages are suspects too
    result = served("audit", "--quarantine", variables=lax)
    assert result.exit_code == 1, result.output
    assert "documents were taken out of the index; ragguard quarantine list" in result.stderr
    assert "next: ragguard quarantine list" in result.stdout
    taken = int(result.stderr.split(" documents were taken out")[0].split()[-1])
    listed = served.json("quarantine", "list")
    assert len(listed) == 1 + taken
    assert acts(served)[-2:] == ["audit", "audit"]
    assert served.ok("log", "verify")
    assert served.json("history")[0]["kind"] == "audit"


def test_a_collection_needs_no_workspace_and_leaves_nothing_behind(
    empty: Shell, collection: Path, schema: Callable[[str, Any], None]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in empty.folder.parent.rglob("*")}
    result = empty("audit", "--path", collection, "--format", "json")
    assert result.exit_code == 1, result.output
    body = json.loads(result.stdout)
    schema("audit", body)
    (found,) = [f for f in body["findings"] if f["rule"] == "hidden-or-instructing"]
    assert "safe.md" in found["document"]
    assert {p: p.stat().st_mtime_ns for p in empty.folder.parent.rglob("*")} == before


@pytest.mark.parametrize(
    ("build", "code", "said"),
    [
        (lambda folder: legacy(folder, {}), 2, "is empty"),
        (lambda folder: legacy(folder, {}, point(1, None, "void.md")), 2, "no text field"),
    ],
    ids=["empty", "no-text"],
)
def test_a_collection_that_cannot_be_audited_says_why(
    empty: Shell, tmp_path: Path, build: Callable[[Path], Path], code: int, said: str
) -> None:
    result = empty("audit", "--path", build(tmp_path / "odd"))
    assert result.exit_code == code
    assert said in one_line_error(result)


def test_a_server_that_is_not_there_is_5(empty: Shell) -> None:
    result = empty("audit", "--url", "http://127.0.0.1:9", "--collection", "docs")
    assert result.exit_code == 5
    assert one_line_error(result)
