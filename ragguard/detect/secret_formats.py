"""Match formats of secrets: where in a text one of them stands, and which are samples.

The formats are `checks/rules/secrets.toml`. A pattern is compiled and tried only where a text has
one of its keywords, and every repeat in it is bounded, so the cost of a text grows with its length.
What documentation shows in place of a secret is none: a value that says it is an example, repeats
itself, counts, or has less entropy than a random one.
Source of the keywords' use: gitleaks, which looks for them before it tries a rule.
"""

from __future__ import annotations

import base64
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import log2
from typing import Any

MOST = 100  # finds in a text
_LEAST_BITS = 3.0
_LEAD = 60  # characters before a match that may name it
_SAMPLE = re.compile(
    r"example|sample|placeholder|changeme|change[_.-]me|replace|dummy|your|xxxx|\.\.\.|\*\*\*"
    r"|redacted|insert|12345678|abcdefgh|deadbeef|fake|testtest|foobar|lorem|secret|password|token"
    r"|mykey|(?:my|the|some)[_.-]",
    re.IGNORECASE,
)
_REPEATS = re.compile(r"(.)\1{4,}|(..?.?.?)\2{4,}")
_BLANK = re.compile(r"\s+|\\[nr]")
_CLAIMS = frozenset(("sub", "iss", "aud", "exp", "scope", "scp", "client_id", "azp", "email"))
_SAMPLE_SUBJECTS = frozenset(("1234567890", "user123", "johndoe", "alice", "bob", "joe", "user"))
_SIGNATURE = 43  # letters of a web token's signature: 256 bits at least (RFC 7518, section 3)
_HEX = re.compile(r"[0-9a-f-]+|[0-9A-F-]+")
_CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[a-z]+(?:[-_/.][a-z]+)+|[A-Z_]+|[A-Za-z]+")


@dataclass(frozen=True)
class SecretFormat:
    """One format of a secret.

    Attributes:
        kind: What a find is called.
        keywords: Lower case; without one of them in a text the pattern is not tried.
        pattern: Regular expression with a group for the random part.
        least: Bits of entropy a character of it.
        assigned: Known by little but a name, so that the value must look random.
        before: What must stand right before a match; a pattern that begins with it is far slower.
        unless: What right before a match says that it is public: every browser is given it.
    """

    kind: str
    keywords: tuple[str, ...]
    pattern: str
    least: float = _LEAST_BITS
    assigned: bool = False
    before: str = ""
    unless: str = ""


@dataclass(frozen=True)
class Secret:
    """A secret in a text: its random part, and the character at which its format begins."""

    kind: str
    value: str
    start: int


@cache
def formats() -> tuple[SecretFormat, ...]:
    """Return the shipped formats."""
    place = files("ragguard.detect.checks.rules").joinpath("secrets.toml")
    rows = tomllib.loads(place.read_text("utf-8"))["format"]
    return tuple(SecretFormat(**{**row, "keywords": tuple(row["keywords"])}) for row in rows)


@cache
def _keywords() -> tuple[tuple[str, int], ...]:
    """List every keyword, and the number of its format."""
    return tuple((word, at) for at, format_ in enumerate(formats()) for word in format_.keywords)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def found(text: str) -> Iterator[Secret]:
    """Secrets of a known format in a text, format by format.

    Yields:
        Each with its kind; samples are left out, and a value is given once.
    """
    lowered = text.lower()
    taken: set[str] = set()
    for at in sorted({at for keyword, at in _keywords() if keyword in lowered}):
        format_ = formats()[at]
        for match in _compiled(format_.pattern).finditer(text):
            if format_.before and not _compiled(format_.before).search(_lead(text, match.start())):
                continue
            if format_.unless and _compiled(format_.unless).search(_lead(text, match.start())):
                continue
            group = next((name for name, value in match.groupdict().items() if value), None)
            value = match[group or 0]
            if any(value in other or other in value for other in taken):
                continue
            if not is_sample(value, format_):
                if len(taken) == MOST:
                    return
                taken.add(value)
                whole = match.group()
                yield Secret(format_.kind, value, match.start() + len(whole) - len(whole.lstrip()))


def _lead(text: str, start: int) -> str:
    return text[max(0, start - _LEAD) : start]


def is_sample(value: str, format_: SecretFormat) -> bool:
    """Tell whether a value is what documentation shows in place of a secret."""
    value = _BLANK.sub("", value)
    if value.startswith("eyJ") and "alg" in (_claims(value.split(".")[0]) or ()):
        return not grants(value)
    if _SAMPLE.search(value) or _REPEATS.search(value) or entropy(value) < format_.least:
        return True
    return format_.assigned and not _random(value)


def grants(token: str) -> bool:
    """Tell whether a web token is signed, says who it is for or until when, and is no manual's.

    Links that count clicks and samples with a made-up payload have the form of one too.
    """
    header, *rest = token.split(".")
    if "enc" in (_claims(header) or ()):
        return True  # encrypted (JWE): nobody sees what it says
    if len(rest) < 2 or len(rest[1]) < _SIGNATURE:
        return False
    claims = _claims(rest[0])
    if claims is None or not _CLAIMS.intersection(claims):
        return False
    return str(claims.get("sub")) not in _SAMPLE_SUBJECTS


def _claims(part: str) -> dict[str, Any] | None:
    """Decode a part of a web token; `None` where it is no JSON object."""
    try:
        body = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def entropy(value: str) -> float:
    """Shannon entropy of a text's characters, in bits a character; 0 for an empty one."""
    counts = Counter(value)
    return -sum(n / len(value) * log2(n / len(value)) for n in counts.values()) if value else 0.0


def _random(value: str) -> bool:
    """Whether a value has no words, names or paths in it: digits and letters mixed throughout."""
    if _CODE.fullmatch(value) or ("/" in value.strip("/") and "." in value):
        return False
    digits = sum(c.isdigit() for c in value)
    if not digits or digits == len(value):
        return False
    if _HEX.fullmatch(value):
        return len(value) >= 24 and "-" not in value
    changes = sum(_class(a) != _class(b) for a, b in pairwise(value))
    return changes >= len(value) * 0.3


def _class(char: str) -> int:
    return 0 if char.isdigit() else 1 if char.islower() else 2 if char.isupper() else 3
