"""Deliver to a webhook, a mail server, a collector of syslog. Each may fail on its own."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import smtplib
import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

import httpx

from ragguard.config.outside import AlarmSettings, by_proxy
from ragguard.errors import IncompleteError
from ragguard.integrations.alarms.events import Event
from ragguard.integrations.alarms.formats import as_json, as_mail, as_syslog


class AlarmTarget(Protocol):
    """Somebody who is told."""

    @property
    def name(self) -> str:
        """`webhook`, `mail` or `syslog`."""

    def deliver(self, events: Sequence[Event], workspace: str, now: datetime) -> None:
        """Tell these events, all or none as far as the target lets one know.

        Raises:
            RagguardError, OSError: It could not be reached, or refused.
        """


@dataclass(frozen=True)
class Webhook:
    """Posts JSON, signed with HMAC-SHA256 as Standard Webhooks have it."""

    alarms: AlarmSettings
    name: ClassVar[str] = "webhook"

    def deliver(self, events: Sequence[Event], workspace: str, now: datetime) -> None:
        """See `AlarmTarget`. A redirect is not followed: the address is what the operator named."""
        body = as_json(events, workspace, now)
        headers = sign(body, f"msg_{secrets.token_hex(16)}", now, self.alarms.secret)
        headers["content-type"] = "application/json"
        try:
            with httpx.stream(  # what it answers is not read
                "POST",
                self.alarms.webhook_url,
                content=body,
                headers=headers,
                timeout=self.alarms.timeout_s,
                follow_redirects=False,
                trust_env=by_proxy(self.alarms.webhook_url),
            ) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            raise IncompleteError(f"{type(error).__name__}: {error}") from None
        if not 200 <= status < 300:
            raise IncompleteError(f"it answered {status}, expected 2xx")


def sign(body: bytes, name: str, now: datetime, secret: bytes) -> dict[str, str]:
    """Headers that show a receiver whose body this is, of which time.

    Args:
        name: Of the message; a receiver drops one that it has seen.
        now: Time of sending.
        secret: Key that the receiver has too.

    Returns:
        `webhook-id`, `webhook-timestamp` (Unix seconds), `webhook-signature`: `v1,` and base64 of
        HMAC-SHA256 over `id.timestamp.body`.
    """
    at = str(int(now.timestamp()))
    mac = hmac.new(secret, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": name,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{b64encode(mac).decode()}",
    }


@dataclass(frozen=True)
class Mail:
    """Sends one mail for all events."""

    alarms: AlarmSettings
    name: ClassVar[str] = "mail"

    def deliver(self, events: Sequence[Event], workspace: str, now: datetime) -> None:
        """See `AlarmTarget`."""
        alarms = self.alarms
        message = as_mail(events, workspace, now, alarms.mail_from, alarms.mail_to)
        where = (alarms.smtp_host, alarms.smtp_port)
        try:
            with self._connect(*where) as server:
                if alarms.smtp_security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if alarms.smtp_user:
                    server.login(alarms.smtp_user, alarms.smtp_password)
                refused = server.send_message(message)
        except smtplib.SMTPException as error:
            raise IncompleteError(f"{type(error).__name__}: {error}") from None
        if refused:
            raise IncompleteError(f"it refused {', '.join(sorted(refused))}")

    def _connect(self, host: str, port: int) -> smtplib.SMTP:
        wait = self.alarms.timeout_s
        if self.alarms.smtp_security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, timeout=wait, context=context)
        return smtplib.SMTP(host, port, timeout=wait)


@dataclass(frozen=True)
class Syslog:
    """Sends RFC 5424 messages: one a datagram, or counted over TCP or TLS (RFC 6587, RFC 5425).

    Over UDP nobody learns whether they arrived.
    """

    alarms: AlarmSettings
    name: ClassVar[str] = "syslog"

    def deliver(self, events: Sequence[Event], workspace: str, now: datetime) -> None:
        """See `AlarmTarget`."""
        alarms = self.alarms
        lines = [as_syslog(event, workspace, now, alarms.syslog_format) for event in events]
        where = (alarms.syslog_host, alarms.syslog_port)
        if alarms.syslog_transport == "udp":
            family = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)[0][0]
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.connect(where)
                for message in lines:
                    sender.send(message)
            return
        counted = b"".join(str(len(message)).encode() + b" " + message for message in lines)
        with socket.create_connection(where, alarms.timeout_s) as plain:
            if alarms.syslog_transport == "tcp":
                plain.sendall(counted)
                return
            context = ssl.create_default_context()
            with context.wrap_socket(plain, server_hostname=alarms.syslog_host) as sealed:
                sealed.sendall(counted)
