"""Formats of secrets. Every value here is made by a seeded generator when a test runs."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ragguard.detect import secret_formats
from ragguard.trust import keys
from tests.support.hanging import ends

MIXED = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"
RNG = random.Random(17)


def r(n: int, alphabet: str = MIXED) -> str:
    """A random run; digits and both cases are in it as in a real one."""
    while True:
        made = "".join(RNG.choice(alphabet) for _ in range(n))
        if alphabet is not MIXED or (any(map(str.isdigit, made)) and not made.isalnum() ^ True):
            return made


def h(n: int) -> str:
    return r(n, HEX)


def pem(kind: str) -> str:
    body = "\n".join(r(64, MIXED + "+/") for _ in range(4))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"


def jwk() -> str:
    return '{"kty":"OKP","crv":"Ed25519","x":"' + r(43) + '","d":"' + r(43) + '"}'


MADE: dict[str, Callable[[], str]] = {
    "our own, in the clear": lambda: keys.dump_private(keys.generate("alice"), None).decode(),
    "our own, indented": lambda: (
        '{\n  "format": "ragguard-private-key-v1",\n  "seed": "' + h(64) + '"\n}'
    ),
    "PKCS 1": lambda: pem("RSA PRIVATE KEY"),
    "PKCS 8": lambda: pem("PRIVATE KEY"),
    "PKCS 8, one line of key": lambda: (
        "-----BEGIN PRIVATE KEY-----\n" + r(64) + "\n-----END PRIVATE KEY-----"
    ),
    "encrypted PEM": lambda: pem("ENCRYPTED PRIVATE KEY"),
    "OpenSSH": lambda: pem("OPENSSH PRIVATE KEY"),
    "PGP": lambda: pem("PGP PRIVATE KEY BLOCK").replace("-----\n", "-----\nVersion: 2\n\n", 1),
    "PEM in JSON": lambda: '"private_key": "' + pem("PRIVATE KEY").replace("\n", "\\n") + '"',
    "PEM in base64": lambda: base64.b64encode(pem("RSA PRIVATE KEY").encode()).decode(),
    "PuTTY": lambda: (
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nPublic-Lines: 1\n"
        f"{r(64)}\nPrivate-Lines: 1\n{r(43)}=\nPrivate-MAC: {h(64)}"
    ),
    "minisign": lambda: f"untrusted comment: minisign secret key\nRW{r(90)}",
    "age": lambda: "AGE-SECRET-KEY-1" + r(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    "WireGuard": lambda: f"[Interface]\nPrivateKey = {r(43)}=\n",
    "JSON Web Key": jwk,
    "wallet": lambda: "xprv" + r(107, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"),
    "AWS": lambda: "AKIA" + r(16, UPPER),
    "AWS for a session": lambda: "ASIA" + r(16, UPPER),
    "AWS secret": lambda: f"aws_secret_access_key = {r(40)}",
    "Bedrock": lambda: "ABSK" + r(120),
    "Google API": lambda: "AIza" + r(35),
    "Google OAuth": lambda: "GOCSPX-" + r(28),
    "Google token": lambda: "ya29." + r(80),
    "Azure client secret": lambda: r(3) + "8Q~" + r(34),
    "Azure storage": lambda: f"AccountName=tide;AccountKey={r(86)}==;",
    "Azure bus": lambda: f"SharedAccessKeyName=Root;SharedAccessKey={r(43)}=",
    "Azure signature": lambda: f"https://x.net/a?sv=2024-01-01&sp=r&sig={r(43)}%3D",
    "Azure DevOps": lambda: r(76) + "AZDO" + r(4),
    "Alibaba": lambda: "LTAI" + r(20),
    "Tencent": lambda: "AKID" + r(32),
    "DigitalOcean": lambda: "dop_v1_" + h(64),
    "GitHub": lambda: "gh" + "p_" + r(36),
    "GitHub, fine-grained": lambda: "github_pat_" + r(22) + "_" + r(59),
    "GitLab": lambda: "glpat-" + r(20),
    "GitLab runner": lambda: "glrt-" + r(20),
    "Atlassian": lambda: "ATATT3" + r(180),
    "Slack": lambda: "xoxb-2635942065-2343594206-" + r(24),
    "Slack app": lambda: f"xapp-1-A{r(9, UPPER)}-{r(13, string.digits)}-{h(64)}",
    "Slack webhook": lambda: (
        f"https://hooks.slack.com/services/T{r(8, UPPER)}/B{r(8, UPPER)}/{r(24)}"
    ),
    "Discord webhook": lambda: (
        f"https://discord.com/api/webhooks/{r(18, string.digits)}/{r(68)}"
    ),
    "Discord bot": lambda: f"token: M{r(23)}.{r(6)}.{r(38)}",
    "Telegram": lambda: r(9, "123456789") + ":AA" + r(33),
    "Stripe": lambda: "sk_" + "live_" + r(24),
    "Stripe, restricted": lambda: "rk_" + "live_" + r(24),
    "Stripe webhook": lambda: "whsec_" + r(32),
    "Square": lambda: "sq0atp-" + r(22),
    "Shopify": lambda: "shpat_" + h(32),
    "OpenAI": lambda: "sk-proj-" + r(60) + "T3BlbkFJ" + r(60),
    "OpenAI of before": lambda: "sk-" + r(20) + "T3BlbkFJ" + r(20),
    "Anthropic": lambda: "sk-ant-api03-" + r(93) + "AA",
    "OpenRouter": lambda: "sk-or-v1-" + h(64),
    "Groq": lambda: "gsk_" + r(52),
    "Perplexity": lambda: "pplx-" + r(48),
    "xAI": lambda: "xai-" + r(80),
    "LangSmith": lambda: "lsv2_pt_" + h(32) + "_" + h(10),
    "Hugging Face": lambda: "hf_" + r(34),
    "npm": lambda: "npm_" + r(36),
    "npmrc": lambda: f"//registry.tide.net/:_authToken={r(36)}",
    "PyPI": lambda: "pypi-AgEIcHlwaS5vcmc" + r(120),
    "RubyGems": lambda: "rubygems_" + h(48),
    "crates.io": lambda: "cio" + r(32),
    "NuGet": lambda: "oy2" + r(43, string.ascii_lowercase + string.digits),
    "Docker": lambda: "dckr_pat_" + r(27),
    "Docker config": lambda: '{"auths": {"x.net": {"auth": "' + r(32) + '"}}}',
    "Artifactory": lambda: "AKCp" + r(69),
    "SendGrid": lambda: f"SG.{r(22)}.{r(43)}",
    "Mailgun": lambda: "key-" + h(32),
    "Mailchimp": lambda: h(32) + "-us12",
    "Brevo": lambda: "xkeysib-" + h(64) + "-" + r(16),
    "Resend": lambda: "re_" + r(8) + "_" + r(24),
    "Twilio": lambda: "SK" + h(32),
    "Databricks": lambda: "dapi" + h(32),
    "Doppler": lambda: "dp.pt." + r(43),
    "Vault": lambda: "hvs." + r(92),
    "Terraform": lambda: r(14) + ".atlasv1." + r(67),
    "Pulumi": lambda: "pul-" + h(40),
    "1Password": lambda: (
        f"A3-{r(6, UPPER)}-{r(6, UPPER)}-{r(5, UPPER)}-{r(5, UPPER)}-{r(5, UPPER)}-{r(5, UPPER)}"
    ),
    "Grafana": lambda: "glsa_" + r(32) + "_" + h(8),
    "New Relic": lambda: "NRAK-" + r(27, UPPER),
    "Sentry": lambda: "sntryu_" + h(64),
    "Dynatrace": lambda: f"dt0c01.{r(24, UPPER)}.{r(64, UPPER)}",
    "Postman": lambda: f"PMAK-{h(24)}-{h(34)}",
    "Linear": lambda: "lin_api_" + r(40),
    "Notion": lambda: "ntn_" + r(11, string.digits) + r(35),
    "Notion of before": lambda: "secret_" + r(43),
    "Airtable": lambda: "pat" + r(14) + "." + h(64),
    "Figma": lambda: "figd_" + r(40),
    "Asana": lambda: "1/" + r(16, string.digits) + ":" + h(32),
    "Dropbox": lambda: "sl." + r(140),
    "Facebook": lambda: "EAAC" + r(150),
    "Twitter": lambda: "A" * 22 + r(80),
    "Mapbox": lambda: f"sk.eyJ{r(80)}.{r(22)}",
    "Heroku": lambda: "HRKU-" + r(58),
    "Netlify": lambda: "nfp_" + r(36),
    "Supabase": lambda: "sbp_" + h(40),
    "PlanetScale": lambda: "pscale_tkn_" + r(43),
    "Cloudflare": lambda: f"v1.0-{h(24)}-{h(146)}",
    "Tailscale": lambda: f"tskey-auth-{r(12)}-{r(32)}",
    "Sourcegraph": lambda: "sgp_" + h(40),
    "SonarQube": lambda: "sqp_" + h(40),
    "CircleCI": lambda: f"CCIPAT_{r(22)}_{h(40)}",
    "Okta": lambda: f"Authorization: SSWS 00{r(40)}",
    "OpenShift": lambda: "sha256~" + r(43),
    "one-time passwords": lambda: f"otpauth://totp/Tide:desk?secret={r(32, UPPER)}&issuer=Tide",
    ".netrc": lambda: f"machine x.net login desk password {r(14)}",
    "curl": lambda: f'curl -H "Authorization: Bearer {r(40)}" https://x.net',
    "header": lambda: f"X-Api-Key: {r(32)}",
    "connection string": lambda: f"Server=db;Database=tide;User Id=desk;Password={r(14)};",
    "shadow": lambda: f"desk:$6${r(16)}${r(86)}:19000:0:99999:7:::",
    "assigned key": lambda: f'api_key = "{r(32)}"',
    "assigned hex key": lambda: f"DATADOG_API_KEY={h(32)}",
    "assigned secret in YAML": lambda: f"  client_secret: {r(40)}",
    "assigned password": lambda: f"DB_PASSWORD={r(16)}",
}  # fmt: skip
HONEST = {
    "AWS's example": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS's example secret": "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "crosses": "api_key = " + "x" * 32,
    "your key": 'api_key = "your-api-key-goes-here-2"',
    "angle brackets": "Authorization: Bearer <your token here>",
    "shell variable": "Authorization: Bearer $ACCESS_TOKEN_OF_THE_DESK",
    "environment": 'secret_key = os.environ["TIDE_SECRET_KEY_2"]',
    "call": "client_secret = read_client_secret_from_file(path2)",
    "dotted name": "access_token = settings.tide.access_token_2.value",
    "path": "private_key = /etc/tide/keys/private_key_2.pem",
    "template": "password: {{ vault.tide_password_2 }}",
    "prose": "The token: a small brass disc. The secret: there is none. Password: ask at the desk.",
    "counts": "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "repeats": "ghp_" + "0123456789" * 4,
    "header only": "-----BEGIN PRIVATE KEY-----",
    "cut": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA...\n-----END RSA PRIVATE KEY-----",
    "public key": "-----BEGIN PUBLIC KEY-----\n" + "MCowBQYDK2VwAyEA" * 4,
    "next page": '"NextToken": "eyJDdXN0b21lckFjY291bnRJZCI6IjI3MDIwNTQwMjg0NSJ9x8"',
    "digest": "sha256:" + "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit": "key: 9fceb02d0ae598e95dc970b74767f19372d61af8 in the change log",
    "map key of a page": '{"googleMapKey":"AIza' + "SyBQI3yqiP4EIrlpZwlDxnkG1vzg9qLm7Yc" + '"}',
    "map of a page": '<a src="m.x/js?key=AIza' + "SyBQI3yqiP4EIrlpZwlDxnkG1vzg9qLm7Yc" + '">',
    "public half": keys.dump_public(keys.generate("alice").public).decode(),
    "password in a test": 'password="correct horse battery staple"',
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_a_format_is_found(name: str) -> None:
    made = MADE[name]()
    for text in (made, f"The desk wrote:\n{made}\nand went home."):
        assert list(secret_formats.found(text)), text


def test_every_shipped_format_is_tried_by_an_example() -> None:
    text = [maker() for maker in MADE.values() for _ in range(3)]  # chance makes few of a format
    kinds = {s.kind for made in text for s in secret_formats.found(made)}
    untried = {one.kind for one in secret_formats.formats()} - kinds
    assert untried <= {
        "Yandex key",
        "Braintree token",
        "Flutterwave or Paystack key",
        "Clojars token",
        "build service token",
        "Prefect, EasyPost, Duffel or Frame.io token",
        "ReadMe, Typeform, Contentful, Adobe or Shippo token",
        "Mailgun key",
    }


@pytest.mark.parametrize("name", HONEST)
def test_what_documentation_shows_is_none(name: str) -> None:
    assert [(s.kind, s.value) for s in secret_formats.found(HONEST[name])] == []


def test_no_pattern_is_compiled_for_a_text_without_its_keyword() -> None:
    secret_formats._compiled.cache_clear()
    assert list(secret_formats.found("Lunch is at noon on the second floor. " * 200)) == []
    assert secret_formats._compiled.cache_info().currsize == 0


def test_a_find_is_named_where_its_format_begins() -> None:
    (found,) = secret_formats.found("one\ntwo\n" + pem("RSA PRIVATE KEY"))
    assert found.start == len("one\ntwo\n")


KEYWORDS = sorted({k for one in secret_formats.formats() for k in one.keywords})
SEEDS = (
    *("a", "-", "=", '"', "'", " ", "\n", ".", "/", "A", "A1", "a.", "x=", "key=", 'key="', "\\n"),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n", "server=a;"),
    *('"kty":"RSA"', '"d":"', "password=", "token ", "machine a login a password ", "glpat-"),
    *("?sv=2024-01-01&", "sk-ant-api03-", "eyJ.", "a:$6$", "otpauth://totp/a?", "1/1"),
    *("ragguard-private-key-v1", "key: "),
)


@ends
@pytest.mark.parametrize("seed", SEEDS)
def test_no_format_takes_more_than_linear_time(seed: str) -> None:
    """A long run of any seed, every format asked; one quadratic in it takes minutes."""
    list(secret_formats.found(" ".join(KEYWORDS) + "\n" + (seed * 50_000)[:50_000] + "!"))


def _repeats(parsed: Any) -> Iterator[int]:
    """Upper ends of all repeats in a parsed pattern."""
    for operation, arguments in parsed:
        if str(operation) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield int(arguments[1])
            yield from _repeats(arguments[2])
        elif str(operation) == "BRANCH":
            for branch in arguments[1]:
                yield from _repeats(branch)
        elif str(operation) in ("SUBPATTERN", "ASSERT", "ASSERT_NOT", "ATOMIC_GROUP"):
            yield from _repeats(arguments[-1] if isinstance(arguments, tuple) else arguments)


@pytest.mark.parametrize("one", secret_formats.formats(), ids=lambda one: one.kind)
def test_every_repeat_of_a_format_has_an_upper_end(one: secret_formats.SecretFormat) -> None:
    import re._parser as parser  # the standard library's own reading of a pattern

    for pattern in (one.pattern, one.before):
        assert all(most <= 3_000 for most in _repeats(parser.parse(pattern)))
    assert list(_repeats(parser.parse("(?:a+|(b*?))"))) == [parser.MAXREPEAT] * 2
