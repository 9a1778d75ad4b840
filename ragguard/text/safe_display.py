"""Make text safe to show: nothing in it steers a terminal or deceives a reader.

Document text, file names and payloads are written by strangers. Whatever shows them, terminal or
page, shows them through here.
"""

from __future__ import annotations

import unicodedata

_KEPT = {"\n", "\t"}


def plain(text: str) -> str:
    """Return the text without anything that steers a terminal or deceives a reader.

    Control characters, escape sequences, bidirectional controls, zero-width and other format
    characters, surrogates and unassigned code points become visible escapes.
    """
    if text.isascii() and text.isprintable():
        return text
    out = []
    for char in text:
        if char in _KEPT or (char.isprintable() and unicodedata.category(char) != "Cf"):
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}")
    return "".join(out)


def line(text: str) -> str:
    """One line of `plain` text."""
    return " ".join(plain(text).split())


def cut(text: str, most: int) -> str:
    """At most so many characters; what was longer ends in an ellipsis."""
    return text if len(text) <= most else text[: max(0, most - 1)] + "\N{HORIZONTAL ELLIPSIS}"
