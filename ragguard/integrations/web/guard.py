"""Guard every request and answer: limits, origin, headers.

A page elsewhere that has a name of its own pointed at this address (DNS rebinding) is told by its
Host header. A request that changes anything has to come from our own pages, by its Origin, and to
bring the session's token (`access.changing`). Every request has an id, in the answer's header
`X-Request-Id`, in its span and, where a log is asked for, in its line.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

from ragguard.corpus import spans

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MOST_BODY = 64 << 10  # bytes of a request
MOST_DECISIONS = 32 << 20  # bytes of one that brings signed decisions
DECISIONS = "/api/v1/decisions"
READING = frozenset({"GET", "HEAD"})
METHODS = READING | {"POST", "PUT", "PATCH", "DELETE", "OPTIONS"}  # as spans name them
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
        origins: Origin of our pages by the Host that a browser may ask for.
        proxy: The one address from which any Host beside loopback's is taken, and that Host.
        log: Gets a JSON line for each request; `None`: none is made.
        decides: Tells whether a request is a reviewer's. Only his may bring signed decisions of
            more than `MOST_BODY`: a body is parsed before a route asks whose it is.
    """

    def __init__(
        self,
        app: App,
        origins: Mapping[str, str],
        proxy: tuple[str, str] | None = None,
        log: Callable[[str], None] | None = None,
        decides: Callable[[MutableMapping[str, Any]], bool] = lambda scope: False,
    ) -> None:
        self._app = app
        self._decides = decides
        self._origins = dict(origins)
        self._proxy = proxy
        self._log = log

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        name, began, status = secrets.token_hex(8), time.perf_counter(), 0

        async def sealed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _sealed(list(message.get("headers", [])), name)
            await send(message)

        with spans.span("request", server=True):
            try:
                refused = self._refused(scope)
                if refused is not None:
                    await _refuse(*refused, sealed)
                else:
                    await self._app(scope, receive, sealed)
            finally:
                if self._log is not None:
                    self._log(_line(scope, name, status, time.perf_counter() - began))
                _record(scope, name, status)

    def _refused(self, scope: MutableMapping[str, Any]) -> tuple[int, str] | None:
        """Status and reason of a request that is not passed on."""
        listed: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value.decode("latin-1").lower() for name, value in listed if name == b"host"]
        here = self._origins.get(hosts[0]) if len(hosts) == 1 else None
        if here is None or not self._may_name(hosts[0], scope):
            return 421, "this server is not the host that was asked for"
        headers = {name: value.decode("latin-1") for name, value in listed}
        if scope["method"] in READING:
            return None
        origin = headers.get(b"origin")
        if origin is not None and origin.lower() != here:
            return 403, "the request comes from another page"
        if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "the request comes from another page"
        length = headers.get(b"content-length", "0" if scope["method"] == "DELETE" else "")
        if not (length.isascii() and length.isdigit()) or b"transfer-encoding" in headers:
            return 411, "expected a request with a Content-Length"
        size, most = int(length[:20]), MOST_BODY
        if size > most and scope["path"] == DECISIONS and self._decides(scope):
            most = MOST_DECISIONS
        if size > most:
            return 413, f"{size} bytes, expected at most {most}"
        return None

    def _may_name(self, host: str, scope: MutableMapping[str, Any]) -> bool:
        """Tell whether whoever connects may ask for this Host: the proxy alone for the proxy's."""
        if self._proxy is None or host != self._proxy[1]:
            return True
        client = scope.get("client")
        return client is not None and client[0] == self._proxy[0]


def _line(scope: MutableMapping[str, Any], name: str, status: int, seconds: float) -> str:
    """A request as a line of JSON; without its query, in which links and words of documents are."""
    client = scope.get("client")
    return json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "id": name,
            "method": scope["method"][:16],
            "path": scope["path"][:300],
            "status": status,
            "ms": round(1000 * seconds, 1),
            "client": client[0] if client else "",
            "visitor": scope.get("ragguard.visitor"),
        }
    )


def _record(scope: MutableMapping[str, Any], name: str, status: int) -> None:
    """Say what was asked in the span that runs: by the route, in whose path no name stands."""
    method = scope["method"] if scope["method"] in METHODS else "_OTHER"
    route = getattr(scope.get("route"), "path", "")
    told: dict[str, str | int] = {"ragguard.request_id": name, "http.request.method": method}
    if route:
        told["http.route"] = route
    spans.tell({**told, "http.response.status_code": status}, f"{method} {route}".rstrip())
    if status >= 500:
        spans.failed()


def _sealed(headers: list[tuple[bytes, bytes]], request: str) -> list[tuple[bytes, bytes]]:
    """Headers of an answer with ours; what one may keep, it says itself."""
    names = {name.lower() for name, _ in headers}
    added = {**HEADERS, "x-request-id": request}
    if b"cache-control" not in names:
        added["cache-control"] = "no-store"
    return headers + [(n.encode(), v.encode()) for n, v in added.items()]


async def _refuse(status: int, reason: str, send: Send) -> None:
    body = f"{reason}\n".encode()
    plain = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    start = {"type": "http.response.start", "status": status, "headers": plain}
    await send(start)
    await send({"type": "http.response.body", "body": body})
