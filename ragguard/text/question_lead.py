"""Find where a text asks, and how much of the question it then says again.

A question is told by its mark, or by the word it opens with and what follows that; readers type
neither marks nor capitals. Ten languages are known by their commonest question words. No grammar is
looked at: that "Where the path ends, ..." is no question is told by its second word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

LONGEST = 30  # words of a lead
SHORTEST = 3
TELLING = 2  # words of a lead that say something, at least
REACH = 60  # words after it in which it is looked for again
PREFACE = 160  # characters before a question that may belong to it
LETTERS = 8  # of a word, space included, when text is cut before its words are counted

_MARKS = "?\uff1f\u061f"
_END = re.compile(r"[.!](?=[\s\"')]|[^\W\d_]|$)|\?(?![\w=&/\]])|[\u3002\uff01\uff1f\u061f\n]")
# A mark inside an address asks nothing, nor does an encyclopaedia's "[when?]".
_ADDRESS = re.compile(r"\?[\w=&/\]]")
_APART = re.compile(r"[\n\"\u201c\u00ab]")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_BEFORE = " \t#>*_-\u2013\u2022\u00bf("  # heading and list marks that may stand before a question


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ASKING = _words("who whom whose what which when where why how what's who's where's how's whats")
_VERBS = _words(
    "is are was were am do does did can could will would shall should may might must has have had "
    "isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't wouldn't hasn't haven't"
)
_SUBJECTS = _words(
    "the a an you i we they he she it there this that these those all any my your our his her "
    "their one both most some every"
)
_MEASURES = _words("many much long old far often tall big deep high large fast soon few")
_INVERTED = _words("do does did would could")
_BEING = _words("is are was am")
_ORDERS = _words("name list tell give describe explain identify state")
_ORDERED = _words("me us the all a an what how why who when where which some")
# German, French, Spanish, Italian, Portuguese, Dutch, Polish, Scandinavian, Russian, Turkish: words
# that seldom open anything but a question, and words that often do.
_SURE = _words(
    "wer wann warum welche welcher welches wieso weshalb woher wohin wieviel wieviele "
    "pourquoi combien quel quelle quels quelles qu'est "
    "qui\u00e9n qui\u00e9nes qu\u00e9 cu\u00e1ndo d\u00f3nde cu\u00e1l cu\u00e1les cu\u00e1nto "
    "cu\u00e1nta cu\u00e1ntos cu\u00e1ntas c\u00f3mo "
    "quanti quante perch\u00e9 quantos quantas qual quais "
    "waarom hoeveel welke wanneer waar "
    "dlaczego ile gdzie kiedy czy kto kt\u00f3ry kt\u00f3ra kt\u00f3re jaki jaka jakie "
    "varf\u00f6r vem vilken vilket vilka hvorfor hvem hvilken hvilke hvad hvor hvorn\u00e5r "
    "\u043f\u043e\u0447\u0435\u043c\u0443 \u0441\u043a\u043e\u043b\u044c\u043a\u043e "
    "\u043a\u0442\u043e \u0433\u0434\u0435 \u043a\u043e\u0433\u0434\u0430 "
    "\u043a\u0430\u043a\u043e\u0439 \u043a\u0430\u043a\u0430\u044f "
    "\u043a\u0430\u043a\u0438\u0435 \u043a\u0430\u043a\u043e\u0435 \u0447\u0435\u0439 "
    "neden ni\u00e7in nerede nas\u0131l ka\u00e7 hangi"
)
_VAGUE = _words(
    "wie wo was ist sind hat kann qui que quoi quand o\u00f9 comment est-ce come quando quale "
    "quali dove cosa chi onde quem como wat hoe co jak vad n\u00e4r var hur "
    "\u0447\u0442\u043e \u043a\u0430\u043a"
)
_INNER = re.compile(
    rf"[.!\n]\s*((?:{'|'.join(sorted(_ASKING))})\s+(?:{'|'.join(sorted(_VERBS))}|many|much)\b)",
    re.IGNORECASE,
)
# Verb before pronoun, or "at what point": a question that does not open with its question word.
_TURNED = re.compile(
    r"(?:^|, ?|: ?| and | but )(?:(?:who|what|when|where|why|how|which) (?:(?!to )\w+ ){0,2})?"
    r"(?:am|are|is|was|were|do|does|did|can|could|will|would|shall|should|may|might|must|has|have)"
    r" (?:i|you|we|they|he|she|it|there|that)\b"
    r"|^(?:at|until|till|by|in|on|from|for|to|with|since|under|of)"
    r" (?:what|which|whom|whose|when)\b",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(r"\bhow (?:many|much|long|often)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Lead:
    """A stretch that may be a question.

    Attributes:
        start: Character offset.
        end: Offset behind its last character.
        shape: How much it looks like a question, in (0, 1].
        marked: Whether it ends with a question mark.
    """

    start: int
    end: int
    shape: float
    marked: bool


def leads(text: str) -> Iterator[Lead]:
    """Yield stretches of a text that look like questions, the opening first.

    Args:
        text: Normalised text.
    """
    ending = _END.search(text)
    end = ending.end() if ending else len(text)
    if (shape := _opening(text, end)) > 0.0:
        yield Lead(0, end, shape, text[end - 1] in _MARKS)
    for mark in _MARKS:
        at = text.find(mark, end)
        while at >= 0:
            if _ADDRESS.match(text, at):
                at = text.find(mark, at + 1)
                continue
            start = 1 + max(text.rfind(c, 0, at) for c in ".!?\n\u3002\uff1f\u061f")
            yield from _with_preface(text, Lead(start, at + 1, _marked(text[start:at]), True))
            at = text.find(mark, at + 1)
    for match in _INNER.finditer(text, max(0, end - 1)):
        ending = _END.search(text, match.start(1))
        stop = ending.end() if ending else len(text)
        if text[stop - 1] not in _MARKS:
            yield from _with_preface(text, Lead(match.start(1), stop, 1.0, False))


def _with_preface(text: str, lead: Lead) -> Iterator[Lead]:
    """A lead, and where it stands near the text's beginning, the same with what comes before it.

    "I lost my badge. What do I do?" is one question; talk in quotes and lists are none.
    """
    yield lead
    if 0 < lead.start <= PREFACE and not _APART.search(text, 0, lead.end):
        yield Lead(0, lead.end, lead.shape, lead.marked)


def _opening(text: str, end: int) -> float:
    """Tell how much the first stretch of a text looks like a question, in [0, 1]."""
    stretch = text[:end].lstrip(_BEFORE)
    if not stretch.strip(_MARKS):
        return 0.0
    if text[end - 1] in _MARKS:
        return _marked(stretch)
    if not stretch[0].isalnum():  # a title in quotes
        return 0.0
    opening = _WORD.findall(stretch[:80].lower())
    first, second, *_ = [*opening, "", ""]
    lower = stretch[0].islower()
    shape = 0.0
    if first in _ASKING:
        shape = _asked(first, second, lower, _titled(stretch))
    elif first in _VERBS:
        if second in _SUBJECTS or (first in _INVERTED and second != "not"):
            shape = 1.0
        else:  # "Will" and "May" are names as well
            shape = 0.5 if lower or first in _BEING else 0.0
    elif first in _ORDERS:
        shape = 0.7 if second in _ORDERED else 0.0
    elif first in _SURE:
        shape = 1.0
    elif first in _VAGUE:
        shape = 0.5
    if shape < 0.7 and _TURNED.search(stretch):
        shape = 0.7
    elif shape < 0.5 and _HOW_MANY.search(stretch):
        shape = 0.5
    # A search typed in lower case, before text written as text is.
    if shape < 0.5 and stretch.islower() and text[end:].lstrip()[:1].isupper():
        shape = 0.5
    return shape if shape > 0.5 or len(opening) > SHORTEST else 0.0


def _asked(first: str, second: str, lower: bool, title: bool) -> float:
    """Shape of a stretch that opens with an English question word."""
    if second in _VERBS or second in _MEASURES or "'" in first or first in ("which", "whose"):
        return 1.0
    if first in ("who", "what"):
        return 0.3 if title else 1.0 if lower else 0.8
    return 0.5 if lower else 0.0  # "how to", "when it rains"


def _titled(stretch: str) -> bool:
    """Tell whether the second word is written with a capital, as in a title."""
    return stretch.partition(" ")[2][:1].isupper()


def _marked(stretch: str) -> float:
    """Shape of a stretch before a question mark: names of films and books end with one too."""
    asked = _ASKING | _VERBS | _SURE | _VAGUE
    return 1.0 if any(w in asked for w in _WORD.findall(stretch.lower())) else 0.7


def echo(text: str, lead: Lead, value: Callable[[str], float], least: float) -> float:
    """Tell how much of a lead is said again near it.

    Args:
        text: Normalised text.
        lead: A stretch of it.
        value: What a word is worth; rare ones more.
        least: Value below which a word tells nothing.

    Returns:
        Share in [0, 1] of the value of the lead's telling words, among the words after it, or
        before it where it ends the text.
    """
    worth, after = telling(text, lead, value, least)
    if len(worth) < TELLING:
        return 0.0
    near = after + _WORD.findall(text[lead.end : lead.end + REACH * LETTERS].lower())
    if len(near) < SHORTEST:
        near = _WORD.findall(text[max(0, lead.start - REACH * LETTERS) : lead.start].lower())
    again: Set[str] = {_stem(word) for word in near}
    return sum(v for word, v in worth.items() if word in again) / sum(worth.values())


def telling(
    text: str, lead: Lead, value: Callable[[str], float], least: float
) -> tuple[dict[str, float], list[str]]:
    """List words of a lead that say what it asks about.

    Args:
        text: Normalised text.
        lead: A stretch of it.
        value: See `echo`.
        least: See `echo`.

    Returns:
        Stems and their value; the words of the stretch that are no longer of the question.
    """
    own = _WORD.findall(text[lead.start : lead.end].lower())[: 2 * LONGEST]
    worth: dict[str, float] = {}
    if len(own) < SHORTEST:
        return worth, []
    cut = min(len(own), LONGEST)
    for i, word in enumerate(own[:cut]):
        worthy = value(word)
        if worthy < least:
            continue
        # Without a mark, a question ends where it begins to repeat itself.
        if _stem(word) in worth and i > SHORTEST and not lead.marked:
            cut = i
            break
        worth[_stem(word)] = worthy
    return worth, own[cut:]


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
