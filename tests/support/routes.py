"""Every method and address that the served application answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ragguard.integrations.web.app import create_app
from tests.support.web import Served


def routes(served: Served) -> list[tuple[str, str]]:
    """Methods and paths, parameters in braces, in the application's order; HEAD is left out."""
    app = create_app(served.desk, served.sessions, 80)
    made = [
        (method, route.path)
        for route in _flat(app.routes)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]
    assert len(made) > 10, "this version of FastAPI keeps its routes elsewhere"
    return list(dict.fromkeys(made))


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        inner = getattr(route, "original_router", None)  # FastAPI keeps included routers whole
        if inner is not None:
            yield from _flat(inner.routes)
        elif hasattr(route, "methods"):
            yield route
