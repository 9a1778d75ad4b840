"""A stranger's folder: documents, a workspace beside them, and the command run inside this process.

`run` is the real entry point: what it prints and its exit code are what a shell would see. The
clock alone is set: commands read `simulator.NOW` until a test moves it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ragguard.cli import run as run_command
from ragguard.config import load
from ragguard.workspace import Workspace
from tests.support.simulator import HONEST, NOW, SUSPECT
from tests.support.workspaces.copying import copy_folder

REPOSITORY = Path(__file__).resolve().parents[2]
SITE = {
    **HONEST,
    "guides/parking.rst": "Parking\n=======\n\nThe car park opens at six. Bicycles stand under the "
    "roof beside the gate, and charging posts are booked in Rollcall.",
    "safe.md": SUSPECT,
    "data.json": "{}",
    "script.py": "print()",
}
_READS_CLOCK = ("context", "init", "sign", "trust", "demo")


class _Entry(click.Command):
    """`ragguard.cli.main` in the shape CliRunner wants."""

    def main(self, args: Any = None, *_: Any, **__: Any) -> Any:
        sys.exit(run_command(args))


class Clock:
    """What the commands take for now."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Shell:
    """Runs commands in a workspace, as somebody who stands in it would."""

    folder: Path
    clock: Clock
    site: Path = field(init=False)

    def __post_init__(self) -> None:
        self.site = self.folder.parent / "docs"

    def __call__(
        self,
        *args: str | Path,
        stdin: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command; colours are kept, so that a stray escape sequence is seen."""
        return CliRunner().invoke(
            _Entry("ragguard"), [str(a) for a in args], input=stdin, env=variables, color=True
        )

    def ok(self, *args: str | Path, **rest: Any) -> str:
        """Run a command that succeeds; what it printed."""
        result = self(*args, **rest)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *args: str | Path, code: int = 0) -> Any:
        """Run a command with --format json; what it printed, parsed."""
        result = self(*args, "--format", "json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def sign(self, name: str = "m.intoto.json", *more: str | Path, key: str = "alice") -> str:
        """Sign the site."""
        return self.ok(
            "sign", self.site, "--source", "wiki", "--key", f"keys/{key}.key", "-o", name, *more
        )

    def write(self, texts: Mapping[str, str | bytes]) -> None:
        """Write files of the site."""
        for name, text in texts.items():
            path = self.site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def opened(self) -> Workspace:
        """The workspace behind the commands."""
        return Workspace(self.folder, load(self.folder / "ragguard.toml", {}), self.clock.now)

    def state(self) -> dict[str, Any]:
        """All that a command may change, but for the engine's own files and the cache."""
        found: dict[str, Any] = {}
        for path in sorted(self.folder.parent.rglob("*")):
            name = path.relative_to(self.folder.parent).as_posix()
            own = name.startswith(("w/index", "w/cache", "w/ledger.db", "w/.lock"))
            if path.is_file() and not own:
                found[name] = path.read_bytes()
        ledger = self.folder / "ledger.db"
        if ledger.exists():
            with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as opened:
                found["w/ledger.db"] = list(opened.iterdump())
        return found


def one_line_error(result: Result) -> str:
    """The sentence a failing command says; it says no more than that and a hint, and no data."""
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = [x for x in result.stderr.splitlines() if not x.startswith(("note: ", "Passphrase"))]
    told = [x for x in lines if x.startswith("error: ")]
    assert len(told) == 1, result.stderr
    assert len([x for x in lines if x.startswith("hint: ")]) <= 1
    return told[0].removeprefix("error: ")


def subprocess_run(
    *args: str,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    at: datetime | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, by its own clock or at a set time."""
    return subprocess.run(
        child_command(at, *args),
        cwd=cwd,
        env=child_environment(variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


def child_command(at: datetime | None, *args: str) -> list[str]:
    """The command as another process runs it; `at` sets its clock."""
    if at is None:
        return [sys.executable, "-m", "ragguard", *args]
    program = (
        "import sys; from datetime import datetime; from ragguard.cli import context, main; "
        "at = datetime.fromisoformat(sys.argv.pop(1)); context.now = lambda: at; main()"
    )
    return [sys.executable, "-c", program, at.isoformat(), *args]


def child_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of a child: this repository first on its path, no settings of ours."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAGGUARD_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **(variables or {})}


def _set_clock(patch: pytest.MonkeyPatch, clock: Clock) -> None:
    for name in _READS_CLOCK:
        patch.setattr(import_module(f"ragguard.cli.{name}"), "now", clock)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of the commands."""
    made = Clock()
    _set_clock(monkeypatch, made)
    return made


def _all_ok(shell: Shell, commands: Sequence[Sequence[str]]) -> None:
    for command in commands:
        shell.ok(*command)


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a site and a workspace: alice signs for wiki, bob reviews, carol is nobody."""
    folder = tmp_path_factory.mktemp("session-made")
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        _set_clock(patch, clock)
        patch.chdir(folder)
        shell = Shell(folder / "w", clock)
        shell.write(SITE)
        shell.ok("init", "w")
        patch.chdir(folder / "w")
        _all_ok(
            shell,
            [
                *(("key", "generate", name) for name in ("alice", "bob", "carol")),
                ("trust", "add", "keys/alice.pub", "--source", "wiki"),
                ("trust", "add", "keys/bob.pub", "--role", "reviewer"),
            ],
        )
    return folder


@pytest.fixture(scope="session")
def _served(_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, signed as m.intoto.json and ingested: safe.md waits in quarantine."""
    folder = tmp_path_factory.mktemp("session-served")
    copy_folder(_made, folder, into=True)
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        _set_clock(patch, clock)
        patch.chdir(folder / "w")
        shell = Shell(folder / "w", clock)
        shell.sign()
        result = shell("ingest", "m.intoto.json", "--root", shell.site)
        assert result.exit_code == 1, result.output
    return folder


def _copy(
    source: Path, target: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> Shell:
    copy_folder(source, target / name)
    monkeypatch.chdir(target / name / "w")
    return Shell(target / name / "w", clock)


@pytest.fixture
def made(_made: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace with keys and trust in which nothing was ingested yet."""
    return _copy(_made, tmp_path, clock, monkeypatch, "made")


@pytest.fixture
def served(_served: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace with an index; case 1 (safe.md) is open."""
    return _copy(_served, tmp_path, clock, monkeypatch, "served")


@pytest.fixture
def empty(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A folder with a site and no workspace; the shell stands beside where `w` would be."""
    shell = Shell(tmp_path / "w", clock)
    shell.write(SITE)
    monkeypatch.chdir(tmp_path)
    return shell


@pytest.fixture
def schema() -> Callable[[str, Any], None]:
    """Validates output against a schema of docs/schemas."""
    from jsonschema import Draft202012Validator

    def check(name: str, body: Any) -> None:
        text = (REPOSITORY / f"docs/schemas/{name}.json").read_text("utf-8")
        validator = Draft202012Validator(json.loads(text))
        wrong = [f"{e.json_path}: {e.message}" for e in validator.iter_errors(body)]
        assert wrong == []

    return check
