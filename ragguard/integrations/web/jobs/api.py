"""Answer jobs as JSON, and their progress as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse

from ragguard.integrations.web.access import Denied, Operating
from ragguard.integrations.web.api import PROBLEMS, Number, desk_of
from ragguard.integrations.web.desk import Desk
from ragguard.integrations.web.jobs import bodies, models

LOOK_SECONDS = 0.2  # between two looks at a job
HEARTBEAT_SECONDS = 15.0  # of silence, before a line that says nothing
RETRY_MS = 2_000  # until a browser that lost the stream comes again
LONGEST_SECONDS = 300.0  # of a stream: who comes again has to have the right to it still
MOST_STREAMS = 32  # at once; each holds one of the server's connections
EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "event": {"enum": ["progress", "end"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "of `progress` job, stage, done and total; of `end` the job",
        },
    },
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": EVENT}},
        "description": "Events `progress`, one for each stage that went on, and one `end`.",
    },
    204: {"description": "The last event was had already: nothing comes any more."},
}
router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
LastEvent = Annotated[str, Header(alias="last-event-id", max_length=20, pattern="^[0-9]*$")]


@router.get("/jobs")
def list_jobs(request: Request, _session: Operating) -> models.Jobs:
    """List jobs, newest first, what runs, and which ingests the settings name."""
    return bodies.jobs(desk_of(request))


@router.post("/jobs", status_code=202)
def start_job(request: Request, session: Operating, asked: models.AskedJob) -> models.JobRun:
    """Start an ingest that the settings name, or an audit; one job at a time."""
    desk = desk_of(request)
    by = session.visitor.principal
    return bodies.job(desk, desk.jobs.start(asked.job, asked.source, full=asked.full, by=by))


@router.get("/jobs/{number}")
def show_job(request: Request, _session: Operating, number: Number) -> models.JobRun:
    """Show a job: its state, how far it is, what came of it."""
    desk = desk_of(request)
    return bodies.job(desk, desk.jobs.row(number))


@router.post("/jobs/{number}/cancel")
def cancel_job(request: Request, _session: Operating, number: Number) -> models.JobRun:
    """Ask a job to stop where it next tells its progress; 409 where it goes to its end."""
    desk = desk_of(request)
    return bodies.job(desk, desk.jobs.cancel(number))


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


@router.get("/jobs/{number}/events", response_class=Response, responses=STREAM)
def follow_job(
    request: Request, _session: Operating, number: Number, last_event_id: LastEvent = ""
) -> Response:
    """Follow a job: how far each stage is, and how it ends (text/event-stream).

    An event of a stage stands for all before it. With `Last-Event-ID` what came since is told.
    """
    desk, state = desk_of(request), request.app.state
    desk.jobs.row(number)
    last = int(last_event_id or 0)
    _, over = desk.jobs.steps(number)
    if over is not None and last >= over:
        return Response(status_code=204)
    streams: set[object] = state.streams
    if len(streams) >= MOST_STREAMS:
        raise Denied(429, f"{MOST_STREAMS} streams of events are open", "Close some, or wait.")
    return EventStream(_events(desk, number, last, streams, state.ending))


async def _events(
    desk: Desk, number: int, last: int, streams: set[object], ending: Callable[[], bool]
) -> AsyncIterator[str]:
    mine = object()
    streams.add(mine)
    try:
        yield f"retry: {RETRY_MS}\n\n"
        began = spoke = time.monotonic()
        while not ending() and time.monotonic() - began < LONGEST_SECONDS:
            steps, over = desk.jobs.steps(number, last)
            for step in steps:
                told = models.JobProgress(
                    job=number, stage=step.stage, done=step.done, total=step.total
                )
                yield _event(step.event, "progress", told.model_dump())
                last, spoke = step.event, time.monotonic()
            if over is not None:
                row = await asyncio.to_thread(desk.jobs.row, number)
                yield _event(over, "end", bodies.job(desk, row).model_dump())
                return
            if time.monotonic() - spoke >= HEARTBEAT_SECONDS:
                yield ": still there\n\n"
                spoke = time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        streams.discard(mine)


def _event(number: int, name: str, data: dict[str, Any]) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
