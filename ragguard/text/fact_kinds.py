"""Tell what kind of fact a change of words states otherwise: number, date, name or sense.

A fact is what a reader would look up: a figure, a date, a name, whether something is so or not. A
change of one is a substitution by another of its kind, or a negation that comes or goes. Whatever
else is put in, left out or replaced is wording: people revise texts all day. Word lists are
English; numbers and names need none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Sequence
from difflib import SequenceMatcher
from typing import Literal

Kind = Literal["number", "date", "name", "sense", "negation", "wording"]

SPELLING = 0.7  # likeness of two words from which one is a way to write the other
LONGER = 3  # words by which a changed fact may grow or shrink

# fmt: off
NUMBERS = frozenset(
  {
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred",
    "thousand", "million", "billion", "trillion", "half", "quarter", "third", "once", "twice",
    "double", "triple", "dozen", "first", "second", "fourth", "fifth",
  }
)
UNITS = frozenset(
  {
    "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks",
    "month", "months", "year", "years", "decade", "decades", "century", "centuries", "bit", "bits",
    "byte", "bytes", "kb", "mb", "gb", "tb", "mm", "cm", "km", "metre", "metres", "meter", "meters",
    "mile", "miles", "foot", "feet", "inch", "inches", "yard", "yards", "gram", "grams", "kg", "mg",
    "kilogram", "kilograms", "ton", "tons", "tonnes", "pound", "pounds", "ounce", "ounces", "litre",
    "litres", "liter", "liters", "ml", "gallon", "gallons", "degree", "degrees", "percent",
    "dollar", "dollars", "euro", "euros", "volt", "volts", "watt", "watts", "am", "pm",
    "daily", "weekly", "monthly", "quarterly", "yearly", "annually", "hourly",
  }
)
MONTHS = frozenset(
  {
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep",
    "sept", "oct", "nov", "dec", "monday", "tuesday", "wednesday", "thursday", "friday",
    "saturday", "sunday", "mon", "tue", "wed", "thu", "fri", "sat", "sun",
  }
)
NEGATIONS = frozenset(
  {
    "not", "no", "never", "none", "nor", "neither", "without", "cannot", "can't", "won't", "don't",
    "doesn't", "didn't", "isn't", "aren't", "wasn't", "weren't", "shouldn't", "mustn't", "hardly",
    "nobody", "nothing",
  }
)
SENSE = NEGATIONS | frozenset(
  {
    "everybody", "anybody", "must", "may", "can", "only", "except", "unless", "always", "with",
    "all", "any", "every", "sometimes", "rarely", "often", "many", "few", "required", "optional",
    "allowed", "permitted", "forbidden", "prohibited", "mandatory", "voluntary", "before",
    "after", "minimum", "maximum", "least", "most", "more", "less", "fewer", "above", "below",
    "over", "under", "up", "down", "increase", "increased", "increases", "decrease", "decreased",
    "decreases", "rise", "rose", "fall", "fell", "higher", "lower", "highest", "lowest",
    "largest", "smallest", "larger", "smaller", "earlier", "later", "earliest", "latest", "last",
    "won", "lost", "win", "lose", "true", "false", "yes", "open", "opened", "closed", "enabled",
    "disabled", "enable", "disable", "on", "off", "include", "includes", "exclude", "excludes",
    "included", "excluded", "accept", "accepted", "reject", "rejected", "refused", "approved",
    "denied", "safe", "unsafe", "dangerous", "harmless", "public", "private", "confidential",
    "internal", "secret", "until", "since", "north", "south", "east", "west", "northern",
    "southern", "eastern", "western", "left", "right", "male", "female", "husband", "wife",
    "father", "mother", "son", "daughter", "brother", "sister", "alive", "dead", "born", "died",
    "buy", "bought", "sell", "sold", "acquired", "founded", "dissolved", "started", "ended",
    "success", "failure", "succeeded", "failed", "present", "absent", "positive", "negative",
    "hot", "cold", "guilty", "innocent", "legal", "illegal", "black", "white", "red", "green",
    "blue", "yellow", "inside", "outside", "external", "first", "second", "early", "late",
    "upper", "top", "bottom", "winner", "loser", "victory", "defeat", "successful", "approve",
    "accepts", "rejects", "including", "excluding", "opens", "closes", "king", "queen", "man",
    "woman", "men", "women", "brothers", "sisters", "winter", "summer", "spring", "autumn", "day",
    "night", "morning", "evening", "annual", "paid", "unpaid", "free", "temporary", "permanent",
    "full", "partial", "strong", "weak", "warm", "cool", "fast", "slow", "faster", "slower",
    "major", "minor", "primary", "secondary", "domestic", "foreign", "ancient", "modern", "rural",
    "urban", "rich", "poor", "heavy", "light", "wide", "narrow", "deep", "shallow", "high", "low",
    "import", "export", "imported", "exported", "buyer", "seller", "senior", "junior", "begins",
    "ends", "begin", "end", "encrypted", "unencrypted", "longer", "shorter", "longest",
    "shortest", "increasing", "decreasing", "oldest", "youngest", "older", "younger", "best",
    "worst", "better", "worse", "good", "bad",
  }
)
OPENERS = frozenset(
  {
    "a", "an", "the", "this", "that", "these", "those", "it", "its", "he", "she", "they", "we",
    "you", "i", "my", "our", "your", "his", "her", "their", "there", "here", "if", "when", "while",
    "where", "whether", "what", "which", "who", "why", "how", "but", "and", "or", "so", "yet",
    "however", "therefore", "thus", "then", "also", "moreover", "furthermore", "although",
    "though", "because", "as", "at", "by", "for", "from", "in", "into", "of", "on", "to", "with",
    "please", "note", "see", "use", "let", "some", "each", "both", "such", "other", "another",
    "once", "again", "now", "still", "just", "even", "like", "than", "too", "very", "have", "has",
    "had", "is", "are", "was", "were", "be", "been", "do", "does", "did", "will", "would", "could",
    "should", "might", "get", "make", "keep", "go", "come", "take", "give", "add", "set", "run",
  }
)
# fmt: on
_SIGNS = frozenset("%€$£")
_LEGAL = """
    copyright copyrighted copyrights licence license licensed licenses licensing warranty
    warranties liability liable redistribute redistributed redistribution redistributions
    merchantability sublicense infringement gnu gpl lgpl permission permissions granted
    distribute distributed modify modified holders disclaimer terms notice notices software
    rights reserved cookie cookies consent licensor licensee royalties waived waiver damages
    indemnity patent hereby herein agreement
"""
LEGAL_WORDS = frozenset(
    _LEGAL.split()
)  # of texts that everybody prints, with other holders and years
_COUNTED = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen twenty"""
_DIGITS = {word: str(i) for i, word in enumerate(_COUNTED.split())}
_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "mis", "anti", "de")
_LINKS = frozenset({"of", "the", "and", "de", "la", "von", "van", "der", "di", "al", "in", "for"})
_AUXILIARIES = frozenset({"do", "does", "did", "be", "is", "are", "was", "were", "any", "ever"})


def kind(ours: Sequence[str], theirs: Sequence[str], ordinary: Container[str] = ()) -> Kind:
    """Tell what kind of fact a changed piece states.

    Args:
        ours: Our tokens there, as written; may be empty.
        theirs: Theirs; may be empty.
        ordinary: Lower-cased words that are no names, because they are written without a capital
            elsewhere.

    Returns:
        `wording` where it is no substitution of like for like and no negation in or out.
    """
    a, b = [t.lower() for t in ours], [t.lower() for t in theirs]
    if abs(len(a) - len(b)) > LONGER:
        return "wording"
    if _negates(a, b):
        return "negation"
    if not a or not b or _spelled_alike(ours, theirs):
        return "wording"
    both = [*a, *b]
    if all(_is_number(t) or t in MONTHS or t in _LINKS for t in both):
        figures = [any(_is_number(t) for t in side) for side in (a, b)]
        months = [any(t in MONTHS and t not in _LINKS for t in side) for side in (a, b)]
        if any(months) and all(x or y for x, y in zip(figures, months, strict=True)):
            return "date"
        if all(figures):
            return "number"
    for side, other in ((a, b), (b, a)):
        if len(side) == len(other) == 1 and side[0] in ("no", "none") and _is_number(other[0]):
            return "number"
    if all(t in SENSE for t in both):
        return "sense"
    if all(_is_name(piece, ordinary) for piece in (ours, theirs)):
        return "name"
    return "wording"


def _is_number(word: str) -> bool:
    return word[0].isdigit() or word in _SIGNS or word in NUMBERS or word in UNITS


def _is_name(piece: Sequence[str], ordinary: Container[str]) -> bool:
    """Whether a piece names something: capitals, and words that are not written without them."""
    named = 0
    for token in piece:
        lower = token.lower()
        if token[0].isdigit() or lower in _LINKS:
            continue
        if not token[0].isupper() or lower in ordinary or lower in SENSE or lower in OPENERS:
            return False
        named += 1
    return named > 0


def _negates(a: Sequence[str], b: Sequence[str]) -> bool:
    """Tell whether the lower-cased pieces are one thing and its negation.

    `may` and `may not`, `contains` and `does not contain`, `can` and `cannot`, `aware` and
    `unaware`.
    """
    if len(a) == len(b) == 1:
        short, long = sorted((a[0], b[0]), key=len)
        if len(short) > 2 and any(long == prefix + short for prefix in _PREFIXES):
            return True
    affirmed, denied = sorted((a, b), key=lambda side: sum(t in NEGATIONS for t in side))
    if any(t in NEGATIONS for t in affirmed) or not any(t in NEGATIONS for t in denied):
        return False
    rest = [t.removesuffix("n't") for t in denied if t not in NEGATIONS or t.endswith("n't")]
    rest += ["can"] * denied.count("cannot")
    left = [t for t in rest if t not in _AUXILIARIES]
    kept = [t for t in affirmed if t not in _AUXILIARIES]
    if left in (["ca"], ["wo"]):
        left = [{"ca": "can", "wo": "will"}[left[0]]]
    return len(left) == len(kept) and all(x[:4] == y[:4] for x, y in zip(left, kept, strict=True))


def _spelled_alike(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether two pieces are one thing written in two ways: endings, accents, abbreviations."""
    a, b = (_bare("".join(piece)) for piece in (ours, theirs))
    if a == b:
        return True
    if not a.isalpha() or not b.isalpha() or {a, b} & (SENSE | NUMBERS):
        return False
    short, long = sorted((a, b), key=len)
    if any(long == prefix + short for prefix in _PREFIXES):
        return False
    if long.startswith(short) and len(short) > 2:
        return True
    if len(short) <= 3:
        return False
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= SPELLING


def _bare(text: str) -> str:
    """Letters and digits in lower case, without accents; a small number in digits."""
    text = _DIGITS.get(text.lower(), text)
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if c.isalnum())
