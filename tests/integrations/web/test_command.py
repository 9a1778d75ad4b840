"""`ragguard web`: a link on standard output, a page behind it, an end when it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest

from ragguard.cli import run
from tests.support.simulator import Gate


def test_it_prints_a_link_serves_and_ends_when_it_is_interrupted(gate: Gate) -> None:
    gate.close()
    folder = str(gate.folder / "w")
    command = [sys.executable, "-m", "ragguard", "-w", folder, "web", "--port", "0"]
    with subprocess.Popen(
        [*command, "--link", "bob"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            who, _, link = process.stdout.readline().strip().partition(": ")
            assert who == "bob (reviewer)"
            with httpx.Client(trust_env=False, timeout=60) as client:
                base, _, token = link.partition("/enter?link=")
                assert client.post(f"{base}/enter", data={"link": token}).status_code == 303
                me = client.get(f"{base}/api/v1/me").json()
                assert (me["principal"], me["role"], me["signing"]) == (
                    "bob",
                    "reviewer",
                    "browser",
                )
                assert "Nothing waits" in client.get(f"{base}/").text
        finally:
            process.send_signal(signal.SIGINT)
        said, told = process.communicate(timeout=120)
    assert (process.returncode, said, told) == (0, "", "")


def test_a_name_that_is_nobodys_is_refused(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    gate.close()
    assert run(["-w", str(gate.folder / "w"), "web", "--port", "0", "--link", "zoe"]) == 2
    assert "'zoe': not in the trust root" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gate.close()
    for name in [n for n in sys.modules if n.startswith("ragguard.integrations.web")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["-w", str(gate.folder / "w"), "web"]) == 2
    assert "pip install 'ragguard[web]'" in capsys.readouterr().err
