"""A loopback stand-in for a Qdrant server: REST in front of the embedded engine.

Every request body is validated against qdrant-client's published models before it is carried out,
so that what ragguard sends over the wire is what a server accepts. What it cannot show is a
server's own behaviour (durability, cluster, authentication): run the suite against one with
RAGGUARD_QDRANT_URL.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from qdrant_client import QdrantClient, models

from ragguard.errors import StoreError
from ragguard.store.edge import open_edge


def _create(c: QdrantClient, name: str, body: models.CreateCollection) -> Any:
    return c.create_collection(name, vectors_config=body.vectors)


def _aliases(c: QdrantClient, _name: str, body: models.ChangeAliasesOperation) -> Any:
    return c.update_collection_aliases(change_aliases_operations=body.actions)


def _upsert(c: QdrantClient, name: str, body: Any) -> Any:
    return c.upsert(
        name, points=body.batch if isinstance(body, models.PointsBatch) else body.points
    )


def _query(c: QdrantClient, name: str, body: models.QueryRequest) -> Any:
    return c._client.query_batch_points(name, [body])[0]


def _scroll(c: QdrantClient, name: str, body: models.ScrollRequest) -> Any:
    points, following = c.scroll(
        name,
        scroll_filter=body.filter,
        limit=body.limit or 10,
        offset=body.offset,
        with_payload=body.with_payload,
        with_vectors=body.with_vector,
    )
    return {"points": points, "next_page_offset": following}


ROUTES: list[tuple[str, str, Any, Any]] = [
    ("GET", r"/collections", None, lambda c, n, b: c.get_collections()),
    ("GET", r"/aliases", None, lambda c, n, b: c.get_aliases()),
    ("POST", r"/collections/aliases", models.ChangeAliasesOperation, _aliases),
    ("GET", r"/collections/([^/]+)", None, lambda c, n, b: c.get_collection(n)),
    (
        "GET",
        r"/collections/([^/]+)/exists",
        None,
        lambda c, n, b: {"exists": c.collection_exists(n)},
    ),
    ("PUT", r"/collections/([^/]+)", models.CreateCollection, _create),
    ("DELETE", r"/collections/([^/]+)", None, lambda c, n, b: c.delete_collection(n)),
    (
        "PUT",
        r"/collections/([^/]+)/index",
        models.CreateFieldIndex,
        lambda c, n, b: c.create_payload_index(n, b.field_name, b.field_schema),
    ),
    ("PUT", r"/collections/([^/]+)/points", models.PointInsertOperations, _upsert),
    (
        "POST",
        r"/collections/([^/]+)/points/delete",
        models.PointsSelector,
        lambda c, n, b: c.delete(n, points_selector=b),
    ),
    (
        "POST",
        r"/collections/([^/]+)/points",
        models.PointRequest,
        lambda c, n, b: c.retrieve(
            n, b.ids, with_payload=b.with_payload, with_vectors=b.with_vector
        ),
    ),
    ("POST", r"/collections/([^/]+)/points/scroll", models.ScrollRequest, _scroll),
    (
        "POST",
        r"/collections/([^/]+)/points/count",
        models.CountRequest,
        lambda c, n, b: c.count(n, count_filter=b.filter, exact=b.exact),
    ),
    ("POST", r"/collections/([^/]+)/points/query", models.QueryRequest, _query),
    (
        "POST",
        r"/collections/([^/]+)/points/query/batch",
        models.QueryRequestBatch,
        lambda c, n, b: c._client.query_batch_points(n, b.searches),
    ),
]


class _Handler(BaseHTTPRequestHandler):
    client: QdrantClient
    lock: threading.Lock
    requests: list[str]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _serve(self) -> None:
        path = urlsplit(self.path).path
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        for method, pattern, model, action in ROUTES:
            match = re.fullmatch(pattern, path)
            if method != self.command or match is None:
                continue
            name = match.group(1) if match.groups() else ""
            try:
                body = TypeAdapter(model).validate_json(raw) if model else None
            except ValueError as error:
                self._answer(400, {"status": {"error": f"invalid request: {error}"}, "time": 0})
                return
            type(self).requests.append(f"{self.command} {pattern}")
            try:
                with self.lock:
                    result = action(self.client, name, body)
            except StoreError as error:
                self._answer(404, {"status": {"error": error.message}, "time": 0})
                return
            self._answer(200, {"result": to_jsonable_python(result), "status": "ok", "time": 0})
            return
        self._answer(501, {"status": {"error": f"no route {self.command} {path}"}, "time": 0})

    do_GET = do_PUT = do_POST = do_DELETE = _serve


class Shim:
    """A running shim; `url` is where a client connects."""

    def __init__(self, folder: Path) -> None:
        client = open_edge(folder, writable=True)
        self.requests: list[str] = []
        namespace = {"client": client, "lock": threading.Lock(), "requests": self.requests}
        handler = type("Handler", (_Handler,), namespace)
        self._client = client
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and close the engine."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._client.close()
