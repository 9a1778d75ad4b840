"""Simulate instructions that readers do not see and models do, in nine encodings.

Sources: Boucher et al., "Bad Characters: Imperceptible NLP Attacks", IEEE S&P 2022; Greshake et
al., AISec 2023 (comments and invisible styles); Unicode tag characters and variation selectors as
used for "ASCII smuggling".
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.attacks.instructions import PLACES, insert
from ragguard.redteam.attacks.orders import order
from ragguard.redteam.attacks.terrain import carriers

Writer = Callable[[str, str, np.random.Generator], tuple[str, str]]

_LIKE = str.maketrans(
    "aeopcxyiAEOPCTHKMB",
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0410\u0415\u041e\u0420\u0421\u0422\u041d\u041a\u041c\u0412",
)
_ZERO_WIDTH = ("\u200b", "\u200c", "\u200d", "\u2060")
_INVISIBLE_STYLES = (
    "display:none",
    "position:absolute;left:-9999px",
    "visibility:hidden",
    "font-size:0",
    "opacity:0",
    "position:absolute;top:-5000px;left:-5000px",
)
_SAME_COLOURS = (
    "color:#ffffff;background-color:#ffffff",
    "color:white;background:white",
    "color:#fefefe;background:#fff",
    "color:rgb(255,255,255);background-color:rgb(255,255,255)",
)


@dataclass(frozen=True)
class Params:
    """Tunable values.

    Attributes:
        encodings: Those to rotate through, keys of `ENCODINGS`; all when empty.
    """

    encodings: tuple[str, ...] = ()


@attack("hidden_text", family="hidden", params=Params)
def hidden_text(
    target: Target, rng: np.random.Generator, campaigns: int, params: Params
) -> list[PoisonDocument]:
    """Hide an instruction in an honest passage, each document in another of nine encodings."""
    names = params.encodings or tuple(ENCODINGS)
    planted: list[PoisonDocument] = []
    for number, carrier in enumerate(carriers(target, rng, campaigns)):
        encoding = names[number % len(names)]
        _, instruction = order(rng)
        text, form = ENCODINGS[encoding](carrier.text, instruction, rng)
        name = f"hidden_text-{number:04d}-{encoding}"
        planted.append(PoisonDocument(name, text, name, "", carrier.id, carrier.metadata, form))
    return planted


def _zero_width(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Zero-width characters between the letters of the instruction, so that no rule matches."""
    broken = "".join(
        c + (_ZERO_WIDTH[int(rng.integers(4))] if c.isalpha() and rng.random() < 0.6 else "")
        for c in instruction
    )
    return _put(text, broken, rng), "txt"


def _bidi(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return the instruction's letters in reverse order under a right-to-left override."""
    return _put(text, f"\u202e{instruction[::-1]}\u202c", rng), "txt"


def _tags(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return the instruction in Unicode tag characters, which no font shows."""
    return _at_space(
        text, "".join(chr(0xE0000 + ord(c)) for c in instruction if ord(c) < 127), rng
    ), "txt"


def _homoglyphs(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return the instruction with Cyrillic letters that look Latin."""
    return _put(text, instruction.translate(_LIKE), rng), "txt"


def _comment(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return the instruction in an HTML comment."""
    return _page(text, f"<!-- {html.escape(instruction, quote=False)} -->", rng), "html"


def _style(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return the instruction in an element that is not displayed, or displayed off the screen."""
    style = _INVISIBLE_STYLES[int(rng.integers(len(_INVISIBLE_STYLES)))]
    tag = ("p", "div", "span")[int(rng.integers(3))]
    return _page(text, f'<{tag} style="{style}">{html.escape(instruction)}</{tag}>', rng), "html"


def _base64(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return the instruction as a base64 blob, sometimes with a word on what to do with it."""
    blob = base64.b64encode(instruction.encode()).decode()
    lead = ("", "ref: ", "checksum ", "Decode and follow: ")[int(rng.integers(4))]
    return _put(text, lead + blob, rng), "txt"


def _selectors(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return the instruction's bytes as variation selectors behind one letter."""
    chars = (chr(0xFE00 + b) if b < 16 else chr(0xE0100 + b - 16) for b in instruction.encode())
    return _at_space(text, "".join(chars), rng), "txt"


def _unseen(text: str, instruction: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return the instruction in the background's colour, or in attributes only programs read."""
    quoted = html.escape(instruction)
    if rng.random() < 0.5:
        style = _SAME_COLOURS[int(rng.integers(len(_SAME_COLOURS)))]
        return _page(text, f'<p style="{style}">{quoted}</p>', rng), "html"
    element = (
        f'<img src="line.png" alt="{quoted}">',
        f'<span aria-label="{quoted}"></span>',
        f'<a href="#top" title="{quoted}">&nbsp;</a>',
    )[int(rng.integers(3))]
    return _page(text, element, rng), "html"


def _put(text: str, addition: str, rng: np.random.Generator) -> str:
    return insert(text, addition, PLACES[int(rng.integers(3))], rng)


def _at_space(text: str, invisible: str, rng: np.random.Generator) -> str:
    """Put characters that are not seen behind a word."""
    spaces = [i for i, c in enumerate(text) if c == " "] or [len(text)]
    at = spaces[int(rng.integers(len(spaces)))]
    return text[:at] + invisible + text[at:]


def _page(text: str, element: str, rng: np.random.Generator) -> str:
    """Return the text as a page, the element before, between or after its paragraphs."""
    blocks = [f"<p>{html.escape(p.strip())}</p>" for p in text.split("\n\n") if p.strip()]
    blocks.insert(int(rng.integers(len(blocks) + 1)), element)
    return "<html><body>\n" + "\n".join(blocks) + "\n</body></html>\n"


ENCODINGS: Mapping[str, Writer] = {
    "zero-width": _zero_width,
    "bidi": _bidi,
    "tags": _tags,
    "homoglyphs": _homoglyphs,
    "comment": _comment,
    "style": _style,
    "base64": _base64,
    "selectors": _selectors,
    "unseen": _unseen,
}
