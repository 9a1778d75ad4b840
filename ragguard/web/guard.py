"""What every request passes first, and every answer last: limits, where it came from, headers.

A page elsewhere that has a name of its own pointed at this address (DNS rebinding) is told by its
Host header. A request that changes anything has to come from our own pages, by its Origin, and to
bring the session's token (`app.changing`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MOST_BODY = 64 << 10  # bytes of a request
MOST_DECISIONS = 32 << 20  # bytes of one that brings signed decisions
DECISIONS = "/api/v1/decisions"
READING = frozenset({"GET", "HEAD"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # without one, forms of ours had no Origin
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-robots-tag": "noindex",
}


class Guard:
    """An ASGI application in front of another.

    Args:
        app: The other.
        hosts: `host:port` of this server, as a browser may name it.
    """

    def __init__(self, app: App, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refused = self._refused(scope)
        if refused is not None:
            await _refuse(*refused, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _sealed(list(message.get("headers", [])))
            await send(message)

        await self._app(scope, receive, sealed)

    def _refused(self, scope: MutableMapping[str, Any]) -> tuple[int, str] | None:
        """Status and reason of a request that is not passed on."""
        listed: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value.decode("latin-1").lower() for name, value in listed if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 421, "this server is not the host that was asked for"
        headers = {name: value.decode("latin-1") for name, value in listed}
        if scope["method"] in READING:
            return None
        origin = headers.get(b"origin")
        if origin is not None and origin.lower() != f"http://{hosts[0]}":
            return 403, "the request comes from another page"
        if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "the request comes from another page"
        length = headers.get(b"content-length", "")
        if not (length.isascii() and length.isdigit()) or b"transfer-encoding" in headers:
            return 411, "expected a request with a Content-Length"
        most = MOST_DECISIONS if scope["path"] == DECISIONS else MOST_BODY
        if int(length[:20]) > most:
            return 413, f"{length[:20]} bytes, expected at most {most}"
        return None


def _sealed(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of an answer with ours; what one may keep, it says itself."""
    names = {name.lower() for name, _ in headers}
    added = HEADERS if b"cache-control" in names else {**HEADERS, "cache-control": "no-store"}
    return headers + [(n.encode(), v.encode()) for n, v in added.items()]


async def _refuse(status: int, reason: str, send: Send) -> None:
    body = f"{reason}\n".encode()
    plain = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    start = {"type": "http.response.start", "status": status, "headers": _sealed(plain)}
    await send(start)
    await send({"type": "http.response.body", "body": body})
