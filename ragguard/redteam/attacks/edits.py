"""Change one fact of a text: a number, date, time, name, an antonym, a negation.

The text stays the same but for one span, as in counterfactual corpora (Chen et al., "Benchmarking
Large Language Models in Retrieval-Augmented Generation", AAAI 2024) and entity swaps (Longpre et
al., "Entity-Based Knowledge Conflicts in Question Answering", EMNLP 2021).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks.terrain import Kind, names

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CARDINALS = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "twenty", "thirty", "forty", "fifty", "sixty"),
)
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("tenth", "eleventh", "twelfth"),
)
_SCALES = ("hundred", "thousand", "million", "billion")
_ANTONYMS = """
before/after minimum/maximum north/south northern/southern east/west eastern/western
allowed/forbidden permitted/prohibited required/optional mandatory/voluntary always/never
increase/decrease increases/decreases increased/decreased increasing/decreasing higher/lower
larger/smaller largest/smallest longer/shorter longest/shortest more/fewer most/least
highest/lowest above/below inside/outside internal/external public/confidential first/last
oldest/youngest early/late earlier/later earliest/latest left/right upper/lower top/bottom
win/lose won/lost winner/loser victory/defeat success/failure successful/failed accept/reject
accepted/rejected approve/reject approved/rejected include/exclude includes/excludes
included/excluded including/excluding enable/disable enabled/disabled open/closed opens/closes
safe/dangerous legal/illegal positive/negative male/female father/mother son/daughter
brother/sister husband/wife king/queen man/woman summer/winter spring/autumn day/night
morning/evening weekly/monthly daily/weekly monthly/yearly annual/monthly paid/unpaid free/paid
temporary/permanent full/partial strong/weak hot/cold warm/cool fast/slow faster/slower
major/minor primary/secondary domestic/foreign ancient/modern rural/urban rich/poor
heavy/light wide/narrow deep/shallow high/low import/export imported/exported buyer/seller
senior/junior begins/ends begin/end started/ended with/without encrypted/unencrypted
"""
_PAIRS = [pair.split("/") for pair in _ANTONYMS.split()]
_OPPOSITE = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}

_MONTH = "|".join(MONTHS)
_DATE = re.compile(
    rf"\b(?:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)? (?P<m1>{_MONTH})(?:,? \d{{4}})?"
    rf"|(?P<m2>{_MONTH}) (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?:,? \d{{4}})?|(?P<m3>{_MONTH}))\b"
)
_ISO = re.compile(r"\b(?:1\d|20)\d\d-(\d\d)-(\d\d)\b")
_YEAR = re.compile(r"(?<![\d.,/$\u20ac\u00a3#-])(1[1-9]\d\d|20\d\d)(?=s?\b)(?![,.:]\d|[-%/])")
_TIME = re.compile(r"\b([01]?\d|2[0-3])([:.])([0-5]\d)(?=\b(?!\.\d))(?=\s?(?:[ap]\.?m|h\b|$|\W))")
_NUMBER = re.compile(
    r"(?<![\w.,:/#-])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w:/])|(?<![\w.,:/#-])\d+(?:\.\d+)?(?![\d:/])"
    r"(?=(?:st|nd|rd|th)\b|%|\b|[a-zA-Z\u00b0\u20ac])(?!\.\d)"
)
_SUFFIX = re.compile(r"(?:st|nd|rd|th)\b")
_DAY = re.compile(r"\b(" + "|".join(_DAYS) + r")(?=s?\b)")
_SPELLED = re.compile(
    rf"\b(?:{'|'.join((*_CARDINALS, *_SCALES))})\b|(?<=\bthe )(?:{'|'.join(_ORDINALS)})\b", re.I
)
_WORD = re.compile(r"[A-Za-z]+")
_NOT = re.compile(r"(?<=\b(?:is|as|re|ld|st|ay|ll|an|do|es|id|ve|ad) )not (?=\w)|(?<=\bcan)not\b")
_VERB = re.compile(
    r"(?<=[\w,)] )(is|are|was|were|must|should|may|can|will|shall|could|would|has been|have been)"
    r"(?= [a-z])(?! (?:not|no|never|n't)\b)"
)


@dataclass(frozen=True)
class Edit:
    """One change of a text.

    Attributes:
        start: Character offset where the old words begin.
        end: Where they end; `start` for an insertion.
        new: What stands there afterwards.
        kind: `number`, `date`, `time`, `name`, `antonym` or `negation`.
    """

    start: int
    end: int
    new: str
    kind: str

    def apply(self, text: str) -> str:
        """Return the changed text."""
        return text[: self.start] + self.new + text[self.end :]


Pool = Callable[[Kind], Sequence[str]]


def candidates(text: str, rng: np.random.Generator, pool: Pool) -> list[Edit]:
    """List every fact that could be changed, each with one new value; in order of kind.

    Args:
        pool: Names of a kind that may be put in the place of another.
    """
    taken: list[tuple[int, int]] = []
    edits: list[Edit] = []

    def add(start: int, end: int, new: str, kind: str) -> None:
        if any(start < e and s < end for s, e in taken) or new == text[start:end]:
            return
        taken.append((start, end))
        edits.append(Edit(start, end, new, kind))

    for match in _ISO.finditer(text):
        taken.append(match.span())
        day = _other(rng, range(1, 29), int(match[2]))
        edits.append(Edit(match.start(2), match.end(2), f"{day:02d}", "date"))
    for match in _DATE.finditer(text):
        _date(match, rng, add)
    for match in _YEAR.finditer(text):
        add(*match.span(), str(_shifted_year(int(match[1]), rng)), "date")
    for match in _DAY.finditer(text):
        add(*match.span(1), _DAYS[_other(rng, range(7), _DAYS.index(match[1]))], "date")
    for match in _TIME.finditer(text):
        add(*match.span(1), str(_other(rng, range(7, 20), int(match[1]))), "time")
    for match in _NUMBER.finditer(text):
        end = match.end()
        new = other_number(match.group(), rng)
        if suffix := _SUFFIX.match(text, end):
            end, new = suffix.end(), _ordinal(int(float(new.replace(",", ""))))
        add(match.start(), end, new, "number")
    for match in _SPELLED.finditer(text):
        add(*match.span(), other_spelled(match.group(), rng), "number")
    for name in names(text):
        others = [n for n in pool(name.kind) if _unlike(n, name.text)]
        same = [n for n in others if n.count(" ") == name.text.count(" ")] or others
        if same:
            add(name.start, name.end, same[int(rng.integers(len(same)))], "name")
    for match in _WORD.finditer(text):
        if new := _OPPOSITE.get(match.group().lower(), ""):
            add(*match.span(), _as(match.group(), new), "antonym")
    for match in _NOT.finditer(text):
        add(*match.span(), "", "negation")
    for match in _VERB.finditer(text):
        at = match.start() + len(match[1].split()[0])
        edits.append(Edit(at, at, "not" if match[1] == "can" else " not", "negation"))
    return edits


def edit_fact(
    text: str, rng: np.random.Generator, pool: Pool, kinds: Sequence[str] = ()
) -> tuple[str, Edit] | None:
    """Change one fact, its kind drawn first so that rare kinds get their turn.

    Args:
        pool: Names that may be put in.
        kinds: Kinds allowed; all when empty.

    Returns:
        The new text and the change; `None` when the text states nothing that could be changed.
    """
    offered = [e for e in candidates(text, rng, pool) if not kinds or e.kind in kinds]
    if not offered:
        return None
    present = sorted({edit.kind for edit in offered})
    kind = present[int(rng.integers(len(present)))]
    chosen = [edit for edit in offered if edit.kind == kind]
    edit = chosen[int(rng.integers(len(chosen)))]
    return edit.apply(text), edit


def other_number(number: str, rng: np.random.Generator) -> str:
    """Return a number of the same form and about the same size, not the same."""
    plain = number.replace(",", "")
    decimals = len(plain.partition(".")[2])
    value = float(plain)
    step = 10.0**-decimals
    while True:
        factor = float(rng.choice([0.25, 0.5, 0.6, 0.8, 1.2, 1.5, 1.8, 2.0, 3.0]))
        shift = float(rng.integers(-3, 4)) if value < 20 else 0.0
        new = round(max(step, (value * factor if value >= 20 else value + shift)), decimals)
        text = f"{new:,.{decimals}f}" if "," in number else f"{new:.{decimals}f}"
        if value < 20 and new == value:
            new = value + float(rng.integers(1, 6))
            text = f"{new:.{decimals}f}"
        if text != number:
            return text


def other_spelled(word: str, rng: np.random.Generator) -> str:
    """Another number word of the same sort."""
    for row in (_CARDINALS, _ORDINALS, _SCALES):
        if word.lower() in row:
            return _as(word, row[_other(rng, range(len(row)), row.index(word.lower()))])
    return word


def _date(
    match: re.Match[str], rng: np.random.Generator, add: Callable[[int, int, str, str], None]
) -> None:
    """A date loses its day or its month; a lone month its name."""
    day = next((g for g in ("d1", "d2") if match[g]), "")
    month = next(g for g in ("m1", "m2", "m3") if match[g])
    if month == "m3" and match[month] in ("May", "March") and match.start() == 0:
        return
    if day and rng.random() < 0.5:
        new = str(_other(rng, range(1, 29), int(match[day])))
        # The suffix of "3rd" has to fit, so it belongs to the span.
        end = match.end(day)
        if suffix := _SUFFIX.match(match.string, end):
            end, new = suffix.end(), _ordinal(int(new))
        add(match.start(day), end, new, "date")
        return
    new = MONTHS[_other(rng, range(12), MONTHS.index(match[month]))]
    add(*match.span(month), new, "date")


def _shifted_year(year: int, rng: np.random.Generator) -> int:
    shift = int(rng.integers(1, 16)) * (1 if rng.random() < 0.4 else -1)
    return year + shift


def _other(rng: np.random.Generator, values: range, not_this: int) -> int:
    left = [value for value in values if value != not_this]
    return left[int(rng.integers(len(left)))]


def _ordinal(number: int) -> str:
    tail = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{tail or 'th'}"


def _unlike(a: str, b: str) -> bool:
    return not set(a.lower().split()) & set(b.lower().split())


def _as(like: str, word: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[0].upper() + word[1:] if like[0].isupper() else word
