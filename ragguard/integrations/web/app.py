"""Build the application: pages, API, and what becomes of errors."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ragguard import __version__
from ragguard.config.outside import WebSettings
from ragguard.errors import (
    DecisionError,
    MalformedError,
    OversizedError,
    PayloadTypeError,
    PredicateError,
    RagguardError,
    UnsignedError,
)
from ragguard.integrations.jobs.runner import JobStateError
from ragguard.integrations.web import access, api, metrics, pages, people, people_pages
from ragguard.integrations.web.access import Denied
from ragguard.integrations.web.desk import Conflict, ConflictError, Desk
from ragguard.integrations.web.guard import Guard
from ragguard.integrations.web.jobs import api as jobs_api
from ragguard.integrations.web.jobs import pages as jobs_pages
from ragguard.integrations.web.lineage import api as lineage_api
from ragguard.integrations.web.lineage import pages as lineage_pages
from ragguard.integrations.web.sessions import Sessions
from ragguard.text.safe_display import cut, line

# What is wrong with what a client sent, where the same in our files would be an integrity error.
ENVELOPE = (MalformedError, OversizedError, PayloadTypeError, PredicateError, UnsignedError)
STATUS = {2: 400, 3: 500, 5: 503}  # by exit code of the error


def create_app(desk: Desk, sessions: Sessions, port: int) -> FastAPI:
    """Make the application.

    Args:
        sessions: Who may come in.
        port: Port it will be served on; cookies are named for it.
    """
    app = _described()
    app.state.desk, app.state.sessions, app.state.port = desk, sessions, port
    app.state.streams, app.state.ending = set(), lambda: False
    app.include_router(pages.router)
    app.include_router(people_pages.router)
    app.include_router(lineage_pages.router)
    app.include_router(jobs_pages.router)
    app.include_router(metrics.router)
    app.add_exception_handler(RagguardError, _refused)
    app.add_exception_handler(Denied, _denied)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(Exception, _bug)
    return app


def openapi() -> dict[str, Any]:
    """The API's description, docs/schemas/openapi.json, without the version of the package."""
    description = _described().openapi()
    description["info"]["version"] = ""
    return description


def _described() -> FastAPI:
    app = FastAPI(
        title="ragguard review",
        version=__version__,
        description="The quarantine of a ragguard workspace: cases, groups, signed decisions.",
        docs_url=None,  # Swagger UI is fetched from elsewhere
        redoc_url=None,
    )
    app.include_router(api.router)
    app.include_router(people.router)
    app.include_router(lineage_api.router)
    app.include_router(jobs_api.router)
    return app


def guarded(
    app: FastAPI,
    port: int,
    web: WebSettings | None = None,
    log: Callable[[str], None] | None = None,
) -> Guard:
    """Return the application behind its guard, under the names that a browser may give a loopback.

    Args:
        web: Names the proxy and the address that it serves the page at, if there is one.
        log: See `Guard`.
    """
    names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    origins = {name: f"http://{name}" for name in names}
    proxy = None
    if web is not None and web.proxy:
        origin = web.public_url.rstrip("/").lower()
        host = origin.removeprefix("https://")
        origins[host], proxy = origin, (web.proxy, host)

    def decides(scope: MutableMapping[str, Any]) -> bool:
        request = Request({**scope, "app": app})
        try:
            access.changing(request, access.session_of(request, access.looking(request)))
        except (Denied, RagguardError):
            return False
        return True

    return Guard(app, origins, proxy, log, decides)


def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RagguardError):
        raise error
    conflicts = error.conflicts if isinstance(error, ConflictError) else ()
    status = STATUS.get(error.exit_code, 500)
    if isinstance(error, ConflictError | JobStateError):
        status = 409
    elif isinstance(error, ENVELOPE):
        status = 400
    elif isinstance(error, DecisionError):
        status = 403
    elif "no such" in error.message or error.message.startswith("no open group"):
        status = 404
    return _answer(request, status, error.message, error.hint, conflicts)


def _denied(request: Request, error: Exception) -> Response:
    if not isinstance(error, Denied):
        raise error
    return _answer(request, error.status, error.reason, error.hint)


def _malformed(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first: dict[str, Any] = dict(error.errors()[0])
    where = ".".join(str(part) for part in first.get("loc", ()))
    reason = f"{where}: {first.get('msg', 'malformed')}"
    return _answer(request, 400, reason, "/openapi.json says what is expected.")


def _unknown(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _answer(request, error.status_code, str(error.detail).lower(), "")


def _bug(request: Request, error: Exception) -> Response:
    reason = f"this is a bug: {type(error).__name__}"
    return _answer(request, 500, reason, "The terminal of `ragguard web` says more. Please report.")


def _answer(
    request: Request, status: int, error: str, hint: str, conflicts: Sequence[Conflict] = ()
) -> Response:
    """Return an error as JSON for a program, as a page for a person."""
    error = cut(line(error), 2_000)
    if request.url.path.startswith("/api/") or "hx-request" in request.headers:
        body = {"error": error, "hint": hint, "conflicts": [vars(c) for c in conflicts]}
        return JSONResponse(body, status)
    return pages.problem_page(request, status, error, hint)
