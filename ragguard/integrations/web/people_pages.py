"""Render pages about people and health: spot checks, reviewers, the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from ragguard.integrations.web import people
from ragguard.integrations.web.access import Viewing
from ragguard.integrations.web.api import desk_of
from ragguard.integrations.web.pages import render

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
    drawn_item = people.spot_item(desk, name)
    rest = [i["item"] for i in people.spot_draw(desk)["items"] if i["word"] is None]
    later = [item for item in rest if item != name]
    place = int(name.partition("-")[2])
    after = [item for item in later if int(item.partition("-")[2]) > place]
    following = (after or later or [""])[0]
    return render(request, session, "spot_check.html.j2", one=drawn_item, next=following)


@router.get("/reviewers")
def reviewers_page(request: Request, session: Viewing) -> HTMLResponse:
    """What reviewers said, how far they agree, and what spot checks tell."""
    return render(request, session, "reviewers.html.j2", **people.reviewers(desk_of(request)))


WIDTH, HEIGHT = 160, 36  # of a curve, in its own units


@router.get("/health")
def health_page(request: Request, session: Viewing) -> HTMLResponse:
    """The dashboard."""
    body = people.board_of(request).body()
    canaries = [_drawn(curve) for curve in body["canaries"]]
    drift = {**body["drift"], "series": [_drawn(curve) for curve in body["drift"]["series"]]}
    return render(
        request, session, "health.html.j2", **{**body, "canaries": canaries, "drift": drift}
    )


def _drawn(curve: dict[str, Any]) -> dict[str, Any]:
    """Return a curve with the points of its line, in a box of `WIDTH` by `HEIGHT`."""
    values = [row["value"] for row in curve["values"]]
    return {
        **curve,
        "line": _line(values),
        "first": values[0],
        "last": values[-1],
        "audits": len(values),
    }


def _line(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    step = WIDTH / max(1, len(values) - 1)
    places = [
        (n * step, HEIGHT / 2 if high == low else HEIGHT - (v - low) / (high - low) * HEIGHT)
        for n, v in enumerate(values if len(values) > 1 else [*values, *values])
    ]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
