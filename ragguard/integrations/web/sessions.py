"""Open sessions by one-time links, and bound how often anybody may ask.

Tokens are 256 random bits; only their SHA-256 is kept, in memory, and compared in constant time by
being looked up under it. A session ends after a while of silence, after half a day, and with the
process.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ragguard.trust.canonical import digest_text
from ragguard.trust.scope import Scope

Role = Literal["viewer", "reviewer", "operator"]
Right = Literal["look", "decide", "operate"]
LINK_SECONDS = 15 * 60.0
IDLE_SECONDS = 60 * 60.0
LONGEST_SECONDS = 12 * 60 * 60.0
MOST_SESSIONS = 256
ENTRIES = 10  # attempts at a link a minute, of all together
RATE = 40.0  # requests a second that a session may make for long
BURST = 200.0


@dataclass(frozen=True)
class Visitor:
    """Somebody who may come in.

    Attributes:
        principal: Name in the trust root, or of a token; empty: whoever has the link.
        role: What the session is for. Only a reviewer's takes decisions.
        scope: Whose documents are shown; `None`: all.
        operates: Besides looking or deciding also operates: whoever started the server.
    """

    principal: str
    role: Role
    scope: Scope | None = None
    operates: bool = False

    @property
    def rights(self) -> tuple[Right, ...]:
        """What a visitor may do."""
        rights: list[Right] = ["look"]
        if self.role == "reviewer":
            rights.append("decide")
        if self.role == "operator" or self.operates:
            rights.append("operate")
        return tuple(rights)


@dataclass
class Bucket:
    """How many requests are left at once; fills up by the second."""

    left: float = BURST
    at: float = 0.0

    def take(self, now: float, rate: float, burst: float) -> bool:
        """Take one if there is one."""
        self.left = min(burst, self.left + (now - self.at) * rate)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass
class Session:
    """An open session.

    Attributes:
        csrf: What a request that changes anything has to bring beside the cookie; empty for a
            client with a token, which no browser sends by itself.
    """

    visitor: Visitor
    csrf: str
    began: float
    seen: float
    bucket: Bucket = field(default_factory=Bucket)


class Sessions:
    """Links that nobody used yet, and open sessions.

    Args:
        clock: Seconds that only go up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._links: dict[str, tuple[Visitor, float]] = {}
        self._open: dict[str, Session] = {}
        self._known: dict[str, Session] = {}
        self._entries = Bucket(ENTRIES, clock())

    def link(self, visitor: Visitor) -> str:
        """Make a one-time token for somebody; good for a quarter of an hour."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links[digest_text(token)] = (visitor, self._clock() + LINK_SECONDS)
        return token

    def enter(self, token: str) -> str | None:
        """Open a session with a one-time token, which is used up.

        Returns:
            The session's token; `None` when the link is unknown, used or over, or too many tried.
        """
        with self._lock:
            now = self._clock()
            if not self._entries.take(now, ENTRIES / 60, ENTRIES):
                return None
            visitor, until = self._links.pop(digest_text(token), (None, 0.0))
            if visitor is None or until < now:
                return None
            self._forget_old(now)
            if len(self._open) >= MOST_SESSIONS:
                return None
            session_token = secrets.token_urlsafe(32)
            session = Session(visitor, secrets.token_urlsafe(32), now, now, Bucket(BURST, now))
            self._open[digest_text(session_token)] = session
            return session_token

    def get(self, token: str) -> Session | None:
        """Return the session of a token, `None` when there is none or it is over."""
        with self._lock:
            now = self._clock()
            session = self._open.get(digest_text(token))
            if session is None or _over(session, now):
                self._open.pop(digest_text(token), None)
                return None
            session.seen = now
            return session

    def kept(self, name: str, visitor: Visitor, *, csrf: bool) -> Session:
        """The session of somebody who is known otherwise: by a token, or by the proxy's word.

        Args:
            name: Unlike any other's; the session of a visitor who changed is another.
            csrf: Whether a browser sends by itself what he is known by.
        """
        with self._lock:
            now = self._clock()
            session = self._known.get(name)
            if session is None or session.visitor != visitor or _over(session, now):
                if len(self._known) >= MOST_SESSIONS:
                    self._known = {n: s for n, s in self._known.items() if not _over(s, now)}
                while len(self._known) >= MOST_SESSIONS:
                    del self._known[next(iter(self._known))]
                token = secrets.token_urlsafe(32) if csrf else ""
                session = Session(visitor, token, now, now, Bucket(BURST, now))
                self._known[name] = session
            session.seen = now
            return session

    def takes(self, session: Session) -> bool:
        """Tell whether a session may make one more request now."""
        with self._lock:
            return session.bucket.take(self._clock(), RATE, BURST)

    def leave(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._open.pop(digest_text(token), None)

    def _forget_old(self, now: float) -> None:
        for name in [n for n, s in self._open.items() if _over(s, now)]:
            del self._open[name]


def _over(session: Session, now: float) -> bool:
    return now - session.seen > IDLE_SECONDS or now - session.began > LONGEST_SECONDS
