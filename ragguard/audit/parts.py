"""Bookkeeping of an audit: which parts looked, how long it took, and what they found.

A part that fails is written down with its reason and stops no other part; the audit then did not do
what it was asked.
"""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ragguard.audit.findings import AuditFinding, Part, State
from ragguard.errors import LockedError, RagguardError

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


@dataclass
class Note:
    """What a part says of itself while it runs."""

    looked_at: int = 0
    state: State = "done"
    reason: str = ""

    def skip(self, reason: str) -> None:
        """Say that it had nothing to look at."""
        self.state, self.reason = "skipped", reason

    def less(self, reason: str) -> None:
        """Say that it looked at less than all, as was asked."""
        self.state, self.reason = "partial", reason


@dataclass
class Course:
    """Parts and findings of the audit that runs."""

    progress: Progress
    parts: list[Part] = field(default_factory=list)
    findings: list[AuditFinding] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[Note]:
        """Run a part; what goes wrong in it is written down and goes no further."""
        note, began = Note(), time.perf_counter()
        self.progress(name, 0, 1)
        try:
            yield note
        except LockedError:
            raise
        except RagguardError as error:
            note.state, note.reason = "failed", error.message
        except Exception as error:
            # Nothing is swallowed: the part is told as failed in every report, the exit code is 5,
            # and the traceback is logged. Else one bug would hide what all other parts found, and
            # whoever can provoke it could silence the audit.
            logger.exception("the part %s of the audit failed", name)
            note.state, note.reason = "failed", f"{type(error).__name__}: {error}"[:300]
        spent = time.perf_counter() - began
        self.progress(name, 1, 1)
        self.parts.append(Part(name, note.state, note.reason, note.looked_at, round(spent, 3)))

    def add(self, findings: Sequence[AuditFinding]) -> None:
        """Write findings down."""
        self.findings.extend(findings)

    def state_of(self, name: str) -> State:
        """What became of a part; `failed` where it did not run."""
        return next((p.state for p in self.parts if p.name == name), "failed")


def peak_memory() -> int:
    """Peak resident memory of this process in bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
