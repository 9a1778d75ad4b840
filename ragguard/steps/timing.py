"""Timing: the seconds each stage of a job takes, in what the job reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Reported(Protocol):
    """What a job says of itself.

    Attributes:
        seconds: By stage.
    """

    seconds: dict[str, float]


@contextmanager
def timed(report: Reported, stage: str) -> Iterator[None]:
    """Add the seconds a block takes to a stage of the report."""
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds[stage] = report.seconds.get(stage, 0.0) + time.perf_counter() - start
