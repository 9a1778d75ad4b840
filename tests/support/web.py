"""The review page served from a thread of the test, and browsers that look at it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ragguard.integrations.web.desk import Desk
from ragguard.integrations.web.serve import HOST, bind, server
from ragguard.integrations.web.sessions import Role, Sessions, Visitor
from ragguard.trust import keys
from ragguard.trust.keys import KeyPair
from tests.support.simulator import Gate

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Served:
    """A page that is served.

    Attributes:
        url: Without a slash at its end.
    """

    desk: Desk
    sessions: Sessions
    url: str

    def link(self, principal: str = "", role: Role = "reviewer") -> str:
        """A one-time link."""
        visitor = Visitor(principal, role, operates=not principal)
        return f"{self.url}/enter?link={self.sessions.link(visitor)}"

    @contextmanager
    def client(self, principal: str = "", role: Role = "reviewer") -> Iterator[httpx.Client]:
        """A program that came in through a link, with its CSRF token."""
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as made:
            token = self.link(principal, role).partition("=")[2]
            assert made.post("/enter", data={"link": token}).status_code == 303
            made.headers["x-csrf-token"] = made.get("/api/v1/me").json()["csrf"]
            yield made


@contextmanager
def serving(
    gate: Gate, signer: KeyPair | None = None, log: Callable[[str], None] | None = None
) -> Iterator[Served]:
    """Serve a gate's workspace, which is closed meanwhile."""
    gate.close()
    desk = Desk(gate.folder / "w", gate.settings, lambda: gate.now, signer)
    sessions = Sessions()
    with bind(0) as bound:
        port = bound.getsockname()[1]
        made = server(desk, sessions, port, log)
        thread = threading.Thread(target=made.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not made.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield Served(desk, sessions, f"http://{HOST}:{port}")
        finally:
            made.should_exit = True
            thread.join(30)
            desk.jobs.close()


def key_file(folder: Path, pair: KeyPair) -> Path:
    """A private key file, as `ragguard key generate` writes it."""
    path = folder / f"{pair.public.principal}.key"
    path.write_bytes(keys.dump_private(pair, None))
    path.chmod(0o600)
    return path


def chromium() -> str:
    """The browser of this machine; a test that needs one is skipped where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return found


@contextmanager
def browsing() -> Iterator[object]:
    """A headless Chromium."""
    path = chromium()
    api = pytest.importorskip(
        "playwright.sync_api", reason="it drives the browser: pip install '.[test]'"
    )
    with api.sync_playwright() as play:
        # A process of root, as in a container, has no sandbox to offer; the pages are our own.
        browser = play.chromium.launch(executable_path=path, chromium_sandbox=os.geteuid() != 0)
        try:
            yield browser
        finally:
            browser.close()
