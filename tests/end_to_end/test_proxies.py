"""What goes to this machine over http, keys among it, goes through no proxy of the environment."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ragguard.config.outside import AlarmSettings
from ragguard.corpus.places import open_place
from ragguard.embed.remote import Endpoint, RemoteEncoder
from ragguard.errors import RagguardError
from ragguard.integrations.alarms.events import trial
from ragguard.integrations.alarms.targets import Webhook
from ragguard.integrations.telemetry import Telemetry
from ragguard.store import qdrant
from ragguard.store.foreign import open_foreign
from tests.support.simulator import NOW

SECRET = "s3cr3t-of-a-service"


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a proxy was asked for that the environment names."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers}")
            self.send_response(403)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield asked
        server.shutdown()


def _embed(url: str) -> None:
    RemoteEncoder("m", Endpoint(f"{url}/v1", SECRET, attempts=1), 1000, 100, None, "p")


def _read(url: str) -> None:
    open_place(f"{url}/wiki").read("leave.md", 1000)


def _connect(url: str) -> None:
    qdrant.connect(url, SECRET)


def _audit(url: str) -> None:
    with open_foreign(url=url, api_key=SECRET, collection="docs"):
        pass


def _alarm(url: str) -> None:
    Webhook(AlarmSettings(webhook_url=url)).deliver([trial(NOW)], "w", NOW)


DOORS = {f.__name__.strip("_"): f for f in (_embed, _read, _connect, _audit, _alarm)}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_nothing_for_this_machine_goes_to_a_proxy(
    carried: list[str], door: Callable[[str], None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(RagguardError):
        door(f"http://localhost:{port}")
    assert carried == []


def test_nor_does_telemetry(carried: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    told: list[str] = []
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{port}"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"key={SECRET}")
        for name, value in variables.items():
            patch.setenv(name, value)
        telemetry = Telemetry(variables, told.append)
        telemetry.begin("ragguard test")
        telemetry.finish(0)
    assert carried == []
    assert len(told) == 1


def test_what_goes_elsewhere_does(carried: list[str]) -> None:
    with pytest.raises(RagguardError):
        qdrant.connect("http://qdrant.invalid:6333", None)
    assert len(carried) == 1
    assert carried[0].startswith("http://qdrant.invalid:6333/")
