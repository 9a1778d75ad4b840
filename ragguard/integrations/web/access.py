"""Authorise a route: a session's visitor, with its CSRF token where something changes.

Whoever asks is known by one of three things, in this order: a token of an API client, the word of
the one proxy that the settings name, or the cookie of a session that a one-time link opened. A
route says what it needs by the type of its `session`: `Viewing`, `Looking`, `Changing`,
`Operating`. Who is shown a part of the documents only gets no further than `Looking`, whose routes
leave out the others.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request

from ragguard.errors import UsageError
from ragguard.integrations.web.desk import Desk
from ragguard.integrations.web.sessions import Right, Session, Sessions

HEADER = "x-csrf-token"
SECRET_HEADER = "x-ragguard-proxy-secret"  # noqa: S105 - the name of a header
FOR_TOKENS = ("/api/", "/metrics")  # what a token opens; pages are for browsers


class Denied(Exception):
    """A request without the right to it.

    Args:
        reason: For whoever asked.
    """

    def __init__(self, status: int, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.hint = hint


def cookie_of(request: Request) -> str:
    """Return the name of the session's cookie: cookies know no ports, so it has the port in it."""
    return f"ragguard-{request.app.state.port}"


def looking(request: Request) -> Session:
    """Return the session of a request, whoever it is of.

    Raises:
        Denied: There is none, or it asks too often.
    """
    sessions: Sessions = request.app.state.sessions
    session = _by_token(request) or _by_proxy(request)
    if session is None:
        session = sessions.get(request.cookies.get(cookie_of(request), ""))
    if session is None:
        raise Denied(
            401, "no session", "Come in through the link that `ragguard web` prints when it starts."
        )
    request.scope["ragguard.visitor"] = session.visitor.principal  # for the log
    if not sessions.takes(session):
        raise Denied(429, "too many requests", "Wait a second.")
    return session


def _by_token(request: Request) -> Session | None:
    """Return the session of a client that sends a token; `None` where none is sent."""
    given = request.headers.getlist("authorization")
    if not given:
        return None
    kind, _, token = given[0].partition(" ")
    if len(given) > 1 or kind.lower() != "bearer":
        raise Denied(401, "expected one header `Authorization: Bearer TOKEN`")
    if not request.scope["path"].startswith(FOR_TOKENS):
        raise Denied(401, "a token opens /api/v1 and /metrics, a page needs a browser's session")
    desk: Desk = request.app.state.desk
    known = desk.tokens.visitor(token.strip(), desk.now())
    if known is None:
        raise Denied(
            401,
            "the token is unknown, revoked or over",
            "`ragguard web token add NAME` makes another.",
        )
    row, visitor = known
    sessions: Sessions = request.app.state.sessions
    return sessions.kept(f"token {row.sha256}", visitor, csrf=False)


def _by_proxy(request: Request) -> Session | None:
    """The session of whom the trusted proxy names; what anybody else says in its header is air."""
    desk: Desk = request.app.state.desk
    web = desk.settings.web
    if not web.proxy or request.client is None or request.client.host != web.proxy:
        return None
    given = request.headers.getlist(SECRET_HEADER)
    if len(given) != 1 or not hmac.compare_digest(given[0].encode(), web.proxy_secret.encode()):
        return None
    names = request.headers.getlist(web.proxy_header)
    if not names:
        return None
    if len(names) > 1 or not names[0].strip():
        raise Denied(401, f"the proxy names nobody, or several, in {web.proxy_header}")
    name = names[0].strip()
    try:
        visitor = desk.visitor(name)
    except UsageError as error:
        raise Denied(403, error.message, "Whoever comes in is a principal of it.") from None
    sessions: Sessions = request.app.state.sessions
    return sessions.kept(f"proxy {name}", visitor, csrf=True)


def session_of(request: Request, session: Annotated[Session, Depends(looking)]) -> Session:
    """Return the session of a request by somebody who is shown every document.

    Raises:
        Denied: The visitor is shown those of a scope.
    """
    if session.visitor.scope is not None:
        raise Denied(403, "the token is for documents of a scope, and this shows others too")
    return session


def changing(request: Request, session: Annotated[Session, Depends(session_of)]) -> Session:
    """Return the session of a request that decides; a browser's brings the session's token.

    Raises:
        Denied: It does not, or the visitor is no reviewer.
    """
    _check_origin(request, session)
    hint = "`ragguard trust add KEY.pub --role reviewer` makes one."
    return _with_right("decide", session, "no reviewer in force", hint)


def operating(request: Request, session: Annotated[Session, Depends(session_of)]) -> Session:
    """Return the session of a request that operates the corpus without deciding on a document.

    Raises:
        Denied: It does not come from the session's page, or the visitor is no operator.
    """
    if request.method not in ("GET", "HEAD"):
        _check_origin(request, session)
    hint = (
        "`ragguard web token add NAME --role operator` makes a token for one, [web] operators in "
        "ragguard.toml names people."
    )
    return _with_right("operate", session, "no operator", hint)


def _with_right(right: Right, session: Session, lacking: str, hint: str) -> Session:
    if right not in session.visitor.rights:
        raise Denied(403, f"{session.visitor.principal!r} is {lacking}", hint)
    return session


def _check_origin(request: Request, session: Session) -> None:
    if not session.csrf:  # known by a token, which no browser sends by itself
        return
    given = request.headers.get(HEADER, "")
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise Denied(403, "the request does not come from the session's page", "Load it again.")


Looking = Annotated[Session, Depends(looking)]
Viewing = Annotated[Session, Depends(session_of)]
Changing = Annotated[Session, Depends(changing)]
Operating = Annotated[Session, Depends(operating)]
