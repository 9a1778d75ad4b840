"""Decode other texts a language model reads out of a text: spelled out, in digits, backwards.

Models follow instructions written so (Wei et al., "Jailbroken: How Does LLM Safety Training
Fail?", NeurIPS 2023, on obfuscation), and rules that look for words do not see them. Only readings
in which words of interest appear that the text itself does not have are given, so honest text has
none.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from string import ascii_lowercase

from ragguard.text.requests import PRODUCE, STOP

_WORDS = (
    *("ignore", "disregard", "instruction", "directive", "prompt"),
    *("assistant", "chatbot", "language model"),
)
_INTEREST = re.compile("|".join(_WORDS), re.IGNORECASE)
_BACKWARDS = tuple(word[::-1] for word in _WORDS)
_SHIFTED = tuple(codecs.encode(word, "rot13") for word in _WORDS)
_SPELLED = re.compile(r"(?<!\w)\w([ .\-_*·|/~+,])(?:\w\1){1,200}\w(?!\w)")
_MIXED = re.compile(r"(?<!\w)\w{0,40}?[a-z][0134578@$!|]{1,9}[a-z][\w@$!|]{0,40}", re.IGNORECASE)
# What each of these two must hold, found several times faster.
_SPELLED_PART = re.compile(r"([ .\-_*·|/~+,])\w\1\w(?!\w)")
_MIXED_PART = re.compile(r"[0134578@$!|]{1,9}[a-z]", re.IGNORECASE)
_DIGITS = str.maketrans("034578@$!|", "oeastbasii")

_EVERYDAY = """
    time name names words people question sentence year day week man woman child world life hand
    part place case work number point home water room mother area money story fact month lot
    right study book eye job word business issue side kind head house service friend father
    power hour game line end city country school state new good first last long great little old
    big high different small large next early young important public best top know think take
    see come want look use find work call need feel become leave put mean keep begin help start
    run bring happen must before today tomorrow never always here back only really text message
    email link website password account address send click visit order free offer language
    letter letters capital code number numbers list list three two one four five ten hundred
    thousand million everyone someone
"""
_PLAIN = (STOP | PRODUCE | frozenset(_EVERYDAY.split())) - {"a", "i"}
_TOKEN = re.compile(r"[A-Za-z0-9@$!|]+")
_PIECE = re.compile(r"(?<=[.!?:;])\s+|\n+")
_NO_PROSE = re.compile(
    r"<[^<>]{1,2000}>|\]\([^()\s]{1,600}\)|```.{0,20000}?```|`[^`\n]{1,200}`|&#?\w{1,8};", re.DOTALL
)
_WRITTEN = re.compile(r"\S+")
_CALL = re.compile(r"\w\.\w+\(")
_ASCII_TOKENS = "".join(c if _TOKEN.match(c) else " " for c in map(chr, range(128)))
WINDOW = 8  # words looked at together
MOST_WINDOWS = 20_000  # tried in a text; prose needs a few in a thousand words
_LONGEST = 64  # words of a stretch
_LEAST = 3  # plain words a reading must win
_LETTERS = 8  # letters they must have together
_LONG_WORD = 4  # letters of a word that decides anything; two of them must be among those won
_SURE = 7  # letters of two plain words that are enough read backwards
_SHARE = 0.34  # of the words read that must be plain
_BEFORE = 0.25  # of the words as written that may be plain


def readings(text: str) -> Iterator[tuple[str, str]]:
    """Tell what else can be read out of a text.

    Yields:
        The way it was disguised, and the reading.
    """
    lowered = text.lower()
    if any(word in lowered for word in _BACKWARDS):
        yield "backwards", text[::-1]
    if any(word in lowered for word in _SHIFTED):
        yield "rot13", codecs.encode(text, "rot13")
    if _SPELLED_PART.search(text) and _SPELLED.search(text):
        joined = _SPELLED.sub(lambda m: m.group().replace(m[1], ""), text)
        if _says_more(joined, text):
            yield "letters spelled out", joined
    if _MIXED_PART.search(text) and _MIXED.search(text):
        for letter in "il":
            lettered = _MIXED.sub(lambda m: _as_letters(m.group(), letter), text)  # noqa: B023
            if _says_more(lettered, text):
                yield "digits for letters", lettered


def _as_letters(word: str, letter: str) -> str:
    return word.translate(_DIGITS).replace("1", letter)


def _says_more(reading: str, text: str) -> bool:
    return len(_INTEREST.findall(reading)) > len(_INTEREST.findall(text))


def deciphered(text: str) -> Iterator[tuple[str, str]]:
    """English that reads as none: letters shifted, words or lines backwards, digits for letters.

    A stretch of several words of which hardly one is plain English, and many are once it is read
    in another way. English only. Markup is not prose: tags with their class names and fields,
    addresses and names in code are not deciphered, and short words decide nothing.

    Yields:
        The way it was disguised, and the reading; at most one a sentence.
    """
    tried = 0
    lowered = text.lower()
    if not _may_read(lowered):
        return
    lowered = _WRITTEN.sub(_prose, _NO_PROSE.sub(" . ", lowered))
    for tokens in _stretches(lowered):
        places: dict[str, list[int]] = {}
        for place, token in enumerate(tokens):
            for how in _ENCODED.get(token, ()) if token.isalpha() else _spelled(token):
                places.setdefault(how, []).append(place)
        for how, hits in places.items():
            if len({tokens[place] for place in hits}) < 2 or tried > MOST_WINDOWS:
                continue
            tried += len(hits)
            if plain_text := _read(tokens, how, hits):
                yield how, plain_text
                break


def _prose(match: re.Match[str]) -> str:
    """Return a run of characters, or a stop where it is an address, a path or a name in code."""
    run = match.group()
    written = "_" in run or "=" in run or "://" in run or run.count("/") > 1 or "\\" in run
    return " . " if written or ("(" in run and _CALL.search(run[:200])) else run


def _may_read(text: str) -> bool:
    """Tell whether enough words close together are plain ones when read in one way.

    Asked of the whole text, so that most texts need not be taken apart.
    """
    tokens = _tokens(text)
    distinct = set(tokens)
    odd = {t for t in distinct if not t.isalpha()}
    if not odd and len(_ENCODED.keys() & distinct) < _LEAST - 1:
        return False
    if odd:
        tokens = [t for t in tokens if t not in odd or not t.isdigit()]
    placed_ways = [(place, ways) for place, t in enumerate(tokens) if (ways := _ENCODED.get(t))]
    if odd:
        placed_ways += [(place, _spelled(t)) for place, t in enumerate(tokens) if t in odd]
        placed_ways.sort()
    places: dict[str, list[int]] = {}
    for place, ways in placed_ways:
        for how in ways:
            places.setdefault(how, []).append(place)
    for how, hits in places.items():
        least = _LEAST - (how == _BACKWARDS_WAY)
        if any(b - a < WINDOW for a, b in zip(hits, hits[least - 1 :], strict=False)):
            return True
    return False


def _tokens(text: str) -> list[str]:
    """Tell what `_TOKEN` finds in a lower-cased text."""
    return text.translate(_ASCII_TOKENS).split() if text.isascii() else _TOKEN.findall(text)


def _stretches(text: str) -> Iterator[list[str]]:
    """Words of each sentence; a long one in parts, so that none costs more than its length."""
    for piece in _PIECE.split(text):
        tokens = [t for t in _TOKEN.findall(piece) if not t.isdigit()]
        for start in range(0, len(tokens), _LONGEST):
            if len(stretch := tokens[start : start + _LONGEST]) >= _LEAST:
                yield stretch


def _read(tokens: list[str], how: str, hits: list[int]) -> str:
    """Tell what a stretch reads as in one way; empty when it is no English in that way either."""
    for first in hits:
        window = tokens[first : first + WINDOW]
        words = [_decode(token, how) for token in window]
        won = [w for w, t in zip(words, window, strict=True) if w in _PLAIN and w != t]
        letters = sum(map(len, won))
        enough = len(set(won)) >= _LEAST and letters >= _LETTERS  # a formula repeats its letters
        sure = how == _BACKWARDS_WAY and len(won) >= _LEAST - 1 and letters >= _SURE
        long = {w for w in won if len(w) >= _LONG_WORD}  # `on` read backwards is a word as well
        had = sum(t in _PLAIN for t in window)
        if (
            (enough or sure)
            and len(long) > 1
            and len(won) >= _SHARE * len(words)
            and had <= _BEFORE * len(words)
        ):
            return " ".join(_decode(token, how) for token in tokens)
    return ""


def _spelled(token: str) -> tuple[str, ...]:
    """Ways in which a word with digits in it is a plain one."""
    return tuple(how for how in _SPELLINGS if _decode(token, how) in _PLAIN)


def _decode(token: str, how: str) -> str:
    if how == _BACKWARDS_WAY:
        return token[::-1]
    if how in _SPELLINGS:
        return token.translate(_DIGITS).replace("1", how[-1])
    return token.translate(_TABLES[how])


def _shifted(by: int) -> dict[int, int]:
    return str.maketrans(ascii_lowercase, ascii_lowercase[by:] + ascii_lowercase[:by])


_BACKWARDS_WAY = "backwards"
_SPELLINGS = ("digits for letters, 1 for i", "digits for letters, 1 for l")
_TABLES = {f"letters shifted by {by}": _shifted(by) for by in range(1, 26)}
_TABLES["letters mirrored"] = str.maketrans(ascii_lowercase, ascii_lowercase[::-1])


def _encode() -> dict[str, tuple[str, ...]]:
    """List every plain word as it looks in each disguise, so that a word costs one look-up."""
    ways_of: dict[str, list[str]] = {}
    for word in sorted(_PLAIN):
        ways_of.setdefault(word[::-1], []).append(_BACKWARDS_WAY)
        for how, table in _TABLES.items():
            inverse = {after: before for before, after in table.items()}
            ways_of.setdefault(word.translate(inverse), []).append(how)
    return {word: tuple(ways) for word, ways in ways_of.items()}


_ENCODED = _encode()
