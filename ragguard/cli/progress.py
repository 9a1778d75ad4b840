"""Show progress: bars with stage, rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from ragguard.cli.output import console, drawing

_EVERY_S = 15.0


class Progress:
    """A context manager whose `update` is given to long jobs.

    On a terminal every stage has a bar on standard error, until something else is said
    (`output.drawing`): nothing is drawn over prose. Elsewhere a stage is one line when it is over,
    and one now and then if it takes long.

    Args:
        quiet: Show nothing.
        fleeting: Leave no trace of bars that are full.
    """

    def __init__(self, quiet: bool = False, *, fleeting: bool = False) -> None:
        self._quiet = quiet
        self._fleeting = fleeting
        self._terminal = sys.stderr.isatty()
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._begun: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._over: set[str] = set()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>10}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console(stderr=True),
            transient=self._fleeting,
        )
        self._bars.start()
        drawing.append(self._stop)

    def _stop(self) -> None:
        if self._bars is not None:
            drawing.remove(self._stop)
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def update(self, stage: str, done: int, total: int) -> None:
        """Say how far a stage is."""
        now = time.monotonic()
        if stage in self._over and done < total:  # the next job of one command: from the start
            self._over.discard(stage)
            self._told[stage] = self._begun[stage] = now
            if stage in self._tasks:
                self._bars.reset(self._tasks[stage], total=total)
        self._begun.setdefault(stage, now)
        elapsed = now - self._begun[stage]
        if self._terminal and not self._quiet:
            if stage in self._over and stage not in self._tasks:
                return  # it was shown full before something was said
            if self._bars is None:
                self._start()
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=max(total, 1), rate="")
            rate = f"{done / elapsed:.0f}/s" if elapsed > 0.5 and done and total > 1 else ""
            self._bars.update(
                self._tasks[stage], completed=done if total else 1, total=max(total, 1), rate=rate
            )
        elif not self._quiet:
            over = done >= total and stage not in self._over
            if over or now - self._told.setdefault(stage, now) > _EVERY_S:
                click.echo(f"{stage}: {done}/{total} ({elapsed:.1f} s)", err=True)
                self._told[stage] = now
        if done >= total:
            self._over.add(stage)
