"""Run one job at a time in a thread, tell how far it is, and stop it where nothing is half done.

A job stops where it next tells its progress, by `JobCancelled`, which nothing on the way takes for
an error of its own. Up to its commit an ingest has changed nothing, an audit up to its entry in the
log; from there on a job goes to its end. That is all a process may be killed at, too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from ragguard.config import Settings
from ragguard.errors import IncompleteError, LockedError, RagguardError, UsageError
from ragguard.integrations.jobs import kept
from ragguard.integrations.jobs.engine import Engine
from ragguard.integrations.jobs.kept import Kind, Row
from ragguard.integrations.jobs.outcome import LONGEST, JobOutcome
from ragguard.text.safe_display import cut, line
from ragguard.trust.canonical import format_time
from ragguard.workspace import Workspace

logger = logging.getLogger(__name__)


class JobCancelled(BaseException):
    """Somebody asked a job to stop; no error, so that no part of a job takes it for its own."""


class JobStateError(UsageError):
    """Another job runs, or this one is over or cannot be stopped any more."""


@dataclass(frozen=True)
class RunningStep:
    """How far a stage of a job is.

    Attributes:
        event: Number of the event that says so; the last one of a stage stands for all before.
    """

    event: int
    stage: str
    done: int
    total: int


@dataclass
class LiveJob:
    """A job since the server was started: what is known of it beside its row.

    Attributes:
        final: It goes to its end now.
        over: The event that says that it ended; `None` while it runs.
    """

    row: Row
    steps: dict[str, RunningStep] = field(default_factory=dict)
    events: int = 0
    asked_to_stop: bool = False
    final: bool = False
    over: int | None = None


class Runner:
    """The jobs of a workspace."""

    def __init__(self, folder: Path, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self.engine = Engine(lambda: Workspace(folder, settings, clock()))
        self._lock = threading.Lock()
        self._known: dict[int, LiveJob] = {}
        self._job: LiveJob | None = None  # that runs
        self._thread: threading.Thread | None = None

    # --- looking ----------------------------------------------------------------------------------

    @property
    def running(self) -> Row | None:
        """The job that this process runs."""
        job = self._job
        return job.row if job else None

    def rows(self) -> list[Row]:
        """List all that are remembered, newest first."""
        with self._lock:
            known = {number: live.row for number, live in self._known.items()}
        return [known.get(row.number, row) for row in kept.rows(self._folder)[::-1]]

    def row(self, number: int) -> Row:
        """Return a job by its number.

        Raises:
            UsageError: There is none.
        """
        job = next((row for row in self.rows() if row.number == number), None)
        if job is None:
            raise UsageError(f"job {number}: there is no such job")
        return job

    def steps(self, number: int, after: int = 0) -> tuple[list[RunningStep], int | None]:
        """Tell what is new of a job after an event, oldest first, and the event of its end."""
        with self._lock:
            live = self._known.get(number)
            if live is None:
                return [], 1
            new_steps = [step for step in live.steps.values() if step.event > after]
            return sorted(new_steps, key=lambda step: step.event), live.over

    def can_stop(self, number: int) -> bool:
        """Tell whether a job runs that may still be stopped, and nobody asked yet."""
        with self._lock:
            job = self._job
            return (
                job is not None
                and job.row.number == number
                and not (job.final or job.asked_to_stop)
            )

    # --- asking -----------------------------------------------------------------------------------

    def start(self, job: Kind, source: str = "", *, full: bool = False, by: str = "") -> Row:
        """Begin a job; it goes on when this returns.

        Args:
            source: Name of the ingest in the settings.
            full: Whether an audit judges every document.
            by: Who asks.

        Raises:
            UsageError: The settings name no such ingest.
            JobStateError: Another job runs.
            LockedError: Another process works on the workspace.
        """
        if job == "ingest" and source not in self._settings.web.ingest:
            raise UsageError(
                f"ingest {cut(line(source), 80)!r}: the settings of this server name none such",
                hint=f"[web.ingest.NAME] in ragguard.toml does; known: {self._names()}.",
            )
        row = Row(
            number=1,
            job=job,
            source=source if job == "ingest" else "",
            full=full and job == "audit",
            by=by,
            state="running",
            began=self._now(),
        )
        begun = _Begun()
        with self._lock:
            if self._job is not None:
                there = self._job.row
                raise JobStateError(
                    f"job {there.number} ({there.name}) runs since {there.began}: one at a time",
                    hint="Wait for its end, or cancel it.",
                )
            self._job = live = LiveJob(row)
            self._thread = threading.Thread(
                target=self._run, args=(live, begun), name="ragguard job", daemon=True
            )
        self._thread.start()
        begun.event.wait()
        if begun.error is not None:
            raise begun.error
        return live.row

    def cancel(self, number: int) -> Row:
        """Ask a job to stop.

        Raises:
            UsageError: There is no such job.
            JobStateError: It is over, runs in another process, or goes to its end.
        """
        row = self.row(number)
        with self._lock:
            job = self._job
            if job is None or job.row.number != number:
                raise JobStateError(
                    f"job {number} is {row.state}"
                    + (" in another process" if row.state == "running" else "")
                )
            if job.final:
                raise JobStateError(
                    f"job {number} ({row.name}) cannot be stopped any more: it writes what it did",
                    hint="It ends by itself.",
                )
            job.asked_to_stop = True
        return row

    def recover(self) -> None:
        """Say of jobs that a killed server began that they were interrupted."""
        if not any(row.state == "running" for row in kept.rows(self._folder)):
            return
        try:
            with Workspace(self._folder, self._settings, self._clock()):
                kept.recover(self._folder, self._now())
        except LockedError:  # another server may run it
            return

    def close(self) -> None:
        """Ask the job that runs to stop, and wait for its end."""
        with self._lock:
            if self._job is not None:
                self._job.asked_to_stop = True
            thread = self._thread
        if thread is not None:
            thread.join()

    # --- the thread -------------------------------------------------------------------------------

    def _run(self, live: LiveJob, begun: _Begun) -> None:
        def began() -> None:
            live.row = kept.begin(self._folder, live.row)
            with self._lock:
                self._known[live.row.number] = live
                for number in sorted(self._known)[: -kept.MOST_ROWS]:
                    del self._known[number]
            begun.event.set()

        try:
            outcome = self._outcome(live, began)
            if begun.event.is_set():
                self._end(live, outcome)
            else:
                reason = ". ".join(outcome.said)
                begun.error = outcome.error or IncompleteError(f"the job could not begin: {reason}")
        finally:
            with self._lock:
                self._job = None
                live.events += 1
                live.over = live.events
            begun.event.set()

    def _outcome(self, live: LiveJob, began: Callable[[], None]) -> JobOutcome:
        """Do the work; what goes wrong becomes what the command would exit with."""
        try:
            return self._work(live, began)
        except JobCancelled:
            return JobOutcome(stopped=True, said=["stopped before it changed anything"])
        except RagguardError as error:
            outcome = JobOutcome(error.exit_code, failed=True, error=error)
            outcome.say(error.message)
            outcome.say(error.hint or "The terminal of `ragguard web` may say more.")
        except (OSError, SQLAlchemyError) as error:
            logger.exception("job: %s", live.row.name)
            outcome = JobOutcome(5, failed=True)
            outcome.say(f"could not be completed ({type(error).__name__}): {error}")
            outcome.say("Free some space and ask for it again; nothing is lost.")
        except Exception as error:
            # The outermost frame of the thread: what nobody expected is a bug of ours and is said
            # as such, with exit code 70, and the traceback is logged.
            logger.exception("job: %s", live.row.name)
            outcome = JobOutcome(70, failed=True)
            outcome.say(f"this is a bug: {type(error).__name__}: {error}")
            outcome.say("The terminal of `ragguard web` says more. Please report.")
        return outcome

    def _end(self, live: LiveJob, outcome: JobOutcome) -> None:
        """Write down how a job ended, and tell who is to know."""
        from ragguard.integrations import alarms

        live.row = _ended(live.row, outcome, self._now())
        try:
            kept.end(self._folder, live.row)
            warnings = alarms.after(self._folder, self._settings, self._clock())
            if warnings:
                sentences = [*live.row.said, *(cut(warning, LONGEST) for warning in warnings)]
                live.row = live.row.model_copy(update={"said": sentences})
                kept.end(self._folder, live.row)
        except (OSError, LockedError):
            logger.exception("job: how it ended could not be written down")

    def _work(self, live: LiveJob, began: Callable[[], None]) -> JobOutcome:
        # Imported when there is work: who only looks, or makes a token, need not wait for it.
        from ragguard.integrations.jobs import work

        def progress(stage: str, done: int, total: int) -> None:
            if stage == "commit" and done >= total:
                self.engine.wrote()
            with self._lock:
                if live.asked_to_stop and not live.final:
                    raise JobCancelled
                if stage == "commit":
                    live.final = True
                live.events += 1
                live.steps[stage] = RunningStep(live.events, stage, done, total)
            if stage == "commit" and done < total:
                self.engine.write()

        def audited() -> None:
            with self._lock:
                live.final = True

        if live.row.job == "ingest":
            source = self._settings.web.ingest[live.row.source]
            return work.bring_in(self.engine, source, progress, began)
        full = live.row.full
        return work.look_through(self.engine, self._settings, full, progress, began, audited)

    def _now(self) -> str:
        return format_time(self._clock())

    def _names(self) -> str:
        return ", ".join(sorted(self._settings.web.ingest)) or "none"


@dataclass
class _Begun:
    """Whether a job began, or why it did not."""

    event: threading.Event = field(default_factory=threading.Event)
    error: RagguardError | None = None


def _ended(row: Row, outcome: JobOutcome, at: str) -> Row:
    state = "cancelled" if outcome.stopped else "failed" if outcome.failed else "done"
    return row.model_copy(
        update={
            "state": state,
            "ended": at,
            "exit_code": None if outcome.stopped else outcome.exit_code,
            "said": outcome.said,
            "counts": outcome.counts,
        }
    )
