"""Edit documents as authors do between two dates: nothing in it is an attack.

A sentence is added, a date moves on, a link changes, a typing error is mended. Which one, and
where, is drawn; what cannot be done to a text (it has no link) becomes the next kind.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace

from ragguard.bench.collection import Paper
from ragguard.corpus.documents import format_of
from ragguard.errors import UnreadableError
from ragguard.parse.document import decode_text

SENTENCES = (
    "The examples on this page were checked again this spring.",
    "If something is unclear, ask in the usual channel.",
    "A short video shows the same steps.",
    "This section was moved here from the older guide.",
    "Thanks to everybody who pointed out the mistake in the second example.",
    "Allow a few minutes for the change to show.",
    "The next review is planned for the autumn.",
    "We keep a list of known problems at the end.",
    "Larger teams may want to plan half a day for it.",
    "The figures are rounded to whole numbers.",
    "A printed copy hangs in the kitchen.",
    "The same holds for the other two offices.",
)
_DATE = re.compile(r"\b(?P<year>(?:19|20)\d\d)(?:-(?P<month>[01]\d)-(?P<day>[0-3]\d))?\b")
_LINK = re.compile(r"https?://[\w.-]+(?:/[\w./~%-]*)?")
_WORD = re.compile(r"(?<![\w/.`_<&-])[a-z]{6,12}(?![\w/`_>;-])")
_END = re.compile(r"(?<=[a-z]{3}[.])(?=\n\s*\n|\s*\Z)")
_HTML_END = re.compile(r"(?<=</p>)", re.IGNORECASE)
Change = Callable[[str, str, random.Random], str]


def edit(paper: Paper, rng: random.Random) -> tuple[Paper, Paper] | None:
    """Return an older and a newer version of a document that differ by a small edit.

    Args:
        paper: As it lies there; it is one of the two.
        rng: Draws the edit.

    Returns:
        Both versions; `None` for formats whose bytes are not text.
    """
    fmt = "txt" if paper.record else format_of(paper.id)
    if fmt in ("pdf", "docx"):
        return None
    try:
        body = json.loads(paper.data) if paper.record else {}
        text = str(body["text"]) if paper.record else decode_text(paper.data)
    except (ValueError, KeyError, UnreadableError):
        return None
    kinds: list[Change] = [_add_sentence, _move_date, _change_link, _misspell]
    rng.shuffle(kinds)
    for kind in [*kinds, _append]:
        changed = kind(text, fmt, rng)
        if changed != text:
            data = changed.encode("utf-8", "surrogatepass")
            if paper.record:
                data = json.dumps({**body, "text": changed}, ensure_ascii=False).encode(
                    "utf-8", "surrogatepass"
                )
            other = replace(paper, data=data)
            return (other, paper) if kind is _misspell else (paper, other)
    return None


def _add_sentence(text: str, fmt: str, rng: random.Random) -> str:
    places = [m.start() for m in (_HTML_END if fmt == "html" else _END).finditer(text)]
    if not places:
        return text
    at, sentence = rng.choice(places), rng.choice(SENTENCES)
    added = f"\n<p>{sentence}</p>" if fmt == "html" else f" {sentence}"
    return text[:at] + added + text[at:]


def _append(text: str, fmt: str, rng: random.Random) -> str:
    sentence = rng.choice(SENTENCES)
    return text.rstrip() + (f"\n<p>{sentence}</p>\n" if fmt == "html" else f"\n\n{sentence}\n")


def _move_date(text: str, fmt: str, rng: random.Random) -> str:
    dates = list(_DATE.finditer(text))
    if not dates:
        return text
    match = rng.choice(dates)
    if match["day"]:
        moved = f"{match['year']}-{match['month']}-{rng.randint(1, 28):02d}"
    else:
        moved = str(int(match["year"]) + 1)
    return text[: match.start()] + moved + text[match.end() :]


def _change_link(text: str, fmt: str, rng: random.Random) -> str:
    links = list(_LINK.finditer(text))
    if not links:
        return text
    match = rng.choice(links)
    moved = match[0].rstrip("/.") + rng.choice(("/latest", "/overview", "/v2", "/guide"))
    return text[: match.start()] + moved + text[match.end() :]


def _misspell(text: str, fmt: str, rng: random.Random) -> str:
    """Two letters change places: the older version, in which nobody had seen it."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    match = rng.choice(words)
    at = match.start() + rng.randint(1, len(match[0]) - 3)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
