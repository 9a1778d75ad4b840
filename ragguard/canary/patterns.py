"""Match patterns that must not appear in answers: regular expressions whose time is bounded.

The text that is searched is hostile, and a backtracking engine can be made to search for ever by
whoever writes it. Patterns are therefore YARA's regular expressions, matched in linear time over
UTF-8, upper and lower case of ASCII letters alike. Each is looked for in the text as it stands and
in what it says once look-alikes, invisible characters and simple disguises are undone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ragguard.errors import UsageError
from ragguard.text.encodings import readings
from ragguard.text.words import normalise
from ragguard.trust.names import skeleton

MAX_PATTERN = 500  # characters
MAX_PATTERNS = 500
QUOTE = 80  # bytes of a match that are kept
_ESCAPED = re.compile(r"\\.|/", re.DOTALL)


class Patterns:
    """Compiled patterns.

    Raises:
        UsageError: Too many or too long, or one that cannot be compiled.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._scanner: Any = None
        if len(patterns) > MAX_PATTERNS:
            raise UsageError(f"{len(patterns)} patterns, at most {MAX_PATTERNS} are taken")
        if patterns:
            import yara_x

            rules = [_rule(number, pattern) for number, pattern in enumerate(patterns)]
            for pattern, rule in zip(patterns, rules, strict=True):
                try:
                    yara_x.compile(rule)
                except yara_x.CompileError as error:
                    message = str(error).splitlines()[0].removeprefix("error")
                    raise UsageError(
                        f"pattern {pattern[:60]!r}: {message.partition(': ')[2]}",
                        hint="Patterns are regular expressions as YARA reads them.",
                    ) from None
            self._scanner = yara_x.Scanner(yara_x.compile("\n".join(rules)))

    def search(self, text: str) -> dict[int, str]:
        """List numbers of the patterns that a text matches, and what they matched."""
        quotes: dict[int, str] = {}
        if self._scanner is None:
            return quotes
        plain = normalise(text)
        letters = plain if plain.isascii() else skeleton(plain)
        spelled = (reading for _, reading in readings(plain))
        for variant in dict.fromkeys((text, plain, letters, *spelled)):
            raw = variant.encode("utf-8", "replace")
            for rule in self._scanner.scan(raw).matching_rules:
                match = next(m for p in rule.patterns for m in p.matches)
                quote = raw[match.offset : match.offset + min(match.length, QUOTE)]
                quotes.setdefault(int(rule.identifier[1:]), quote.decode("utf-8", "ignore"))
        return quotes


def _rule(number: int, pattern: str) -> str:
    """Return a YARA rule for a pattern, which cannot leave the place it is put in."""
    if not pattern or len(pattern) > MAX_PATTERN:
        raise UsageError(f"pattern {pattern[:60]!r}: expected 1 to {MAX_PATTERN} characters")
    if not pattern.isprintable():
        raise UsageError(f"pattern {pattern[:60]!r}: holds a character that cannot be seen")
    left = len(pattern) - len(pattern.rstrip("\\"))
    if left % 2:
        raise UsageError(f"pattern {pattern[:60]!r}: ends in a backslash")
    body = _ESCAPED.sub(lambda m: r"\/" if m[0] == "/" else m[0], pattern)
    return f"rule r{number} {{ strings: $p = /{body}/i condition: $p }}"
