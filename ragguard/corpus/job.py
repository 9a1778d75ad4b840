"""Report a job alike for all: exit code, seconds by stage, what it finished first, JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from ragguard.corpus.spans import Attributes, span
from ragguard.model import Finding

_LAST = ("recovered", "seconds")


@dataclass(kw_only=True)
class Job:
    """The result of a job; every job adds what it did.

    Attributes:
        recovered: Commits that an interrupted run had begun, finished first.
        seconds: By stage.
    """

    recovered: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 done and nothing to look at; see docs/cli.md for the others."""
        return 0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds a block takes to a stage, and record it as a span of that name."""
        start = time.perf_counter()
        try:
            with span(stage):
                yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def told(self) -> Attributes:
        """Tell what its span tells."""
        return {"ragguard.exit_code": self.exit_code}

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object: the fields in their order, then what all jobs have."""
        own = [f.name for f in fields(self) if f.name not in _LAST]
        return {name: _plain(getattr(self, name)) for name in own} | self.run_dict()

    def run_dict(self) -> dict[str, Any]:
        """Tell what all jobs have, as the last of their JSON object."""
        seconds = {stage: round(spent, 3) for stage, spent in self.seconds.items()}
        return {"recovered": self.recovered, "seconds": seconds}


def finding_dict(finding: Finding) -> dict[str, Any]:
    """Return a finding as commands print it, without its facts."""
    shown = (finding.check, finding.score, finding.p_value, finding.detail)
    return dict(zip(("check", "score", "p_value", "detail"), shown, strict=True))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what knows its own form says it."""
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
