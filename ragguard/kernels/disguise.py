"""Other texts a language model reads out of a text: spelled out, in digits, backwards, shifted.

Models follow instructions written so (Wei et al., "Jailbroken: How Does LLM Safety Training
Fail?", NeurIPS 2023, on obfuscation), and rules that look for words do not see them. Only readings
in which words of interest appear that the text itself does not have are given, so honest text has
none.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

_WORDS = (
    *("ignore", "disregard", "instruction", "directive", "prompt"),
    *("assistant", "chatbot", "language model"),
)
_INTEREST = re.compile("|".join(_WORDS), re.IGNORECASE)
_BACKWARDS = re.compile("|".join(word[::-1] for word in _WORDS), re.IGNORECASE)
_SHIFTED = re.compile("|".join(codecs.encode(word, "rot13") for word in _WORDS), re.IGNORECASE)
_SPELLED = re.compile(r"(?<!\w)\w([ .\-_*·|/~+,])(?:\w\1){1,200}\w(?!\w)")
_MIXED = re.compile(r"(?<!\w)\w{0,40}?[a-z][0134578@$!|]{1,9}[a-z][\w@$!|]{0,40}", re.IGNORECASE)
_DIGITS = str.maketrans("034578@$!|", "oeastbasii")


def readings(text: str) -> Iterator[tuple[str, str]]:
    """What else can be read out of a text.

    Args:
        text: Any text.

    Yields:
        The way it was disguised, and the reading.
    """
    if _BACKWARDS.search(text):
        yield "backwards", text[::-1]
    if _SHIFTED.search(text):
        yield "rot13", codecs.encode(text, "rot13")
    if _SPELLED.search(text):
        joined = _SPELLED.sub(lambda m: m.group().replace(m[1], ""), text)
        if _says_more(joined, text):
            yield "letters spelled out", joined
    if _MIXED.search(text):
        for one in "il":
            lettered = _MIXED.sub(lambda m: _as_letters(m.group(), one), text)  # noqa: B023
            if _says_more(lettered, text):
                yield "digits for letters", lettered


def _as_letters(word: str, one: str) -> str:
    return word.translate(_DIGITS).replace("1", one)


def _says_more(reading: str, text: str) -> bool:
    return len(_INTEREST.findall(reading)) > len(_INTEREST.findall(text))
