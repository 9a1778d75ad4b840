"""A web server of a site that lets its readers wait, so that a job can be met in its middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.support.servers.loopback import serving


class Site:
    """A site that is served.

    Attributes:
        asked: Set once a reader waits.
        open: Readers are served while it is set.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked = threading.Event()
        self.open = threading.Event()


@contextmanager
def waiting_site(folder: Path) -> Iterator[Site]:
    """Serve a folder on this machine; whoever reads waits until `open` is set."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, directory=str(folder), **given)

        def do_GET(self) -> None:
            site.asked.set()
            site.open.wait(120)
            with suppress(ConnectionError):  # the reader was killed
                super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    site = Site()
    with serving(Handler) as port:
        site.url = f"http://127.0.0.1:{port}"
        try:
            yield site
        finally:
            site.open.set()
