"""Plan which part of the index is looked at tonight, and all of it within a number of nights.

Point ids are digests, so that their first digits cut the index into equal slices without a list of
its points: slice i of n is the i-th n-th of all ids. n is a power of two, so that the slices of
nights with different n fit into each other. Tonight's is the slice that holds what was not looked
at for longest. The engine scans in id order: a slice is one stretch of the scan.

Promise: as long as no night needs more than n slices, every point is looked at within n nights that
did what they were asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, log2
from uuid import UUID

import numpy as np

from ragguard.audit.findings import AuditReport
from ragguard.errors import UsageError

MARGIN = 0.8  # share of the time that is planned for: nights differ
UNKNOWN_PACE_S = 0.001  # seconds a point, before any was measured
PACES = 5  # nights whose pace is remembered
MOST = 1024  # slices
SPAN = 1 << 128


@dataclass(frozen=True)
class Slice:
    """A part of the ids.

    Attributes:
        number: From 0.
        of: How many slices there are: a power of two.
    """

    number: int
    of: int

    @property
    def nights(self) -> int:
        """Nights within which all of the index is looked at."""
        return self.of

    @property
    def whole(self) -> bool:
        """Whether it is all of the index."""
        return self.of == 1

    @property
    def first(self) -> str:
        """The first id that may be in it."""
        return str(UUID(int=self.number * (SPAN // self.of)))

    @property
    def last(self) -> str:
        """The last id that may be in it."""
        return str(UUID(int=(self.number + 1) * (SPAN // self.of) - 1))

    def holds(self, point: str) -> bool:
        """Whether a point belongs to it; an id that is no UUID belongs to the slice of its digest.

        Every id there can be belongs to exactly one of the slices.
        """
        return position(point) * self.of // SPAN == self.number


@dataclass(frozen=True)
class FinishedSlice:
    """A slice that an audit has looked at.

    Attributes:
        at: When, as text that sorts by time.
        part: The slice.
        points: How many points were in it.
        seconds: How long it took.
    """

    at: str
    part: Slice
    points: int = 0
    seconds: float = 0.0


def position(point: str) -> int:
    """Tell where an id stands, from 0 to 2**128 - 1."""
    try:
        return UUID(point).int
    except ValueError:
        raw = blake2b(point.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return int.from_bytes(raw, "big")


def plan(
    points: int,
    history: Sequence[FinishedSlice] = (),
    *,
    max_minutes: float,
    seconds_per_point: float | None = None,
    fixed_seconds: float = 0.0,
) -> Slice:
    """Tell what to look at tonight.

    Args:
        points: In the index.
        history: What earlier audits looked at, in any order; failed ones left out.
        max_minutes: How long the audit may take.
        seconds_per_point: As measured; else the median pace of the last of `history`.
        fixed_seconds: What an audit costs however small the slice is.

    Raises:
        UsageError: So little time that no slice fits in it.
    """
    pace = seconds_per_point if seconds_per_point is not None else measured_pace(history)
    planned = max_minutes * 60 * MARGIN - fixed_seconds
    needed = points * pace
    if planned <= 0 or needed > planned * MOST:
        raise UsageError(
            f"--max-minutes {max_minutes:g}: too little for {points} points, {pace * 1000:.2g} ms "
            f"each and {fixed_seconds:.0f} s besides",
            hint=f"The index is looked at in at most {MOST} nights; allow more minutes.",
        )
    of = max(1, 1 << ceil(log2(max(1.0, needed / planned))))
    last = max(history, key=lambda turn: turn.at, default=None)
    if last is not None and last.part.of == 2 * of and needed > 0.75 * of * planned:
        of *= 2  # so little is gained that the promise of last night is kept
    return Slice(_oldest(of, history), of)


def measured_pace(history: Sequence[FinishedSlice]) -> float:
    """Seconds a point: the median of the last nights, or a cautious guess before there were any."""
    timed = sorted((t for t in history if t.points and t.seconds > 0), key=lambda t: t.at)
    if not timed:
        return UNKNOWN_PACE_S
    return float(np.median([t.seconds / t.points for t in timed[-PACES:]]))


def _oldest(of: int, history: Sequence[FinishedSlice]) -> int:
    """Return the slice that holds what was not looked at for longest; never is longest of all."""
    finest = max([of, *(turn.part.of for turn in history)])
    seen = [""] * finest
    for turn in history:
        wide = finest // turn.part.of
        for cell in range(turn.part.number * wide, (turn.part.number + 1) * wide):
            seen[cell] = max(seen[cell], turn.at)
    wide = finest // of
    return min(range(of), key=lambda i: (min(seen[i * wide : (i + 1) * wide]), i))


def turns(reports: Sequence[AuditReport], part: str = "index") -> list[FinishedSlice]:
    """Tell what earlier audits looked at.

    Args:
        reports: Of the earlier audits. One without a rotation looked at everything.
        part: Name of the part of the audit that goes by slices; audits in which it did not do
            what it was asked looked at nothing.
    """
    turns = []
    for report in reports:
        parts = [p for p in report.parts if p.name == part and p.state in ("done", "partial")]
        number, of = report.rotation.get("slice", 0), report.rotation.get("of", 1)
        fits = 1 <= of <= MOST and of & (of - 1) == 0 and 0 <= number < of
        if parts and fits:
            turns.append(
                FinishedSlice(report.at, Slice(number, of), parts[0].looked_at, parts[0].seconds)
            )
    return turns
