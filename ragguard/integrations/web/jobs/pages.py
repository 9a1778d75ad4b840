"""Render the page of jobs: what may be asked for, what runs, what was."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from ragguard.integrations.web.access import Operating
from ragguard.integrations.web.api import desk_of
from ragguard.integrations.web.jobs import bodies
from ragguard.integrations.web.pages import render

router = APIRouter(include_in_schema=False)


@router.get("/jobs")
def jobs_page(request: Request, session: Operating) -> HTMLResponse:
    """Jobs, newest first; the one that runs tells how far it is."""
    body = bodies.jobs(desk_of(request)).model_dump()
    now = next((job for job in body["jobs"] if job["number"] == body["running"]), None)
    past = [job for job in body["jobs"] if job is not now]
    return render(request, session, "jobs.html.j2", allowed=body["allowed"], now=now, past=past)
