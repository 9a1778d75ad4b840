"""Resolve a source text to what a reader reads: markup, entities, hyphens, accents, lines.

A phrase is the same phrase when it is emphasised, linked, spread over list items or lines,
hyphenated at a line's end, accented, coloured for a terminal or spelled with dots between its
letters. Rules look at this reading beside the raw text. Nothing here decides anything.
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from itertools import dropwhile

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)|[@-Z\\^_])")
_TAG = re.compile(
    r"</?(?:a|abbr|b|bdi|bdo|big|br|center|cite|code|del|dfn|div|em|font|h[1-6]|i|img|ins|kbd|label"
    r"|li|mark|ol|p|q|s|samp|section|small|span|strike|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul"
    r"|var|wbr)\b[^<>]{0,400}>",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"</?(?:br|div|h\d|li|ol|p|section|table|tbody|td|th|tr|ul)\b", re.IGNORECASE)
_LINK = re.compile(
    r"!?\[([^\[\]\n]{0,400})\](?:\([^()\s]{0,600}(?:\s[^()\n]{0,300})?\)|\[[^\[\]\n]{0,200}\])"
)
_ROLE = re.compile(
    r"(?::[a-z]{1,20}){1,3}:`([^`<\n]{1,200})(?: <[^>\n]{1,200}>)?`"
    r"|`([^`<\n]{1,200}) <[^>\n]{1,300}>`_{1,2}"
)
_EMPHASIS = re.compile(
    r"(?<![^\W_])(?:\*{1,3}|_{1,3}|~~|==)(?=[^\s*_~])"
    r"|(?<=[^\s*_~])(?:\*{1,3}|_{1,3}|~~|==)(?![^\W_])"
)
_INNER_STARS = re.compile(r"(?<=[^\W\d_])\*{1,3}(?=[^\W\d_])")
_ESCAPED = re.compile(r"\\([!\"#$%&'()*+,./:;<=>?@\[\]^_`{|}~-])")
_HYPHENATED = re.compile(r"(?<=[^\W\d_])[-\u2010]\n[ \t]{0,40}(?=[a-z])")
_ITEM = re.compile(
    r"^[ \t]{0,40}(?:[-*+\u2022\u00b7]|\d{1,3}[.)]|[a-z][.)]|#{1,6}|\||(?:>[ \t]?){1,5})"
    r"(?:[ \t]+|$)",
    re.MULTILINE,
)
_BLOCKQUOTE = re.compile(r"(?:^[ \t]{0,3}>[^\n]*(?:\n|\Z))+", re.MULTILINE)
_CELLS = re.compile(r"(?<![ \t])[ \t]*\|[ \t]*")
_BREAK = re.compile(r"(?<![ \t])[ \t]*\n\s*")
_SPELLED = re.compile(
    r"(?<![\w.\-])[^\W\d_](?:([.\-_*\u00b7|/~+])[^\W\d_](?:\1[^\W\d_]){1,40})(?![\w\-])"
)
_SPACED = re.compile(r"(?<!\w)(?:[^\W\d_] ){4,60}[^\W\d_](?!\w)")
# What each of the two cannot be without; sought first, because it is found missing sooner.
_SPELLED_PART = re.compile(r"([.\-_*\u00b7|/~+])[^\W\d_]\1")
_SPACED_PART = re.compile(r" [^\W\d_] [^\W\d_] ")
_MOVED = re.compile(r"(?:(?<=\s)|^)([^\W\d_]{1,20})-([^\W\d_])(?=[\s.,;:!?]|$)")
_MOVED_RUN = re.compile(r"(?:(?:^|\s)[^\W\d_]{1,20}-[^\W\d_](?=[\s.,;:!?]|$)[.,;:!?]?){3,}")
_AFTER_ASCII = re.compile(r"(?<=[\x00-\x7f])[^\x00-\x7f]+")
_STOPS = ".!?:;"
_MOST = 400_000  # characters; of a longer text the rest is read as it stands


def rendered(text: str) -> str:
    """Resolve markup: emphasis, tags, links' labels, entities, escapes, comments, terminal codes.

    Args:
        text: Source text of any kind; what is no markup stays.

    Returns:
        The text as shown, lines kept.
    """
    if len(text) > _MOST:
        return rendered(text[:_MOST]) + text[_MOST:]
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "&" in text:
        text = unescape(text)
    if "<" in text:
        text = _uncommented(text)
        text = _TAG.sub(lambda m: "\n" if _BLOCK.match(m.group()) else "", text)
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    if "[" in text:
        text = _LINK.sub(r"\1", text)
    if "`" in text:
        text = _ROLE.sub(lambda m: m[1] or m[2], text)
    if "*" in text or "_" in text or "~~" in text or "==" in text:
        text = _EMPHASIS.sub("", text)
        text = _INNER_STARS.sub("", text)
    return text


def _uncommented(text: str) -> str:
    """Return a text without its HTML comments; one that does not end is none."""
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    return "".join([*kept, text[at:]])


def joined(text: str) -> str:
    """Join what a reader reads on: hyphenated words, list items, wrapped lines, paragraphs.

    Args:
        text: As from `rendered`.

    Returns:
        One line a sentence or block that ends: a line that ends without a stop goes on in the next.
    """
    if len(text) > _MOST:
        return joined(text[:_MOST]) + "\n" + text[_MOST:]
    if "\n" not in text and "|" not in text:
        return _ITEM.sub("", text)
    if ">" in text:
        text = _BLOCKQUOTE.sub(_as_quotation, text)
    text = _ITEM.sub("", _HYPHENATED.sub("", text))
    if "|" in text:
        text = _CELLS.sub(" ", text)
    return _BREAK.sub(lambda m: "\n" if text[m.start() - 1 : m.start()] in _STOPS else " ", text)


def _as_quotation(match: re.Match[str]) -> str:
    """Return a quoted block as a quotation in its own line."""
    quoted = " ".join(_ITEM.sub("", match.group()).split())
    return f"\u201c{quoted}\u201d\n" if quoted else "\n"


def unaccented(text: str) -> str:
    """Fold accents of Latin letters; other scripts stay."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", _AFTER_ASCII.sub(_without_marks, apart))


def _without_marks(run: re.Match[str]) -> str:
    """Tell what follows a plain letter, without the marks that stand on it."""
    return "".join(dropwhile(unicodedata.combining, run.group()))


def unspelled(text: str) -> str:
    """Join letters written apart: with dots, hyphens or blanks between, or the first put last.

    Abbreviations of three letters and more (`U.S.A`) are joined too, which hides nothing.
    """
    if _SPELLED_PART.search(text):
        text = _SPELLED.sub(lambda m: m.group().replace(m[1], ""), text)
    if _SPACED_PART.search(text):
        text = _SPACED.sub(lambda m: m.group().replace(" ", ""), text)
    return _MOVED_RUN.sub(lambda m: _MOVED.sub(r"\2\1", m.group()), text) if "-" in text else text


def spelled(text: str) -> list[str]:
    """List words written letter by letter or with the first letter last, in lower case.

    Returns:
        Words of four letters and more; an initialism in capitals (`N.A.T.O.`) is none.
    """
    joined = [m.group().replace(m[1], "") for m in _SPELLED.finditer(text)]
    joined += [m.group().replace(" ", "") for m in _SPACED.finditer(text)]
    words = [w.lower() for w in joined if len(w) > 3 and not w.isupper()]
    if "-" in text:
        for run in _MOVED_RUN.finditer(text):
            moved = [(m[2] + m[1]).lower() for m in _MOVED.finditer(run.group())]
            words += [w for w in moved if len(w) > 3]
    return words


def read(text: str) -> str:
    """Tell what a reader reads: `rendered`, `joined`, `unspelled`, `unaccented`."""
    return unaccented(unspelled(joined(rendered(text))))
