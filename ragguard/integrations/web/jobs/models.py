"""Define the bodies of the API about jobs."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from ragguard.integrations.jobs.kept import Kind, State
from ragguard.integrations.web.models import Asked


class AskedJob(Asked):
    """A job that is asked for; `source` names an ingest of the settings, `full` is of an audit."""

    job: Kind
    source: Annotated[str, Field(max_length=64)] = ""
    full: bool = False


class JobStep(BaseModel):
    """How far a stage of a job is."""

    stage: str
    done: int
    total: int


class JobRun(BaseModel):
    """A job: `exit_code` is as of the command, `said` what came of it.

    `failed`: what was asked was not done; `interrupted`: its server was killed, nothing is half
    written. Of a job that this server ran there are `steps`, of one that runs `can_stop`.
    """

    number: int
    job: Kind
    source: str
    full: bool
    by: str
    state: State
    began: str
    ended: str | None
    exit_code: int | None
    said: list[str]
    counts: dict[str, int]
    steps: list[JobStep]
    can_stop: bool


class AllowedIngest(BaseModel):
    """An ingest that may be asked for."""

    source: str
    manifest: str
    root: str


class Jobs(BaseModel):
    """What may be asked for, what runs here, and what was: newest first."""

    allowed: list[AllowedIngest]
    running: int | None
    jobs: list[JobRun]


class JobProgress(BaseModel):
    """The data of an event `progress`."""

    job: int
    stage: str
    done: int
    total: int
