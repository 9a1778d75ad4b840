"""Format events as JSON, RFC 5424, CEF and mail, hostile text escaped as each needs it.

Every text has passed `line` before: it has no control characters, so that none ends a line of
syslog or a header of mail. What only a format takes for its own is escaped here.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

from ragguard import __version__
from ragguard.integrations.alarms.events import Event
from ragguard.text.safe_display import cut, line
from ragguard.trust.canonical import format_time

FACILITY = 13  # log audit
SEVERITIES = {"error": 3, "warning": 4, "note": 5}  # RFC 5424, table 2
CEF_SEVERITIES = {"error": 9, "warning": 6, "note": 3}  # of 10
# No number of our own is registered; this one stands for examples (RFC 5612).
ELEMENT = "ragguard@32473"
MOST_BYTES = 2_048  # of a syslog message, which every receiver should take (RFC 5424, 6.1)
_NAME = re.compile(r"[^!-~]")


def as_json(events: Sequence[Event], workspace: str, now: datetime) -> bytes:
    """Return the body that a webhook gets."""
    body: dict[str, Any] = {
        "type": "ragguard.alarms",
        "timestamp": format_time(now),
        "data": {
            "workspace": line(workspace),
            "version": __version__,
            "alarms": [
                {
                    "kind": event.kind,
                    "level": event.level,
                    "rule": event.rule,
                    "at": event.at,
                    "count": len(event.items),
                    "summary": event.summary,
                    "about": event.names,
                }
                for event in events
            ],
        },
    }
    return json.dumps(body, separators=(",", ":")).encode()


def as_syslog(event: Event, workspace: str, now: datetime, style: str) -> bytes:
    """Return a message of RFC 5424; with style `cef` its text is a CEF event.

    It is cut so that it fits a datagram that every receiver takes.
    """
    priority = FACILITY * 8 + SEVERITIES[event.level]
    host = _name(socket.gethostname(), 255)
    head = (
        f"<{priority}>1 {format_time(now)} {host} ragguard {os.getpid()} {_name(event.kind, 32)} "
    )
    if style == "cef":
        text = as_cef(event, workspace, now)
        return _cut(f"{head}- ".encode(), text)
    pairs = {
        "workspace": cut(line(workspace), 100),
        "level": event.level,
        "rule": event.rule,
        "count": str(len(event.items)),
        "at": event.at,
    }
    parameters = " ".join(f'{name}="{_parameter(value)}"' for name, value in pairs.items())
    return _cut(f"{head}[{ELEMENT} {parameters}] \ufeff".encode(), event.summary)


def as_cef(event: Event, workspace: str, now: datetime) -> str:
    """Return an event of the Common Event Format, version 0."""
    header = (
        "CEF:0",
        "ragguard",
        "ragguard",
        __version__,
        event.rule,
        f"ragguard {event.kind}",
        str(CEF_SEVERITIES[event.level]),
    )
    about = event.names
    fields = {
        "rt": str(int(now.timestamp() * 1000)),
        "cat": event.kind,
        "cnt": str(len(event.items)),
        "cs1Label": "workspace",
        "cs1": cut(line(workspace), 100),
        "msg": event.summary,
    }
    if about:
        fields |= {"cs2Label": "about", "cs2": about[0]}
    extension = " ".join(f"{name}={_extension(value)}" for name, value in fields.items())
    return "|".join([header[0], *map(_header, header[1:])]) + f"|{extension}"


def as_mail(
    events: Sequence[Event], workspace: str, now: datetime, sender: str, receivers: Sequence[str]
) -> EmailMessage:
    """One mail for all of them."""
    mail = EmailMessage()
    first = events[0].summary if len(events) == 1 else f"{len(events)} alarms"
    mail["Subject"] = cut(f"[ragguard {line(workspace)}] {first}", 180)
    mail["From"] = sender
    mail["To"] = ", ".join(receivers)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notice answers it
    lines = []
    for event in events:
        lines += [f"{event.level.upper()}: {event.summary}", f"  {event.at}"]
        lines += [f"  - {name}" for name in event.names]
        lines.append("")
    lines.append("Decide cases: ragguard quarantine list, or ragguard web.")
    mail.set_content("\n".join(lines) + "\n")
    return mail


def _name(text: str, most: int) -> str:
    """Return a field of a syslog header: printable ASCII without blanks."""
    return _NAME.sub("", text)[:most] or "-"


def _parameter(text: str) -> str:
    """Return a value of structured data (RFC 5424, 6.3.3)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _header(text: str) -> str:
    """Return a field of a CEF header: a pipe would end it."""
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _extension(text: str) -> str:
    """Return a value of a CEF extension: an equals sign would begin another."""
    return text.replace("\\", "\\\\").replace("=", "\\=")


def _cut(head: bytes, text: str) -> bytes:
    """Return a message of at most so many bytes, which ends with a whole character."""
    room = MOST_BYTES - len(head)
    encoded = text.encode("utf-8", "replace")
    return head + encoded[:room].decode("utf-8", "ignore").encode()
