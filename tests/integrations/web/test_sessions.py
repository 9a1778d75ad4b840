"""Links work once and not for ever; sessions end; nobody asks without end."""

from __future__ import annotations

from ragguard.integrations.web import sessions
from ragguard.integrations.web.sessions import Sessions, Visitor

BOB = Visitor("bob", "reviewer")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_link_works_once() -> None:
    made = Sessions()
    link = made.link(BOB)
    token = made.enter(link)
    assert token is not None
    session = made.get(token)
    assert session is not None
    assert session.visitor == BOB
    assert made.enter(link) is None
    assert made.get(link) is None


def test_a_link_and_a_session_are_over_in_time() -> None:
    clock = Clock()
    made = Sessions(clock)
    late, used = made.link(BOB), made.link(BOB)
    token = made.enter(used) or ""
    clock.now += sessions.LINK_SECONDS + 1
    assert made.enter(late) is None
    assert made.get(token) is not None
    clock.now += sessions.IDLE_SECONDS + 1
    assert made.get(token) is None


def test_a_session_that_never_rests_ends_too() -> None:
    clock = Clock()
    made = Sessions(clock)
    token = made.enter(made.link(BOB)) or ""
    seen = 0
    while made.get(token) is not None:
        clock.now += sessions.IDLE_SECONDS / 2
        seen += 1
    assert seen * sessions.IDLE_SECONDS / 2 >= sessions.LONGEST_SECONDS


def test_who_leaves_is_out() -> None:
    made = Sessions()
    token = made.enter(made.link(BOB)) or ""
    made.leave(token)
    assert made.get(token) is None


def test_guessing_links_is_slow() -> None:
    clock = Clock()
    made = Sessions(clock)
    link = made.link(BOB)
    for _ in range(sessions.ENTRIES):
        assert made.enter("guess") is None
    assert made.enter(link) is None  # the right one neither, now
    clock.now += 60
    assert made.enter(link) is not None


def test_a_session_asks_so_often_and_no_more() -> None:
    clock = Clock()
    made = Sessions(clock)
    session = made.get(made.enter(made.link(BOB)) or "")
    assert session is not None
    assert all(made.takes(session) for _ in range(int(sessions.BURST)))
    assert not made.takes(session)
    clock.now += 1
    assert made.takes(session)
