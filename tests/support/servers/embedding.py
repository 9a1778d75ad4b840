"""An OpenAI-compatible endpoint on the loopback: embeds with the real model, and can misbehave."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from ragguard.embed.encoder import open_encoder
from ragguard.model import Floats

Change = Callable[[Floats], Any]


@dataclass
class Server:
    """What it is asked and how it answers.

    Attributes:
        url: Of the endpoint, without `/embeddings`.
        key: Bearer token it wants; empty: none.
        faults: Answers given first, one a request: a status, or a status with Retry-After.
        change: Makes the vectors that are sent out of the real ones; or a whole answer.
        coding: How answers say that they are packed, each by gzip; empty: they are not.
        slow: Whether it never answers until it is let go.
        asked: Texts of each request that was answered.
        refused: Requests that were answered with a fault.
    """

    url: str = ""
    key: str = ""
    faults: list[tuple[int, str]] = field(default_factory=list)
    change: Change | None = None
    coding: str = ""
    slow: bool = False
    asked: list[Sequence[str]] = field(default_factory=list)
    refused: int = 0
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    """Serve on a free port of the loopback."""
    server = Server(**options)
    model = open_encoder("all-MiniLM-L6-v2", runtime="auto", size=1000, overlap=100)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if server.slow:
                server.ended.wait(30)
                return
            if server.key and self.headers.get("authorization") != f"Bearer {server.key}":
                return self.answer(401, {"error": "no such key"})
            if server.faults:
                status, wait = server.faults.pop(0)
                server.refused += 1
                return self.answer(status, {"error": "\x1b[31mtoo much"}, wait)
            server.asked.append(body["input"])
            vectors: Any = model.encode(body["input"])
            rows = server.change(vectors) if server.change else vectors.tolist()
            if isinstance(rows, dict | bytes):
                return self.answer(200, rows)
            data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
            return self.answer(200, {"data": data[::-1], "model": body["model"]})

        def answer(self, status: int, body: Any, wait: str = "") -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            for _ in server.coding.split():
                data = gzip.compress(data)
            self.send_response(status)
            if wait:
                self.send_header("retry-after", wait)
            if server.coding:
                self.send_header("content-encoding", ", ".join(server.coding.split()))
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked has given up
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    http = HTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()
        thread.join()
