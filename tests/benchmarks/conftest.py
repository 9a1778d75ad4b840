from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bench_folder import REPOSITORY, make_incident

SCRIPTS = REPOSITORY / "benchmarks"
Script = Callable[..., str]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty honest passages and six attacked questions, in the layout of docs/benchmarks.md."""
    return make_incident(tmp_path_factory.mktemp("session-data") / "handbook", 40)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Script:
    """Runs `main` of a script with arguments; returns what it printed."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    return run
