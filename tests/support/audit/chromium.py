"""A real browser that opens a file, and tells what it made of it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

FOUND = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))),
    None,
)
needs_browser = pytest.mark.skipif(FOUND is None, reason="no chromium: apt install chromium")


@dataclass(frozen=True)
class Visit:
    """What came of opening a page.

    Attributes:
        dom: The document after scripts had their chance.
        said: Console messages, such as violations of the content security policy.
        network: Log of the network service: every address that anything asked for.
    """

    dom: str
    said: str
    network: str


def visit(page: Path, folder: Path) -> Visit:
    """Open a page; nothing leaves the machine.

    Args:
        page: The file.
        folder: For the browser's own files.
    """
    assert FOUND is not None
    log = folder / "network.json"
    done = subprocess.run(
        [
            FOUND,
            "--headless",
            "--no-sandbox",  # the test may run as root; the page is the one under test
            "--disable-gpu",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={log}",
            "--enable-logging=stderr",
            "--virtual-time-budget=2000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    said = done.stderr.decode("utf-8", "replace")
    return Visit(
        done.stdout.decode("utf-8", "replace"),
        "\n".join(row for row in said.splitlines() if "CONSOLE" in row),
        log.read_text("utf-8"),
    )
