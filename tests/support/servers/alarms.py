"""Servers on loopback that take alarms, and what they took, read by its grammar."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from jsonschema import Draft202012Validator

from tests.support.servers.loopback import taking

SCHEMA = Path(__file__).resolve().parents[3] / "docs/schemas/alarm.json"


@dataclass
class Taken:
    """What a server was sent; `status` is what it answers."""

    port: int = 0
    status: int = 204
    rows: list[Any] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Taken]:
    """A receiver of webhooks; takes headers and body."""
    taken = Taken()

    def take(_path: str, headers: dict[str, str], body: bytes) -> int:
        taken.rows.append((headers, body))
        return taken.status

    with taking(take) as taken.port:
        yield taken


@contextmanager
def mail_server(**options: Any) -> Iterator[Taken]:
    """A server of SMTP; takes envelopes."""
    taken = Taken()

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            taken.rows.append(envelope)
            return "250 taken"

    def knows(_server: Any, _session: Any, _envelope: Any, _how: str, given: Any) -> AuthResult:
        good = (given.login, given.password) == (b"gate", b"hunter2")
        return AuthResult(success=good, handled=False)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        taken.port = free.getsockname()[1]
    controller = Controller(
        Handler(), hostname="127.0.0.1", port=taken.port, authenticator=knows, **options
    )
    controller.start()
    try:
        yield taken
    finally:
        controller.stop()


# --- formats --------------------------------------------------------------------------------------


def fits_schema(data: bytes) -> dict[str, Any]:
    """The body of a webhook, which is as its schema says."""
    body: dict[str, Any] = json.loads(data)
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(body)
    return body


def parsed(text: str) -> dict[str, str]:
    """A message of RFC 5424, by its grammar."""
    value = r'"(?:[^"\\\]]|\\["\\\]])*"'
    element = rf'\[[!-~]+?(?: [^= \]"]+={value})*\]'
    match = re.fullmatch(
        rf"<(?P<pri>\d{{1,3}})>1 (?P<at>\S+) (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) "
        rf"(?P<msgid>\S+) (?P<data>-|{element})(?: \ufeff?(?P<msg>.*))?",
        text,
    )
    assert match is not None, text
    return match.groupdict()


def cef(text: str) -> tuple[list[str], dict[str, str]]:
    """Header and extension of a CEF event, by its grammar."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", text, maxsplit=7)
    assert len(parts) == 8, text
    names = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", parts[7]))
    found = {}
    for one, after in zip(names, [*names[1:], None], strict=True):
        end = after.start() if after else None
        found[one[1]] = re.sub(r"\\(.)", r"\1", parts[7][one.end() : end])
    return parts[:7], found


@contextmanager
def syslog_server(
    connections: int = 1, context: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """A server of syslog over TCP or TLS for some connections: its port, and what it took."""
    taken: list[bytes] = []

    def receive() -> None:
        for _ in range(connections):
            plain, _ = server.accept()
            with suppress(ssl.SSLError), plain:  # who does not know the certificate
                opened = context.wrap_socket(plain, server_side=True) if context else plain
                with opened:
                    while part := opened.recv(65_536):
                        taken.append(part)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=receive)
        thread.start()
        yield server.getsockname()[1], taken
        thread.join(30)
