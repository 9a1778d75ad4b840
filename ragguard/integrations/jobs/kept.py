"""Keep what became of jobs in `jobs.json`: who asked for what, and how it ended.

A job is written down when it begins and when it ends. One that stands there as running while nobody
holds the workspace was interrupted: its process was killed. The corpus is recovered by the next job
as after any kill. The file decides nothing, and may be deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragguard.integrations.turns import turn
from ragguard.trust.files import replace_file

FILE = "jobs.json"
MOST_ROWS = 100  # jobs that are remembered
LOCK_SECONDS = 10.0
Kind = Literal["ingest", "audit"]
State = Literal["running", "done", "failed", "cancelled", "interrupted"]


class Row(BaseModel):
    """A job.

    Attributes:
        source: Name of the ingest in the settings; empty for an audit.
        full: Whether an audit judges every document.
        by: Who asked: a principal, or the name of a token; empty: whoever started the server.
        state: `failed`: it could not do what was asked. What it found is in `exit_code`.
        exit_code: As of the command of that name; `None` while it runs and when it was stopped.
        said: What came of it, harmless lines.
        counts: Documents by verdict, or findings by level.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    number: Annotated[int, Field(ge=1)]
    job: Kind
    source: str = ""
    full: bool = False
    by: str = ""
    state: State
    began: str
    ended: str | None = None
    exit_code: int | None = None
    said: list[str] = []
    counts: dict[str, int] = {}

    @property
    def name(self) -> str:
        """For a person: `ingest wiki`, `full audit`."""
        if self.job == "ingest":
            return f"ingest {self.source}"
        return "full audit" if self.full else "audit"


class _File(BaseModel):
    version: Literal[1] = 1
    jobs: list[Row] = []


def rows(folder: Path) -> list[Row]:
    """Jobs, oldest first; a file that is missing or damaged is as good as empty."""
    try:
        return _File.model_validate_json((folder / FILE).read_bytes()).jobs
    except (OSError, ValidationError):
        return []


def not_done(folder: Path) -> list[Row]:
    """Jobs that failed or were interrupted, where the same was not done since."""
    last = {row.name: row for row in rows(folder) if row.state != "cancelled"}
    return [row for row in last.values() if row.state in ("failed", "interrupted")]


def begin(folder: Path, row: Row) -> Row:
    """Write down that a job begins, by whoever holds the workspace; gives it its number.

    What stands there as running was interrupted: nobody else holds the workspace.
    """
    with _changing(folder) as there:
        interrupted(there, row.began)
        begun = row.model_copy(update={"number": max((r.number for r in there), default=0) + 1})
        there.append(begun)
    return begun


def end(folder: Path, row: Row) -> None:
    """Write down how a job ended, or more of what it said."""
    with _changing(folder) as there:
        there[:] = [row if old.number == row.number else old for old in there]


def recover(folder: Path, now: str) -> None:
    """Write down that jobs were interrupted; for whoever holds the workspace."""
    with _changing(folder) as there:
        interrupted(there, now)


def interrupted(there: list[Row], now: str) -> None:
    """Let jobs that stand there as running be interrupted ones."""
    change = {"state": "interrupted", "ended": now}
    there[:] = [row.model_copy(update=change) if row.state == "running" else row for row in there]


@contextmanager
def _changing(folder: Path) -> Iterator[list[Row]]:
    """Read the file, and write it when the block ends."""
    with turn(folder / FILE, LOCK_SECONDS, f"{FILE}: another process changes it"):
        there = rows(folder)
        yield there
        kept = _File(jobs=there[-MOST_ROWS:]).model_dump()
        replace_file(folder / FILE, json.dumps(kept, indent=1).encode() + b"\n")
