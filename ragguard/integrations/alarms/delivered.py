"""Record what each target was told, so that it is told once: `alarms.json`, 0600.

It holds keys, times and the last error, no text of documents but names in keys of jobs. Losing it
costs a repetition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragguard.integrations.alarms.events import Event, EventItem
from ragguard.integrations.turns import turn
from ragguard.trust.canonical import format_time, parse_time
from ragguard.trust.files import replace_file

FILE = "alarms.json"
MOST_KEYS = 50_000
LOCK_SECONDS = 30.0
HOUR = timedelta(hours=1)


class TargetRecord(BaseModel):
    """A target's.

    Attributes:
        told: When each key was told.
        sent: When messages were sent, of the last hour.
        held_back: Events over the limit that nobody was told of yet.
        error: What went wrong the last time; empty when nothing did.
        failing_since: When that began.
        last_success: When it took something last.
    """

    model_config = ConfigDict(extra="ignore")

    told: dict[str, str] = {}
    sent: list[str] = []
    held_back: Annotated[int, Field(ge=0)] = 0
    error: str = ""
    failing_since: str = ""
    last_success: str = ""


class _File(BaseModel):
    version: Literal[1] = 1
    targets: dict[str, TargetRecord] = {}


class DeliveryRecord:
    """What a target was told, at a time."""

    def __init__(self, record: TargetRecord, now: datetime) -> None:
        self.record = record
        self._now = now

    def is_known(self, key: str, again_hours: int) -> bool:
        """Tell whether it was told of this lately."""
        at = self.record.told.get(key)
        return at is not None and self._now - parse_time(at) < timedelta(hours=again_hours)

    def in_the_last_hour(self) -> int:
        """Count messages sent."""
        kept = [at for at in self.record.sent if self._now - parse_time(at) < HOUR]
        self.record.sent = kept
        return len(kept)

    def remember(self, events: Sequence[Event]) -> None:
        """Note what it has been told, or is told as a number."""
        at = format_time(self._now)
        told = self.record.told
        for event in events:
            for item in event.items:
                told.pop(item.key, None)  # the newest stand last
                told[item.key] = at
        while len(told) > MOST_KEYS:
            del told[next(iter(told))]

    def took(self, events: Sequence[Event]) -> None:
        """Note that it took these events."""
        at = format_time(self._now)
        self.remember(events)
        self.record.sent += [at] * len(events)
        self.record.error = self.record.failing_since = ""
        self.record.last_success = at

    def failed(self, error: str) -> None:
        """Note that it took nothing."""
        self.record.error = error
        self.record.failing_since = self.record.failing_since or format_time(self._now)

    def summary(self, now: datetime) -> Event:
        """Return an event that says how many were over the limit."""
        text = (
            f"{self.record.held_back} more alarms were over the limit of an hour and are not told"
        )
        item = EventItem(
            f"summary {format_time(now)}", "`ragguard quarantine list`, `ragguard audit`"
        )
        return Event("summary", "warning", "summary", text, (item,), format_time(now))


class State:
    """What all targets were told."""

    def __init__(self, file: _File) -> None:
        self._file = file

    @property
    def targets(self) -> dict[str, TargetRecord]:
        """Records by target."""
        return self._file.targets

    def of(self, target: str, now: datetime) -> DeliveryRecord:
        """Tell what a target was told."""
        return DeliveryRecord(self._file.targets.setdefault(target, TargetRecord()), now)

    def dump(self) -> bytes:
        """As bytes of the file."""
        return json.dumps(self._file.model_dump(), indent=1).encode() + b"\n"


def read(folder: Path) -> State:
    """Read the file; one that is missing or damaged is as good as empty: things are told again."""
    try:
        return State(_File.model_validate_json((folder / FILE).read_bytes()))
    except (OSError, ValidationError):
        return State(_File())


@contextmanager
def changing(folder: Path) -> Iterator[State]:
    """Read the file, and write it when the block ends; two processes take turns.

    Raises:
        LockedError: Another process tells the targets, and takes long.
    """
    with turn(folder / FILE, LOCK_SECONDS, "alarms: another process is telling the targets"):
        state = read(folder)
        yield state
        replace_file(folder / FILE, state.dump())
