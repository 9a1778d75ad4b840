"""Send alarms: who is to know is told what happened, by webhook, mail or syslog.

`send` looks at what the ledger and the last audit say, and tells each target of `[alarms]` what it
was not told yet. What a target takes is noted for it alone: one that fails gets it the next time,
and the others are not kept waiting. Nothing here changes the corpus, and nothing that fails here
fails an ingest or an audit: it is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from ragguard.config import Settings
from ragguard.config.outside import AlarmSettings
from ragguard.errors import RagguardError
from ragguard.integrations.alarms.delivered import DeliveryRecord, changing
from ragguard.integrations.alarms.events import Event, happened, trial
from ragguard.integrations.alarms.targets import AlarmTarget, Mail, Syslog, Webhook
from ragguard.text.safe_display import line
from ragguard.workspace import Workspace


@dataclass(frozen=True)
class Delivery:
    """What became of the alarms for a target.

    Attributes:
        target: `webhook`, `mail` or `syslog`.
        sent: Events it was told.
        held_back: Events over the limit of an hour, told later as a number.
        error: Why it took nothing; empty when it did.
    """

    target: str
    sent: Sequence[Event]
    held_back: int = 0
    error: str = ""


def targets(alarms: AlarmSettings) -> list[AlarmTarget]:
    """Targets that the settings name."""
    configured: list[AlarmTarget] = []
    if alarms.webhook_url:
        configured.append(Webhook(alarms))
    if alarms.smtp_host:
        configured.append(Mail(alarms))
    if alarms.syslog_host:
        configured.append(Syslog(alarms))
    return configured


def send(
    folder: Path, settings: Settings, now: datetime, receipts: Sequence[bytes] = ()
) -> list[Delivery]:
    """Tell each target what it was not told yet.

    Args:
        folder: Of the workspace; it is locked only for receipts.
        receipts: Receipts of answers; one whose passages are good no more is told.

    Returns:
        What became of it, one for each target.

    Raises:
        RagguardError: The workspace or what was told before cannot be read. What a target says is
            no error: see `Delivery`.
    """
    named = targets(settings.alarms)
    if not named:
        return []
    # Whether a passage is still proved is asked of the index, which takes the lock.
    with Workspace(folder, settings, now, exclusive=bool(receipts)) as workspace:
        events = happened(workspace, receipts)
    with changing(folder) as state:
        return [
            _tell(target, events, state.of(target.name, now), settings.alarms, folder.name, now)
            for target in named
        ]


def test(folder: Path, settings: Settings, now: datetime) -> list[Delivery]:
    """Send each target a trial, whatever it was told before."""
    deliveries = []
    for target in targets(settings.alarms):
        error = _deliver(target, [trial(now)], folder.name, now)
        deliveries.append(Delivery(target.name, () if error else (trial(now),), 0, error))
    return deliveries


def after(folder: Path, settings: Settings, now: datetime) -> list[str]:
    """Tell the targets when a job has ended; whatever goes wrong stops nothing.

    Returns:
        What went wrong, a line each.
    """
    try:
        return [
            f"alarm by {delivery.target} failed: {line(delivery.error)}"
            for delivery in send(folder, settings, now)
            if delivery.error
        ]
    except (RagguardError, OSError, SQLAlchemyError) as error:
        # A job that is done is done: what keeps its alarms from being told does not make it fail.
        return [f"alarms failed: {type(error).__name__}: {line(str(error))}"]


def _tell(
    target: AlarmTarget,
    events: Sequence[Event],
    told: DeliveryRecord,
    alarms: AlarmSettings,
    workspace: str,
    now: datetime,
) -> Delivery:
    new = [
        untold
        for event in events
        if event.at_least(alarms.level)
        and (untold := event.without(lambda key: told.is_known(key, alarms.again_hours)))
    ]
    room = alarms.most_an_hour - told.in_the_last_hour()
    sent = new[: max(0, room)]
    held_back = new[len(sent) :]
    told.record.held_back += len(held_back)
    told.remember(held_back)
    if not sent and not (told.record.held_back and room > 0):
        return Delivery(target.name, (), len(held_back))
    spoken = [*sent, *([told.summary(now)] if told.record.held_back and not held_back else [])]
    error = _deliver(target, spoken, workspace, now)
    if error:
        told.failed(error)
        return Delivery(target.name, (), len(held_back), error)
    if len(spoken) > len(sent):
        told.record.held_back = 0
    told.took(sent)
    return Delivery(target.name, spoken, len(held_back))


def _deliver(target: AlarmTarget, events: Sequence[Event], workspace: str, now: datetime) -> str:
    """Deliver events; why that failed, empty when it did not."""
    try:
        target.deliver(events, workspace, now)
    except (RagguardError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"[:300]
    return ""
