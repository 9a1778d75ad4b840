"""`import ragguard`: light, typed, and an open workspace that does what the commands do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import ragguard
from ragguard import errors
from ragguard.cli import run
from ragguard.config import Settings
from ragguard.trust import keys
from ragguard.trust.files import write_private
from tests.support.simulator import HONEST, NOW, SUSPECT, Gate

REPOSITORY = Path(__file__).resolve().parents[2]


def in_a_process(program: str) -> str:
    """What a program prints in a process of its own, in which nothing was imported yet."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAGGUARD_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(gate: Gate) -> Path:
    """A workspace that nobody has open, with key files of its people."""
    gate.close()
    for key in (gate.alice, gate.bob):
        path = gate.folder / "w/keys" / f"{key.public.principal}.key"
        write_private(path, keys.dump_private(key, None))
    return gate.folder / "w"


# --- importing ------------------------------------------------------------------------------------


def test_importing_imports_the_errors_and_nothing_else() -> None:
    program = (
        "import sys; before = set(sys.modules); import ragguard; "
        "print(*(set(sys.modules) - before - {'__future__'}))"
    )
    assert set(in_a_process(program).split()) == {"ragguard", "ragguard.errors"}


def test_every_public_name_is_there_and_no_other() -> None:
    for name in ragguard.__all__:
        assert getattr(ragguard, name) is not None
    assert set(ragguard.__all__) <= set(dir(ragguard))
    with pytest.raises(AttributeError, match="no attribute 'open_workspaces'"):
        ragguard.open_workspaces  # type: ignore[attr-defined] # noqa: B018


def test_every_deliberate_error_is_public() -> None:
    tree: list[type[errors.RagguardError]] = [errors.RagguardError]
    for found in tree:
        tree.extend(c for c in found.__subclasses__() if c.__module__ == errors.__name__)
    assert sorted({c.__name__ for c in tree}) == sorted(errors.__all__)
    assert all(getattr(ragguard, c.__name__) is c for c in tree)


# --- which workspace, with which settings ---------------------------------------------------------


def test_settings_are_those_of_the_file_and_of_variables(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ragguard.toml").write_text('[store]\ncollection = "filed"\nindex_after = 5000\n')
    with ragguard.open_workspace(folder) as w:
        assert (w.settings.store.collection, w.settings.store.index_after) == ("filed", 5000)
    monkeypatch.setenv("RAGGUARD_STORE__COLLECTION", "of-a-variable")
    with ragguard.open_workspace(str(folder)) as w:
        assert (w.settings.store.collection, w.settings.store.index_after) == (
            "of-a-variable",
            5000,
        )
    with ragguard.open_workspace(folder, settings=Settings()) as w:
        assert w.settings == Settings()


def test_the_clock_is_read_once_to_the_second(folder: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    with ragguard.open_workspace(folder) as w:
        assert before < w.now <= datetime.now(UTC)
        assert w.now.microsecond == 0
    with ragguard.open_workspace(folder, now=NOW) as w:
        assert w.now == NOW


def test_without_a_name_it_is_the_one_of_the_variable_or_of_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder / "keys")
    with ragguard.open_workspace() as w:
        assert w.folder == folder
    monkeypatch.chdir("/")
    with pytest.raises(ragguard.WorkspaceError, match="not in a ragguard workspace"):
        ragguard.open_workspace()
    monkeypatch.setenv("RAGGUARD_WORKSPACE", str(folder))
    with ragguard.open_workspace() as w:
        assert w.folder == folder


def test_a_folder_that_is_named_is_the_workspace_and_not_one_below_it(folder: Path) -> None:
    with pytest.raises(ragguard.UsageError, match="keys: not a ragguard workspace") as caught:
        ragguard.open_workspace(folder / "keys")
    assert "ragguard init" in caught.value.hint


def test_settings_that_others_may_change_are_used_only_where_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ragguard.toml").chmod(0o666)
    monkeypatch.chdir(folder)
    with pytest.raises(ragguard.WorkspaceError, match="others may change it"):
        ragguard.open_workspace()
    with ragguard.open_workspace(folder) as w:
        assert w.folder == folder


def test_one_process_at_a_time(folder: Path) -> None:
    with ragguard.open_workspace(folder), pytest.raises(ragguard.LockedError):
        ragguard.open_workspace(folder)
    ragguard.open_workspace(folder).close()


# --- the words of the command line ----------------------------------------------------------------


def test_a_whole_story(gate: Gate, folder: Path) -> None:
    manifest = gate.publisher.publish({**HONEST, "safe.md": SUSPECT})
    site, key = str(gate.publisher.folder), folder / "keys/bob.key"
    with ragguard.open_workspace(folder, now=NOW) as w:
        dry = w.ingest(str(manifest), root=site, dry_run=True)
        assert dry.counts["admitted"] == len(HONEST)
        assert w.generation() is None
        report = w.ingest([manifest], root=site)
        assert report.counts["admitted"] == len(HONEST)
        assert report.counts["quarantined"] == 1
        assert [e.label for e in w.quarantine.list()] == ["wiki/safe.md"]
        found = w.search("how many days of paid leave", 2, proof=True)
        assert found[0].document == "wiki/leave.md"
        assert len(found) == 2
        assert found[0].proof is not None
        assert found[0].proof["ok"]

        with pytest.raises(ragguard.DecisionError):
            w.quarantine.release(1, key=folder / "keys/alice.key", reason="mine")
        assert w.quarantine.release("wiki/safe.md", key=key, reason="a joke") == 2
        assert w.trace_document("wiki/safe.md").zone == "serving"
        assert w.trace_answer("which pin has the safe", "4711").documents == ["wiki/safe.md"]
        assert w.quarantine.hold(["wiki/safe.md"], reason="no joke").commit == 3
        (held,) = w.quarantine.list()
        assert w.quarantine.reject(held.case.id, key=key, reason="poison") == 4
        assert w.quarantine.list() == []
        audited = w.audit(full=True)
        assert (audited.taken, audited.report.incomplete) == (0, [])


def test_nothing_is_held_where_it_only_observes(gate: Gate, folder: Path) -> None:
    manifest = gate.publisher.publish({**HONEST, "safe.md": SUSPECT})
    with ragguard.open_workspace(folder, now=NOW) as w:
        report = w.ingest(manifest, root=gate.publisher.folder, observe=True)
    assert [v.id for v in report.documents if v.observed] == ["safe.md"]
    assert report.counts["quarantined"] == 0


def test_observing_is_as_the_settings_have_it_where_nothing_is_said(
    gate: Gate, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGGUARD_JUDGE__OBSERVE", "true")
    with ragguard.open_workspace(folder, now=NOW) as w:
        assert w.ingest([]).observe
        assert not w.ingest([], observe=False).observe


@pytest.mark.parametrize("word", ["search", "trace_document", "trace_answer", "release", "reject"])
def test_what_an_interrupted_run_began_is_finished_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    class Recovering(Exception):
        """It was asked for."""

    def recover(self: ragguard.Workspace) -> int:
        raise Recovering

    monkeypatch.setattr(ragguard.Workspace, "recover", recover)
    signed = {"key": folder / "keys/bob.key", "reason": "why"}
    with ragguard.open_workspace(folder) as w:
        method, more = (
            (getattr(w.quarantine, word), signed) if word[0] == "r" else (getattr(w, word), {})
        )
        with pytest.raises(Recovering):
            method("wiki/leave.md", **more)


def test_a_key_under_a_passphrase_is_opened_with_it(gate: Gate, folder: Path) -> None:
    manifest = gate.publisher.publish({**HONEST, "safe.md": SUSPECT})
    key = folder / "keys/locked.key"
    write_private(key, keys.dump_private(gate.bob, b"open sesame"))
    with ragguard.open_workspace(folder, now=NOW) as w:
        w.ingest(manifest, root=gate.publisher.folder)
        with pytest.raises(ragguard.KeyFileError, match=r"locked\.key: .*none was given"):
            w.quarantine.reject(1, key=key, reason="poison")
        assert w.quarantine.reject(1, key=key, reason="poison", passphrase=b"open sesame") == 2


def test_the_command_line_goes_on_where_python_left_it(
    gate: Gate, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = gate.publisher.publish(HONEST)
    with ragguard.open_workspace(folder, now=NOW) as w:
        w.ingest(manifest, root=gate.publisher.folder)
    assert run(["-w", str(folder), "search", "paid leave", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["document"] == "wiki/leave.md"
