"""pip, uv and pipx install the wheel into an empty environment, and what they installed runs.

Dependencies are lent by the environment of the tests (`tests.support.installing`), so what is
proved is the wheel: its requirements are met by what is pinned (pip checks them), its command is
installed, and every file it needs to sign, parse, embed and judge is in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.installing import BIN, build_borrowed, build_wheel

QUIET = {
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "UV_OFFLINE": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def run(folder: Path, *command: str | Path, variables: Mapping[str, str] = {}) -> str:
    """Run a command in a folder, without this tree on any path; what it printed."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    kept["PATH"] = f"{BIN}:{kept['PATH']}"
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**kept, **QUIET, "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:  # in full: pytest would shorten it
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel that lends, and ragguard's."""
    folder = tmp_path_factory.mktemp("wheels")
    return build_borrowed(folder), build_wheel(folder)


def _tells_its_version_and_place(folder: Path, command: Path, wheel: Path) -> None:
    version = wheel.name.split("-")[1]
    assert run(folder, command, "--version").strip() == f"ragguard, version {version}"
    interpreter = command.resolve().parent / "python"
    place = run(folder, interpreter, "-c", "import ragguard; print(ragguard.__file__)")
    assert Path(place.strip()).is_relative_to(folder)


def test_pip_installs_it_with_its_requirements_met_and_it_works(
    tmp_path: Path, wheels: tuple[Path, Path]
) -> None:
    borrowed, wheel = wheels
    home = tmp_path / "env"
    run(tmp_path, sys.executable, "-m", "venv", "--without-pip", home)
    pip = (sys.executable, "-m", "pip", "--python", home / "bin/python")
    run(tmp_path, *pip, "install", "--quiet", borrowed)
    run(tmp_path, *pip, "install", "--quiet", wheel)
    command = home / "bin/ragguard"
    _tells_its_version_and_place(tmp_path, command, wheel)
    _works(tmp_path, command)


def _works(folder: Path, command: Path) -> None:
    docs = folder / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text("# Leave\n\nEverybody has 27 days of paid leave a year.\n")
    run(folder, command, "init", "w")
    home = folder / "w"
    for line in (
        "key generate alice",
        "trust add keys/alice.pub --source wiki",
        "sign ../docs --source wiki --key keys/alice.key -o m.intoto.json",
    ):
        run(home, command, *line.split())
    assert "1 admitted" in run(home, command, "ingest", "m.intoto.json", "--root", "../docs")


def test_uv_installs_it_as_a_tool_would(tmp_path: Path, wheels: tuple[Path, Path]) -> None:
    home = tmp_path / "env"
    run(tmp_path, "uv", "venv", "--quiet", "--python", sys.executable, home)
    python = home / "bin/python"
    run(tmp_path, "uv", "pip", "install", "--quiet", "--no-deps", "--python", python, *wheels)
    _tells_its_version_and_place(tmp_path, home / "bin/ragguard", wheels[1])


def test_pipx_installs_its_command(tmp_path: Path, wheels: tuple[Path, Path]) -> None:
    places = {
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_MAN_DIR": str(tmp_path / "man"),
        "PIPX_COMPLETION_DIR": str(tmp_path / "completion"),
    }
    borrowed, wheel = wheels
    install = ("pipx", "install", "--backend", "uv", "--preinstall", borrowed)
    run(tmp_path, *install, "--pip-args=--no-deps", wheel, variables=places)
    _tells_its_version_and_place(tmp_path, tmp_path / "bin/ragguard", wheel)
