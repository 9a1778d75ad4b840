"""Instructions: text that speaks to the model instead of the reader.

YARA rules (`rules/*.yar`) over the text as a model reads it: normalised, look-alikes
folded, and with whatever was hidden, encoded or disguised laid open. A rule's `weight` is
logarithmic. A phrase that is quoted, as an awareness page quotes it, counts a part: quoting does
not make it harmless, but honest documents do it.

Source of the attack patterns: Greshake et al., "Not What You've Signed Up For", AISec 2023; Yi et
al., BIPIA, 2023 (their categories; no text of theirs).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from ragguard.checks import check
from ragguard.kernels.concealment import inspect_all
from ragguard.kernels.disguise import readings
from ragguard.kernels.names import skeleton
from ragguard.kernels.text import normalise
from ragguard.model import CorpusView, Evidence, Signal

_QUOTED = re.compile(
    r"\"[^\"\n]{3,400}\"|“[^”\n]{3,400}”|„[^“”\n]{3,400}[“”]|«[^»\n]{3,400}»|`[^`\n]{3,400}`"
    r"|(?<!\w)'[^'\n]{8,400}'(?!\w)|^>[^\n]*$|^```.*?^```",
    re.MULTILINE | re.DOTALL,
)
_WRAPPED = re.compile(
    r"(?<!\n)\n(?![^\S\n]*(?:\n|[-*+>|#]|\d+[.)]))[ \t]*"
)  # a line break inside a paragraph
_MENTION = re.compile(
    r"(?:such as|for example|e\.g\.|like|phrases?|reads?|says?|said|written|wording|quote[sd]?"
    r"|examples?|sentence|words)\W{0,12}$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.instructions]."""

    quoted: float = 0.35  # part of its weight that a quoted phrase counts
    concealed: float = 1.5  # factor for a phrase that was hidden


@cache
def _scanner() -> Any:
    """Compiled rules; one scanner for all texts, since making one costs more than a scan."""
    import yara_x

    folder = files("ragguard.checks").joinpath("rules")
    sources = sorted((p for p in folder.iterdir() if p.name.endswith(".yar")), key=lambda p: p.name)
    return yara_x.Scanner(yara_x.compile("\n".join(p.read_text("utf-8") for p in sources)))


@check("instructions", family="hidden", params=Params, unit=0.8)
def instructions(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by the rules it matches.

    Returns:
        Raw scores, float64 (n,): the largest weight plus half of the others; 0 when none matches.
    """
    scores = np.zeros(view.n)
    found: dict[int, list[tuple[float, str, str]]] = {}
    opened: set[int] = set()
    concealed = inspect_all(view, 3)
    for row in range(view.n):
        hits = _scan(view.texts[row], 1.0, params)
        for _, reading in readings(view.texts[row]):
            hits += _scan(reading, params.concealed, params)
        document = int(view.documents[row])
        if document not in opened:
            opened.add(document)
            for _, _, text in concealed[document]:
                hits += _scan(normalise(text), params.concealed, params)
        if hits:
            best: dict[str, tuple[float, str, str]] = {}
            for hit in hits:
                if hit[0] > best.get(hit[1], (0.0, "", ""))[0]:
                    best[hit[1]] = hit
            ranked = sorted(best.values(), reverse=True)
            scores[row] = ranked[0][0] + 0.5 * sum(w for w, _, _ in ranked[1:])
            found[row] = ranked

    def explain(row: int) -> Evidence:
        ranked = found.get(row, [])
        listed = "; ".join(f"{rule.replace('_', ' ')}: {text!r}" for _, rule, text in ranked[:3])
        return Evidence(f"speaks to the model ({listed})", {"rules": [r for _, r, _ in ranked]})

    return Signal(scores, explain)


def _scan(text: str, factor: float, params: Params) -> list[tuple[float, str, str]]:
    """Weight, rule and matched text of every rule that matches."""
    folded = text if text.isascii() else _fold(text)
    folded = _WRAPPED.sub(" ", folded) if "\n" in folded else folded
    data = folded.encode("utf-8", "replace")
    results = _scanner().scan(data)
    hits: list[tuple[float, str, str]] = []
    if not results.matching_rules:
        return hits
    number = np.cumsum((np.frombuffer(data, np.uint8) & 0xC0) != 0x80, dtype=np.int32) - 1
    quoted = [m.span() for m in _QUOTED.finditer(folded)]
    openings = [a for a, _ in quoted]
    for rule in results.matching_rules:
        weight = next((float(v) for k, v in rule.metadata if k == "weight"), 1.0)
        best = (0.0, "")
        for pattern in rule.patterns:
            for match in pattern.matches:
                start = int(number[match.offset])  # of a byte's character
                phrase = data[match.offset : match.offset + match.length].decode("utf-8", "ignore")
                before = bisect_right(openings, start) - 1
                mention = (before >= 0 and start < quoted[before][1]) or bool(
                    _MENTION.search(folded[max(0, start - 60) : start])
                )
                part = weight * (params.quoted if mention else 1.0)
                best = max(best, (part, phrase[:120]))
        if best[0]:
            hits.append((best[0] * factor, rule.identifier, best[1]))
    return hits


def _fold(text: str) -> str:
    """Look-alike letters of other scripts as plain ones, word by word."""
    return re.sub(
        r"\w+", lambda m: m.group() if m.group().isascii() else _fold_word(m.group()), text
    )


def _fold_word(word: str) -> str:
    folded = "".join(c if c.isascii() else skeleton(c) for c in word)
    return folded if folded.isascii() else word
