"""Who may use a route: a session's visitor, with its CSRF token where something changes."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request

from ragguard.web.sessions import Session, Sessions

HEADER = "x-csrf-token"


class Denied(Exception):
    """A request without the right to it.

    Args:
        status: HTTP status.
        reason: For whoever asked.
        hint: What to do next.
    """

    def __init__(self, status: int, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.hint = hint


def cookie_of(request: Request) -> str:
    """The name of the session's cookie: cookies know no ports, so it has the port in it."""
    return f"ragguard-{request.app.state.port}"


def session_of(request: Request) -> Session:
    """The session of a request.

    Raises:
        Denied: There is none, or it asks too often.
    """
    sessions: Sessions = request.app.state.sessions
    session = sessions.get(request.cookies.get(cookie_of(request), ""))
    if session is None:
        raise Denied(
            401, "no session", "Come in through the link that `ragguard web` prints when it starts."
        )
    if not sessions.takes(session):
        raise Denied(429, "too many requests", "Wait a second.")
    return session


def changing(request: Request, session: Annotated[Session, Depends(session_of)]) -> Session:
    """The session of a request that changes something: it brings the session's token.

    Raises:
        Denied: It does not, or the visitor only looks.
    """
    given = request.headers.get(HEADER, "")
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise Denied(403, "the request does not come from the session's page", "Load it again.")
    if session.visitor.role != "reviewer":
        raise Denied(
            403,
            f"{session.visitor.principal!r} is no reviewer in force",
            "`ragguard trust add KEY.pub --role reviewer` makes one.",
        )
    return session


Viewing = Annotated[Session, Depends(session_of)]
Changing = Annotated[Session, Depends(changing)]
