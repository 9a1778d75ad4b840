"""Secrets: keys, tokens and passwords that were never meant to be served.

The detectors are detect-secrets' (https://github.com/Yelp/detect-secrets); only lines that could
hold a secret are given to them. What was found is named by kind and line, never shown.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np

from ragguard.checks import check
from ragguard.model import CorpusView, Evidence, Signal

# Every detector that is not switched off below wants one of these: a key header, credentials in a
# URL,
# or a run of 16 and more characters that mixes letters and digits.
_LIKELY = re.compile(
    r"-----BEGIN|://[^/\s:@]{1,80}:[^@\s]{1,200}@"
    r"|(?=[A-Za-z_.-]{0,60}\d)(?=[\d_.-]{0,60}[A-Za-z])[A-Za-z0-9_.+/=-]{16,}"
)


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
        Raw scores, float64 (n,): 3 for the first secret, 1 for each further one.
    """
    from detect_secrets.core import scan
    from detect_secrets.settings import default_settings

    scores = np.zeros(view.n)
    found: dict[int, list[tuple[str, int]]] = {}
    which: dict[int, list[str]] = {}
    with default_settings() as settings:
        # Its author may not exempt a line ("pragma: allowlist secret"); a reviewer may.
        settings.disable_filters("detect_secrets.filters.allowlist.is_line_allowlisted")
        for row in _first_rows(view):
            raw = view.raws[int(view.documents[row])]
            if not _may_hold(raw):
                continue
            hits, marks = [], []
            for number, line in enumerate(raw.splitlines(), start=1):
                for piece in _pieces(line, params.longest):
                    if not _LIKELY.search(piece):
                        continue
                    for secret in scan.scan_line(piece):
                        if secret.type not in params.ignored:
                            hits.append((secret.type, number))
                            marks.append(f"{secret.type} {secret.secret_hash[:16]}")
            if hits:
                scores[row] = 3.0 + (len(hits) - 1)
                found[row], which[row] = hits, _marks(marks)

    def explain(row: int) -> Evidence:
        listed = ", ".join(f"{kind} in line {line}" for kind, line in found.get(row, [])[:4])
        facts = {"secrets": found.get(row, [])[:20], "evidence": which.get(row, [])}
        return Evidence(f"holds a secret: {listed}", facts)

    return Signal(scores, explain)


def _marks(found: list[str]) -> list[str]:
    """What tells these secrets from others; many of them have one mark together."""
    marks = sorted(set(found))
    if len(marks) <= MOST_MARKS:
        return marks
    return [hashlib.sha256("\n".join(marks).encode()).hexdigest()]


def _may_hold(raw: str) -> bool:
    """Whether anything in a text is likely; no pattern reaches over white space."""
    return any(
        _LIKELY.search(piece)
        for piece in raw.split()
        if len(piece) >= 16 or "://" in piece or "-----BEGIN" in piece
    )


def _pieces(line: str, longest: int) -> list[str]:
    """A line, cut at spaces where it is long."""
    if len(line) <= longest:
        return [line]
    cut = re.findall(rf"\S{{{longest},}}|.{{1,{longest}}}(?!\S)", line)
    return [piece[:longest] for piece in cut]


def _first_rows(view: CorpusView) -> list[int]:
    first: dict[int, int] = {}
    for row in range(view.n):
        first.setdefault(int(view.documents[row]), row)
    return list(first.values())
