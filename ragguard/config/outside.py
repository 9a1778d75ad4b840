"""Read the settings of whose word is taken and who is told: `[web]` and `[alarms]`.

Nothing of them changes what is in the corpus. Secrets come from the environment
(`RAGGUARD_ALARMS__WEBHOOK_SECRET`).
"""

from __future__ import annotations

import ipaddress
from base64 import b64decode
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ragguard.errors import ConfigError

LEAST_SECRET = 32  # characters of a secret that a proxy sends
SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks write a secret
SECRET_BYTES = range(24, 65)
JobName = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$")]


class Section(BaseModel):
    """A table of ragguard.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestSettings(Section):
    """[web.ingest.NAME]: a manifest that an operator may have ingested from the page."""

    manifest: str = Field(min_length=1, description="its file; relative to the workspace")
    root: str = Field(
        default="",
        description="folder or URL its names are relative to; empty: the folder of the manifest",
    )


class WebSettings(Section):
    """[web]: whose word is taken for who asks, and what operators may ask for; off by default."""

    ingest: dict[JobName, IngestSettings] = Field(
        default_factory=dict,
        description="what operators may have ingested, by name: `manifest` (a file) and `root` "
        "(folder or URL; else the manifest's folder)",
    )
    operators: list[str] = Field(
        default_factory=list,
        description="principals whose sessions also start jobs and revoke tokens",
    )

    proxy: str = Field(
        default="",
        description="address from which the proxy connects, such as 127.0.0.1; empty: none, and "
        "its header is ignored",
    )
    proxy_header: str = Field(
        default="x-forwarded-preferred-username",
        pattern="^[A-Za-z0-9-]{1,64}$",
        description="header in which it names a principal of the trust root",
    )
    proxy_secret: str = Field(
        default="",
        repr=False,
        description="what it sends as X-Ragguard-Proxy-Secret; in RAGGUARD_WEB__PROXY_SECRET",
    )
    public_url: str = Field(
        default="", description="https address at which it serves the page, without a path"
    )


class AlarmSettings(Section):
    """[alarms]: who is told what happened, by which way; nobody by default."""

    level: Literal["error", "warning", "note"] = Field(
        default="warning", description="mildest level of an audit's findings that is told"
    )
    again_hours: int = Field(
        default=168, ge=1, le=8760, description="hours until the same thing is told again"
    )
    most_an_hour: int = Field(
        default=20, ge=1, le=1000, description="alarms to a target; what is more is counted"
    )
    audit_hours: int = Field(
        default=0, ge=0, le=8760, description="hours without an audit that are told; 0: none"
    )
    ingest_hours: int = Field(
        default=0, ge=0, le=8760, description="hours without an ingest that are told; 0: none"
    )
    timeout_s: float = Field(default=10.0, gt=0, le=120, description="seconds for a target")
    webhook_url: str = Field(default="", description="https address that JSON is posted to")
    webhook_secret: str = Field(
        default="",
        repr=False,
        description="whsec_ and base64 of 24 to 64 bytes; in RAGGUARD_ALARMS__WEBHOOK_SECRET",
    )
    smtp_host: str = Field(default="", description="mail server")
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password: str = Field(
        default="", repr=False, description="in RAGGUARD_ALARMS__SMTP_PASSWORD"
    )
    mail_from: str = Field(default="", description="address that mail comes from")
    mail_to: list[str] = Field(default_factory=list, description="addresses that mail goes to")
    syslog_host: str = Field(default="", description="collector of RFC 5424 messages")
    syslog_port: int = Field(default=514, ge=1, le=65_535)
    syslog_transport: Literal["udp", "tcp", "tls"] = "udp"
    syslog_format: Literal["rfc5424", "cef"] = Field(
        default="rfc5424", description="cef: the message is a CEF event"
    )

    @property
    def secret(self) -> bytes:
        """The key of the webhook's signature."""
        return b64decode(self.webhook_secret.removeprefix(SECRET_PREFIX), validate=True)


def check_proxy(web: WebSettings) -> None:
    """Refuse a proxy that anybody on this machine could pretend to be.

    Raises:
        ConfigError: No address, no https in front of it, or no secret.
    """
    if not web.proxy:
        return
    try:
        ipaddress.ip_address(web.proxy)
    except ValueError:
        raise ConfigError(f"[web] proxy: expected an address, found {web.proxy!r}") from None
    parts = urlsplit(web.public_url)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
        raise ConfigError(
            f"[web] public_url: expected https://HOST, found {web.public_url!r}",
            hint="Sessions of people behind a proxy need TLS up to it.",
        )
    if len(web.proxy_secret) < LEAST_SECRET:
        raise ConfigError(
            f"[web] proxy_secret: expected at least {LEAST_SECRET} characters",
            hint="Every process of this machine connects from 127.0.0.1: only the secret tells the "
            "proxy apart. Set RAGGUARD_WEB__PROXY_SECRET, and let the proxy send it as "
            "X-Ragguard-Proxy-Secret.",
        )


def check_alarms(alarms: AlarmSettings) -> None:
    """Refuse targets that cannot be reached, or that would be told in the clear.

    Raises:
        ConfigError: Something is missing, or a secret would go over a network in the clear.
    """
    if alarms.webhook_url:
        parts = urlsplit(alarms.webhook_url)
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
            raise ConfigError("[alarms] webhook_url: expected https://HOST/PATH")
        if parts.scheme == "http" and not is_near(parts.hostname):
            raise ConfigError(
                "[alarms] webhook_url: expected https: alarms name documents and sources",
                hint="Over http they are posted to this machine only.",
            )
        try:
            size = len(alarms.secret)
        except ValueError:
            size = 0
        if not alarms.webhook_secret.startswith(SECRET_PREFIX) or size not in SECRET_BYTES:
            raise ConfigError(
                f"[alarms] webhook_secret: expected {SECRET_PREFIX} and base64 of "
                f"{SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes",
                hint="Set RAGGUARD_ALARMS__WEBHOOK_SECRET; "
                "`echo whsec_$(openssl rand -base64 32)` makes one.",
            )
    if alarms.smtp_host and not (alarms.mail_from and alarms.mail_to):
        raise ConfigError("[alarms] smtp_host: goes with mail_from and mail_to")
    if alarms.mail_to and not alarms.smtp_host:
        raise ConfigError("[alarms] mail_to: goes with smtp_host")
    for address in (alarms.mail_from, *alarms.mail_to):
        if address and (not address.isprintable() or "@" not in address or " " in address):
            raise ConfigError(f"[alarms] {address!r}: expected an address such as ops@example.org")
    in_clear = alarms.smtp_security == "none" and not is_near(alarms.smtp_host)
    if alarms.smtp_password and in_clear:
        raise ConfigError(
            "[alarms] smtp_security: the password would go in the clear",
            hint='Use "starttls" or "tls".',
        )


def by_proxy(url: str) -> bool:
    """Tell whether the proxies that the environment names may carry requests to a url.

    Not those to this machine over http: where the url is checked a key may go there in the clear,
    and a proxy is another machine.
    """
    parts = urlsplit(url if "://" in url else f"//{url}")
    return parts.scheme == "https" or not is_near(parts.hostname or "localhost")


def is_near(host: str) -> bool:
    """Tell whether a host is this machine."""
    host = host.rstrip(".")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
