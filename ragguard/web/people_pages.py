"""Pages about people: the blind row of a spot check, and what reviewers said."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from ragguard.web import people
from ragguard.web.access import Viewing
from ragguard.web.api import desk_of
from ragguard.web.pages import render

router = APIRouter(include_in_schema=False)


@router.get("/spot-checks")
def spot_checks_page(request: Request, session: Viewing) -> HTMLResponse:
    """The last draw."""
    drawn = people.spot_draw(desk_of(request))
    return render(request, session, "spot_checks.html.j2", **drawn)


@router.get("/spot-checks/{name}")
def spot_check_page(request: Request, session: Viewing, name: people.ItemName) -> HTMLResponse:
    """A document of the last draw, and where to say good or bad."""
    desk = desk_of(request)
    one = people.spot_item(desk, name)
    rest = [i["item"] for i in people.spot_draw(desk)["items"] if i["word"] is None]
    later = [item for item in rest if item != name]
    place = int(name.partition("-")[2])
    after = [item for item in later if int(item.partition("-")[2]) > place]
    following = (after or later or [""])[0]
    return render(request, session, "spot_check.html.j2", one=one, next=following)


@router.get("/reviewers")
def reviewers_page(request: Request, session: Viewing) -> HTMLResponse:
    """What reviewers said, how far they agree, and what spot checks tell."""
    return render(request, session, "reviewers.html.j2", **people.reviewers(desk_of(request)))
