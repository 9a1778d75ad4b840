"""Find keys, tokens and passwords that were never meant to be served.

Formats of secrets are looked for (`detect.secret_formats`), and detect-secrets' detectors asked
(https://github.com/Yelp/detect-secrets), which are given only lines that could hold a secret. What
was found is named by kind and line, never shown. Samples of documentation are none: EXAMPLE, xxxx,
`user:password@host`, a key's header without a key. How often ordinary documents hold each kind is
measured (`rules/weights.json`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragguard.detect import secret_formats
from ragguard.detect.checks import check, rules
from ragguard.model import CorpusView, Evidence, Signal

# Every detector that is not switched off below wants one of these: a key header, credentials in a
# URL, or a run of 16 and more characters that mixes letters and digits.
_LIKELY = re.compile(
    r"-----BEGIN|://[^/\s:@]{1,80}:[^@\s]{1,200}@"
    r"|(?=[A-Za-z_.-]{0,60}\d)(?=[\d_.-]{0,60}[A-Za-z])[A-Za-z0-9_.+/=-]{16,}"
)


_SAMPLE = re.compile(
    r"example|sample|placeholder|changeme|dummy|fake|your|xxx|\.\.\.|\*\*\*|<|>|\$|%|\{|\[|secret|pass"
    r"|pwd|token|12345|abcdef|deadbeef|test|todo|foo|bar|redacted|user|admin|credential|0000",
    re.IGNORECASE,
)  # in what stands where a secret would
_HOST = re.compile(
    r"(?:localhost|127\.|host|example|proxy|server|\[?::1)\b|[\w.-]{0,40}\bexample\b", re.IGNORECASE
)
_KEY = re.compile(r"(?:[A-Za-z0-9+/=]{40,}\s*){2,}")
_BODY = 8  # lines after a key's header in which the key begins
_SHORT = 6  # characters of a password in an address that is more than a word
_VARIED = 8  # different characters a key has
MOST_MARKS = 100


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.secrets]."""

    longest: int = 2_000  # characters looked at together, and of a run without a space at all
    ignored: tuple[str, ...] = (
        "Base64 High Entropy String",
        "Hex High Entropy String",
        "Public IP (ipv4)",
        "Secret Keyword",
    )


@check("secrets", family="hygiene", params=Params, unit=0.7)
def secrets(view: CorpusView, params: Params) -> Signal:
    """Score a document's first chunk by how many secrets the document holds.

    Returns:
        Raw scores, float64 (n,): 3 for the first secret, 1 for each further one. P-values: the
        measured share of ordinary documents that hold one of that kind.
    """
    scores, p_values = np.zeros(view.n), np.ones(view.n)
    row_hits: dict[int, list[tuple[str, int, str]]] = {}
    measured = rules.kinds("secrets")
    with _detectors(params):
        for row in _first_rows(view):
            hits = _hits(view.raws[int(view.documents[row])], params)
            if hits:
                scores[row] = 3.0 + (len(hits) - 1)
                row_hits[row] = hits
                p_values[row] = min(measured.get(kind, rules.UNSEEN) for kind, _, _ in hits)

    def explain(row: int) -> Evidence:
        hits = row_hits.get(row, [])
        listed = ", ".join(f"{kind} in line {line}" for kind, line, _ in hits[:4])
        facts = {
            "secrets": [(kind, line) for kind, line, _ in hits[:20]],
            "evidence": _marks([mark for *_, mark in hits]),
        }
        return Evidence(f"holds a secret: {listed}", facts)

    return Signal(scores, explain, p_values)


def kinds_in(raw: str) -> set[str]:
    """Kinds of secrets in a source text."""
    with _detectors(Params()):
        return {kind for kind, *_ in _hits(raw, Params())}


@contextmanager
def _detectors(params: Params) -> Iterator[None]:
    """Return the detectors' settings for as long as they are asked."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.settings import default_settings

    with default_settings() as settings:
        # Its author may not exempt a line ("pragma: allowlist secret"); a reviewer may.
        settings.disable_filters("detect_secrets.filters.allowlist.is_line_allowlisted")
        detectors: dict[str, Any] = get_mapping_from_secret_type_to_class()
        settings.disable_plugins(
            *(detectors[kind].__name__ for kind in params.ignored if kind in detectors)
        )
        yield


def _hits(raw: str, params: Params) -> list[tuple[str, int, str]]:
    """Kind and line of every secret in a source text, and a mark that tells it from others."""
    of_format = [s for s in secret_formats.found(raw) if s.kind not in params.ignored]
    hits = [(_line(raw, s.start), s.kind, s.value) for s in of_format]
    known = [s.value for s in of_format]
    for number, kind, value in _detected(raw, params):
        again = any(value in other or other in value for other in known)
        if not again and (number, kind) not in {hit[:2] for hit in hits}:
            hits.append((number, kind, value))
    hits.sort()
    return [(kind, line, f"{kind} {_digest(value)}") for line, kind, value in hits]


def _line(raw: str, start: int) -> int:
    """Return the number of the line, from 1, in which a character stands."""
    return len((raw[:start] + ".").splitlines())


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:16]


def _detected(raw: str, params: Params) -> Iterator[tuple[int, str, str]]:
    """Line, kind and value of what detect-secrets finds; a key's header stands for its value."""
    from detect_secrets.core import scan

    if not _may_hold(raw):
        return
    lines = raw.splitlines()
    for number, line in enumerate(lines, start=1):
        for piece in _pieces(line, params.longest):
            if not _LIKELY.search(piece):
                continue
            for secret in scan.scan_line(piece):
                if _sample(secret, piece, lines[number:]):
                    continue
                yield number, secret.type, str(secret.secret_value or secret.secret_hash)


def _sample(secret: Any, line: str, after: list[str]) -> bool:
    """Tell whether a find is what documentation shows in place of a secret."""
    value = str(secret.secret_value or "")
    if secret.type == "Private Key":  # its body is a key only where one follows
        body = " ".join([line.split("-----")[-1], *after[:_BODY]]).replace("\\n", " ")
        return not _KEY.search(body)
    if secret.type == "Basic Auth Credentials":
        hosts = line.partition(value + "@")[2][:60]
        return bool(_SAMPLE.search(value) or _HOST.match(hosts)) or len(value) < _SHORT
    if secret.type == "JSON Web Token":
        return not secret_formats.grants(_whole(value, line))
    if len(value) < _VARIED:  # some detectors say the prefix only
        around = re.search(rf"[\w-]*{re.escape(value)}[\w-]*", line)
        value = around.group() if around else value
    return bool(_SAMPLE.search(value)) or len(set(value)) < _VARIED


def _whole(token: str, line: str) -> str:
    """Return a web token with its signature, which detect-secrets may leave out."""
    rest = re.match(r"[\w.-]*", line.partition(token)[2])
    return token + (rest.group() if rest else "")


def _marks(all_marks: list[str]) -> list[str]:
    """Tell what tells these secrets from others; many of them have one mark together."""
    marks = sorted(set(all_marks))
    if len(marks) <= MOST_MARKS:
        return marks
    return [hashlib.sha256("\n".join(marks).encode()).hexdigest()]


def _may_hold(raw: str) -> bool:
    """Tell whether anything in a text is likely; no pattern reaches over white space."""
    return any(
        _LIKELY.search(piece)
        for piece in raw.split()
        if len(piece) >= 16 or "://" in piece or "-----BEGIN" in piece
    )


def _pieces(line: str, longest: int) -> list[str]:
    """Return a line, cut at spaces where it is long."""
    if len(line) <= longest:
        return [line]
    cut = re.findall(rf"\S{{{longest},}}|.{{1,{longest}}}(?!\S)", line)
    return [piece[:longest] for piece in cut]


def _first_rows(view: CorpusView) -> list[int]:
    first: dict[int, int] = {}
    for row in range(view.n):
        first.setdefault(int(view.documents[row]), row)
    return list(first.values())
