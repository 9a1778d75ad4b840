"""Word what came of a job, as it is written down and told."""

from __future__ import annotations

from dataclasses import dataclass, field

from ragguard.errors import RagguardError
from ragguard.text.safe_display import cut, line

LONGEST = 400  # characters of a line
MOST_LINES = 20


@dataclass
class JobOutcome:
    """What came of a job.

    Attributes:
        failed: What was asked was not done.
        stopped: It was stopped before anything was changed.
        said: Harmless lines.
        counts: Documents by verdict, or findings by level.
    """

    exit_code: int = 0
    failed: bool = False
    stopped: bool = False
    said: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    error: RagguardError | None = None

    def say(self, text: str) -> None:
        """Add a line, made harmless."""
        if len(self.said) < MOST_LINES:
            self.said.append(cut(line(text), LONGEST))
