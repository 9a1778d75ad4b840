"""Hostile text stays a value in every format of an alarm; targets that cannot be are refused."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from ragguard.config import load
from ragguard.errors import ConfigError
from ragguard.integrations.alarms import formats
from ragguard.integrations.alarms.events import Event, EventItem
from ragguard.trust.canonical import format_time
from tests.support.servers.alarms import cef, fits_schema, parsed
from tests.support.simulator import NOW

# Ends headers of mail, lines of syslog, fields of CEF and of structured data, and a terminal.
HOSTILE = 'a\r\nBcc: evil@evil.invalid\r\n\r\n<13>1 x|y=z]" \\ \x1b[31m\u202e\x00 {n} {0}'


def event(name: str = HOSTILE, kind: Any = "case") -> Event:
    return Event(
        kind, "warning", "RG301", "{n} thing{s}", (EventItem("k", name),), format_time(NOW)
    )


def test_hostile_text_stays_a_value_of_syslog_and_cef() -> None:
    for kind in ("case", "finding"):
        said = formats.as_syslog(event(kind=kind), HOSTILE, NOW, "rfc5424").decode()
        assert parsed(said)["msgid"] == kind
        assert not re.search(r"[\x00-\x1f\x7f\u202e]", said)
        sealed = parsed(formats.as_syslog(event(), HOSTILE, NOW, "cef").decode())["msg"]
        header, fields = cef(sealed)
        assert header[:3] == ["CEF:0", "ragguard", "ragguard"]
        assert set(fields) == {"rt", "cat", "cnt", "cs1Label", "cs1", "msg", "cs2Label", "cs2"}
        assert "x|y=z]" in fields["cs2"]


def test_a_message_that_is_too_long_is_cut_at_a_character() -> None:
    long = Event("case", "note", "x" * 50, "ü" * 3_000, (EventItem("k", "ü" * 3_000),), "")
    said = formats.as_syslog(long, "ü" * 500, NOW, "rfc5424")
    assert len(said) <= 2_048
    assert parsed(said.decode())


def test_hostile_text_adds_no_header_to_a_mail() -> None:
    for events in ([event()], [event(), event()]):
        made = formats.as_mail(events, HOSTILE, NOW, "a@example.org", ["b@example.org"])
        back = message_from_bytes(made.as_bytes(), policy=policy.default)
        assert "bcc" not in back
        assert set(map(str.lower, back.keys())) == {
            *("subject", "from", "to", "date", "message-id", "auto-submitted"),
            *("content-type", "content-transfer-encoding", "mime-version"),
        }
        assert isinstance(back, EmailMessage)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", back.get_content())


def test_json_has_hostile_text_as_a_harmless_line() -> None:
    (told,) = fits_schema(formats.as_json([event()], HOSTILE, NOW))["data"]["alarms"]
    assert "\\x1b[31m\\u{202e}\\x00 {n} {0}" in told["summary"]


# --- settings and commands ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"WEBHOOK_URL": "http://hooks.example.org/x"}, "expected https"),
        ({"WEBHOOK_URL": "https://u:p@example.org/"}, "expected https://HOST/PATH"),
        ({"WEBHOOK_URL": "https://example.org/"}, "expected whsec_"),
        ({"WEBHOOK_URL": "https://e.org/", "WEBHOOK_SECRET": "whsec_AAAA"}, "24 to 64 bytes"),
        ({"SMTP_HOST": "mail.example.org"}, "mail_from and mail_to"),
        ({"SYSLOG_TRANSPORT": "pigeon"}, "udp"),
    ],
)
def test_targets_that_cannot_be_are_refused(
    given: dict[str, str], says: str, tmp_path: Path
) -> None:
    named = {f"RAGGUARD_ALARMS__{name}": value for name, value in given.items()}
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        load(tmp_path / "ragguard.toml", named)
    assert "AAAA" not in str(caught.value)


def test_a_password_in_the_clear_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ragguard.toml"
    file.write_text(
        '[alarms]\nsmtp_host = "mail.example.org"\nsmtp_security = "none"\n'
        'mail_from = "a@example.org"\nmail_to = ["b@example.org"]\n'
    )
    load(file, {})
    with pytest.raises(ConfigError, match="in the clear"):
        load(file, {"RAGGUARD_ALARMS__SMTP_PASSWORD": "hunter2"})
