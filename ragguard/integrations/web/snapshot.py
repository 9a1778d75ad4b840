"""Keep the queue at a size of the log, with what is counted and grouped of it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ragguard.ledger import queue
from ragguard.ledger.queue import Entry, Group


@dataclass(frozen=True)
class Snapshot:
    """The queue at a size of the log.

    Attributes:
        entries: Cases, the surest first.
        opinions: How many reviewers spoke on a case that needs more of them, by its number.
        needed: How many have to agree, by source; sources without a contract are left out.
    """

    size: int
    entries: Sequence[Entry]
    opinions: Mapping[int, int]
    needed: Mapping[str, int]

    def waits_for(self, entry: Entry) -> tuple[int, int]:
        """List opinions on a case, and how many reviewers have to agree."""
        return self.opinions.get(entry.case.id, 0), self.needed.get(entry.case.source, 1)

    @cached_property
    def groups(self) -> Sequence[Group]:
        """Groups of the cases."""
        return queue.groups(self.entries)

    @cached_property
    def counted(self) -> tuple[dict[str, int], dict[str, int]]:
        """Cases by check and by source, the most frequent first."""
        return counted(self.entries)

    @cached_property
    def group_of(self) -> dict[int, Group]:
        """Group by case number."""
        return {entry.case.id: group for group in self.groups for entry in group.entries}


def counted(entries: Sequence[Entry]) -> tuple[dict[str, int], dict[str, int]]:
    """List cases by check and by source, the most frequent first."""
    checks = Counter(e.check for e in entries if e.check)
    sources = Counter(e.case.source for e in entries)
    return dict(checks.most_common()), dict(sources.most_common())
