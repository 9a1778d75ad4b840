"""Serve the page on a loopback address until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import uvicorn

from ragguard.errors import UsageError
from ragguard.integrations.web.app import create_app, guarded
from ragguard.integrations.web.desk import Desk
from ragguard.integrations.web.sessions import Sessions, Visitor

HOST = "127.0.0.1"
MOST_CONNECTIONS = 128


def bind(port: int) -> socket.socket:
    """Return a socket that listens on the loopback address; port 0 takes any that is free.

    Who follows a link before the server runs waits, and is not refused.

    Raises:
        UsageError: The port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(MOST_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{HOST}:{port}: {error.strerror}", hint="Choose another with --port, or 0 for any."
        ) from None
    return listener


def visitors(desk: Desk, names: Sequence[str]) -> list[Visitor]:
    """Tell who gets a link: principals of the trust root; without names whoever starts the server.

    Raises:
        UsageError: The trust root has no such principal.
    """
    if not names:
        return [Visitor("", "reviewer", operates=True)]
    return [desk.visitor(name) for name in names]


def server(
    desk: Desk, sessions: Sessions, port: int, log: Callable[[str], None] | None = None
) -> uvicorn.Server:
    """Return a server of the page on a port that is listened to already; `log`: see `Guard`."""
    app = create_app(desk, sessions, port)
    config = uvicorn.Config(
        guarded(app, port, desk.settings.web, log),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=32 << 10,
        http="h11",
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    web_server = uvicorn.Server(config)
    app.state.ending = lambda: web_server.should_exit  # streams of events end with the server
    return web_server


def serve(
    desk: Desk,
    port: int,
    names: Sequence[str],
    tell: Callable[[Visitor, str], None],
    log: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted; a job that runs is stopped then, or done to its end.

    Args:
        port: Port on the loopback address; 0 takes any.
        names: Principals who get a link of their own.
        tell: Told who gets which link.
        log: Gets a JSON line for each request.

    Raises:
        UsageError: The port is taken, or a name is nobody's.
    """
    invited = visitors(desk, names)
    sessions = Sessions()
    with bind(port) as bound:
        desk.jobs.recover()
        desk.warm()
        number = bound.getsockname()[1]
        for visitor in invited:
            tell(visitor, f"http://{HOST}:{number}/enter?link={sessions.link(visitor)}")
        try:
            server(desk, sessions, number, log).run(sockets=[bound])
        finally:
            desk.jobs.close()
