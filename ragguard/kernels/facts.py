"""What kind of thing a changed piece of text is: a number, a name, the sense, a term, or wording.

A fact is what a reader would look up: a figure, a date, a name, whether something is so or not.
Word lists are English; numbers and names need none, and terms are told by how rare their words are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

Kind = Literal["number", "name", "sense", "term", "wording"]

COMMON = 0.02  # share of documents from which a capitalised first word of a sentence is no name
RARE = 0.01  # share of documents up to which a word is a term
FEWEST = 100  # documents below which nothing is known to be rare

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
SENSE = frozenset(
  {
    "not", "no", "never", "none", "nor", "neither", "without", "cannot", "can't", "won't", "don't",
    "doesn't", "didn't", "isn't", "aren't", "wasn't", "weren't", "shouldn't", "mustn't", "hardly",
    "nobody", "nothing", "everybody", "anybody", "must", "only", "except", "unless", "always",
    "all", "any", "every", "required", "optional", "allowed", "permitted", "forbidden",
    "prohibited", "before", "after", "minimum", "maximum", "least", "most", "more", "less", "fewer",
    "above", "below", "over", "under", "up", "down", "increase", "increased", "increases",
    "decrease", "decreased", "decreases", "rise", "rose", "fall", "fell", "higher", "lower",
    "highest", "lowest", "largest", "smallest", "larger", "smaller", "earlier", "later", "earliest",
    "latest", "last", "won", "lost", "win", "lose", "true", "false", "yes", "open", "opened",
    "closed", "enabled", "disabled", "enable", "disable", "on", "off", "include", "includes",
    "exclude", "excludes", "included", "excluded", "accept", "accepted", "reject", "rejected",
    "refused", "approved", "denied", "safe", "unsafe", "dangerous", "harmless", "public",
    "private", "confidential", "internal", "secret", "until", "since", "north", "south",
    "east", "west", "northern", "southern", "eastern", "western", "left", "right", "male", "female",
    "husband", "wife", "father", "mother", "son", "daughter", "brother", "sister", "alive", "dead",
    "born", "died", "buy", "bought", "sell", "sold", "acquired", "founded", "dissolved", "started",
    "ended", "success", "failure", "succeeded", "failed", "present", "absent", "positive",
    "negative", "hot", "cold", "guilty", "innocent", "legal", "illegal", "black", "white", "red",
    "green", "blue", "yellow",
  }
)
# fmt: on
_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "mis", "anti", "de")


def kind(
    ours: Sequence[str],
    theirs: Sequence[str],
    first: bool,
    words: Mapping[str, int],
    documents: int,
) -> Kind:
    """What kind of thing a changed piece is.

    Args:
        ours: Our tokens there, as written; may be empty.
        theirs: Theirs; may be empty.
        first: Whether ours begin a sentence, where a capital says little.
        words: Number of chunks of the corpus each lower-cased word occurs in.
        documents: Documents of the corpus.
    """
    both = [*ours, *theirs]
    if any(
        t[0].isdigit() or t in "%€$£" or t.lower() in NUMBERS or t.lower() in UNITS for t in both
    ):
        return "number"
    if _negates(ours, theirs) or any(t.lower() in SENSE for t in both):
        return "sense"
    known = COMMON * documents if documents >= FEWEST else 0
    for piece in (ours, theirs):
        for i, token in enumerate(piece):
            # `first` and a common word: "However" for "But" names nobody.
            opens = first and i == 0 and (not known or words.get(token.lower(), 0) > known)
            if token[0].isupper() and not opens:
                return "name"
    if documents >= FEWEST and ours and theirs and max(len(ours), len(theirs)) <= 3:
        rare = [min(words.get(t.lower(), 0) for t in piece) for piece in (ours, theirs)]
        if max(rare) <= RARE * documents and not _same_stem(ours, theirs):
            return "term"
    return "wording"


def _negates(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether one piece is the other with a negating prefix: `aware` and `unaware`."""
    if len(ours) != 1 or len(theirs) != 1:
        return False
    short, long = sorted((ours[0].lower(), theirs[0].lower()), key=len)
    return len(short) > 2 and any(long == prefix + short for prefix in _PREFIXES)


def _same_stem(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether all that differs are endings: `reports` and `reported`."""
    return all(a.lower()[:4] == b.lower()[:4] for a, b in zip(ours, theirs, strict=False)) and len(
        ours
    ) == len(theirs)
