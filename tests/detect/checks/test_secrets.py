"""Every secret here is made up, and put together in the test so that no scanner finds it here."""

from __future__ import annotations

import base64
import hashlib
import importlib

import pytest

from tests.support.checks.views import (
    Doc,
    assert_order_is_irrelevant,
    by_document,
    doc,
    make_view,
    measure,
)

PROSE = "The desk keeps the keys of the machines. Ask for them on Monday, and bring them back.\n"
AWS = "AKIA" + "Z7Q3MX4LT9PWKE2B"
GITHUB = "gh" + "p_" + "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx"
SLACK = "xo" + "xb-263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1"
STRIPE = "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc"
TOKEN = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (
        b'{"alg":"HS256","typ":"JWT"}',
        b'{"sub":"tide-desk","exp":1999999999}',
        bytes(range(32)),
    )
)
BODY = "\n".join(
    base64.b64encode(hashlib.sha512(bytes([i])).digest()[:48]).decode() for i in range(4)
)
HEADER = "-----BEGIN " + "RSA PRIVATE KEY-----"
KEY = f"{HEADER}\n{BODY}"
ADDRESS = "postgres://service:" + "Qm7vX2pLz9@db.tarnvale.net/tide"

SECRETS = {
    "cloud key": (f"Use {AWS} for the bucket.", "AWS Access Key"),
    "cloud key in a table": (f"| key | {AWS} |", "AWS Access Key"),
    "cloud key in an assignment": (f"aws_access_key_id={AWS}", "AWS Access Key"),
    "code hosting token": (f"git clone with {GITHUB}", "GitHub Token"),
    "chat token": (f"SLACK={SLACK}", "Slack Token"),
    "payment key": (f"key: {STRIPE}", "Stripe Access Key"),
    "web token": (f"Bearer {TOKEN}", "JSON Web Token"),
    "private key": (KEY, "Private Key"),
    "credentials in an address": (ADDRESS, "Basic Auth Credentials"),
    "exempted by its author": (f"{AWS} # pragma: allowlist secret", "AWS Access Key"),
    "far along in a long line": ("word " * 900 + AWS + " word" * 900, "AWS Access Key"),
    "behind a long run": ("x" * 5_000 + f" {AWS}", "AWS Access Key"),
    "line ended as on windows": (f"first\r\n{AWS}\r\nlast", "AWS Access Key"),
}
HONEST = {
    "prose": PROSE,
    "empty": "",
    "a key's header in a how-to": f"The file begins with {HEADER} and goes on for some lines.",
    "a key with dots for its body": f"{HEADER}\n...\n",
    "sample key of a manual": "Set the key to AKIA" + "IOSFODNN7EXAMPLE and try it.",
    "sample credentials": "curl http://user:" + "password@proxy.tarnvale.net:8080/",
    "reserved host": "postgres://service:" + "Qm7vX2pLz9@db.example.org/tide",
    "talk about passwords": "A password has sixteen characters and is never sent. password: ask",
    "placeholder in an address": "postgres://user:<password>@db.tarnvale.example/tide",
    "address without credentials": "https://queue.tarnvale.example:8443/find?q=cable",
    "mail address": "Write to desk@tarnvale.example or call 01632 960123.",
    "digest": hashlib.sha256(b"firmware").hexdigest() + "  firmware-2.4.1.bin",
    "commit": "Fixed in 9fceb02d0ae598e95dc970b74767f19372d61af8.",
    "uuid": "The station 123e4567-e89b-12d3-a456-426614174000 is in the north.",
    "public key": "-----BEGIN " + "PUBLIC KEY-----",
    "image": "![logo](data:image/png;base64," + base64.b64encode(bytes(range(99))).decode() + ")",
    "serial numbers": "Probe MRL-2024-000183-B, logger RDL-2023-114477-A, invoice 2026-03-000417",
    "web token signed with a word": f'"access_token": "{TOKEN[:-43]}c2lnbmF0dXJl"',
    "web token cut short": f"Authorization: Bearer {TOKEN[:-44]} and so on",
    "variable names": "export TIDEMARK_BUFFER_SIZE_2=4096 and connection_pool_size_max_32",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_by_kind_and_never_shown(kind: str) -> None:
    text, expected = SECRETS[kind]
    view = make_view([doc("leak.md", PROSE + text), doc("plain.md", PROSE)])
    signal = measure("secrets", view)
    assert signal.scores[0] >= 3.0
    assert signal.scores[1] == 0.0
    evidence = signal.explain(0)
    assert expected in evidence.detail
    for shown in (evidence.detail, repr(dict(evidence.facts))):
        for secret in (AWS, GITHUB, SLACK, STRIPE, TOKEN, "Qm7vX2pLz9"):
            assert secret not in shown
            assert secret[:12] not in shown


@pytest.mark.parametrize("kind", HONEST)
def test_honest_look_alikes_are_left_alone(kind: str) -> None:
    assert by_document("secrets", [doc("honest.md", HONEST[kind])]) == {"wiki/honest.md": 0.0}


def test_each_further_secret_adds_one() -> None:
    one, two = PROSE + AWS, PROSE + AWS + "\n" + ADDRESS
    found = by_document("secrets", [doc("one.md", one), doc("two.md", two)])
    assert found == {"wiki/one.md": 3.0, "wiki/two.md": 4.0}


def test_the_line_is_named() -> None:
    text = PROSE * 3 + AWS + "\n" + PROSE + KEY
    evidence = measure("secrets", make_view([doc("leak.md", text)])).explain(0)
    assert evidence.facts["secrets"] == [("AWS Access Key", 4), ("Private Key", 6)]
    assert "AWS Access Key in line 4" in evidence.detail


def test_a_secret_in_what_is_not_shown_counts_too() -> None:
    """The source text is looked at, not what the parser made of it."""
    hidden = Doc("leak.html", (PROSE,), raw=f"<p>{PROSE}</p><!-- {AWS} -->")
    assert by_document("secrets", [hidden]) == {"wiki/leak.html": 3.0}


def test_a_document_is_scored_once_at_its_first_chunk() -> None:
    long = Doc("long.md", (PROSE, PROSE + AWS))
    signal = measure("secrets", make_view([doc("a.md", PROSE), long]))
    assert signal.scores.tolist() == [0.0, 3.0, 0.0]


def test_order_of_documents_is_irrelevant() -> None:
    docs = [doc(f"{k}.md", t) for k, (t, _) in list(SECRETS.items())[:3]]
    assert_order_is_irrelevant("secrets", [*docs, doc("plain.md", PROSE)])


def test_kinds_can_be_ignored() -> None:
    view = make_view([doc("leak.md", AWS + "\n" + KEY)])
    assert measure("secrets", view, ignored=["AWS Access Key"]).scores[0] >= 3.0
    every = ["AWS Access Key", "Private Key", "Base64 High Entropy String"]
    every += ["Hex High Entropy String", "Secret Keyword"]
    assert measure("secrets", view, ignored=every).scores[0] == 0.0


def test_settings_of_the_detectors_are_put_back() -> None:
    from detect_secrets.settings import get_settings

    before = get_settings().json()
    measure("secrets", make_view([doc("leak.md", AWS)]))
    assert get_settings().json() == before


@pytest.mark.parametrize(
    "text",
    [
        "see postgres" + "://reader:Sek" + "ret-1@db/x for it",
        "-----BEG" + "IN RSA PRIVATE KEY-----",
        f"a ({GITHUB}) b",
        "sixteen-letters-and-2-digits",
        "only-letters-in-a-long-word and short ones",
        "http://plain.address/of/a/page",
        "",
    ],
)
def test_looking_at_long_words_only_misses_nothing_the_pattern_finds(text: str) -> None:
    module = importlib.import_module("ragguard.detect.checks.secrets")
    assert module._may_hold(text) is (module._LIKELY.search(text) is not None)
    assert module._may_hold(f"a\u00a0b {text}\nwords") is (module._LIKELY.search(text) is not None)
