"""Look at a page in a browser, and check what the browser says as values.

What it says is believed by nobody: whatever is not of the shape is an error that `drawn.look` turns
into an unreadable page.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragguard.parse.ink import Picture

Integers = npt.NDArray[np.int64]


class View(Protocol):
    """A page in a browser; see `browser.Browser`, whose answers these are, read."""

    def open(self, markup: str) -> Any:
        """Load a page; what `begin` of `page.js` says."""

    def picture(self, x: int, y: int, hidden: Sequence[int] | None) -> tuple[Any, bytes]:
        """Tell where it scrolled to, and a PNG of the window without the text of these nodes."""

    def turn(self, asked: Sequence[tuple[int, int]]) -> Any:
        """Scroll inner boxes; what `turn` of `page.js` says."""

    def lift(self) -> Any:
        """Take away what stands beside the main part of the page; the boxes of what may cover."""


def decoded(png: bytes, size: tuple[int, int]) -> Picture:
    """Decode the pixels of a picture of the right size, and of no other.

    Args:
        png: What the browser gave.
        size: Width and height asked for.

    Returns:
        uint8 (height, width, 4), BGRA.

    Raises:
        ValueError: It is no such picture.
    """
    from PIL import Image

    try:
        with Image.open(BytesIO(png), formats=("PNG",)) as image:
            if image.size != size:
                raise ValueError("size")
            raw = image.convert("RGBA").tobytes("raw", "BGRA")
    except MemoryError:
        raise
    except Exception as error:
        # A browser that a page has taken over may give any bytes, and Pillow raises whatever it
        # trips over in them (SyntaxError, struct.error, zlib.error), with no common class. The page
        # is rejected then, as one that could not be drawn.
        raise ValueError("picture") from error
    return np.frombuffer(raw, np.uint8).reshape(size[1], size[0], 4)


def units(text: str) -> Any:
    """Return a function from places in UTF-16, as scripts count, to places in a text."""
    if text.isascii() or max(text) <= "\uffff":
        return lambda place: place
    starts = np.cumsum([0, *(1 + (sign > "\uffff") for sign in text)])
    return lambda place: int(np.searchsorted(starts, place))


def string(value: Any) -> str:
    """Return a text, or `TypeError`."""
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def integers(value: Any) -> Integers:
    """Return a list of numbers, shape (n,), or `ValueError`."""
    numbers = np.asarray(value if len(value) else np.zeros(0), np.int64)
    if numbers.ndim != 1:
        raise ValueError("numbers")
    return numbers
