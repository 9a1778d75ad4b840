"""Read a page as a browser drew it: which characters leave legible ink.

The page is drawn window by window, as it is scrolled, with its text and without. A glyph is seen if
what changes in its own box is legible (`ink`) in one of them. Texts that lie on one another are
taken away in turn; letters in a heap, and lines pressed together, are read by nobody. What stands
in a box that a reader can scroll is scrolled to. A word is seen if most of its letters are.

Where a page names style sheets that lie elsewhere, a banner or a box to be closed may lie over the
text here and beside it, or nowhere, for a reader. What is legible once all that stands beside the
main part of the page is taken away is said to be `BENEATH`: the rules of `css` are asked about it.

The browser stands behind `View`; what it says is believed by nobody: all of it is looked through.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

from ragguard.errors import UnreadableError
from ragguard.parse.ink import Boxes, Mask, Picture, ink, layers, legible, overprinted
from ragguard.parse.view import Integers, View, decoded, integers, string, units

MAX_GLYPHS = 1_000_000
MAX_WINDOWS = 400  # looked at of one page
BENEATH = 2  # of a character: legible but for what lies over it, in a page without its style sheets

_TOP, _BOTTOM = 0.15, 0.2  # of a line's height: above capitals, and below the letters' feet
_SMALLEST = 5.5  # pixels of a line's height
_NARROWEST = 0.05  # width of a glyph, of its height
_WRITTEN = 12  # pixels of ink in a text field, or a list to choose from
_FULL = 0.95  # of a glyph's box, inked: a blot
_EDGE = 16  # steps of light, of 255, from one pixel to the next
_AFAR = 100  # pixels between the middles of two glyphs, which are not beside one another
_SAME = 100  # pixels that one window shares with the next
_LAYERS = 4  # of text on text
_PARTS = 1_000  # boxes beside the main part of a page that may lie over it
_CORE = 0.25  # of a glyph's box, left out on each side where heaps are looked for
_HEAPED = 0.5  # of its core, taken by other glyphs
_MOST = 0.5  # of a word's letters
_ROUNDS = 60  # of scrolling in inner boxes
_IDLE = 3  # of them without anything new
_AT_ONCE = 2_000  # text nodes asked for in one of them
_LATIN_END = "\u0590"  # of Latin, Greek, Cyrillic and Armenian letters, which stand on a line
_IDEOGRAPHS = "\u2e80"  # from here on a character is a word
_STROKES = frozenset("Iil1jtfr|!")  # whose ink is in the middle of their box alone
_SIDE = 10_000_000  # pixels; farther away is nothing

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DrawnText:
    """A text node and what is seen of it.

    Attributes:
        text: All of it.
        seen: Per character 1, `BENEATH` or 0.
    """

    text: str
    seen: bytes


def look(view: View, markup: str, texts: Sequence[str]) -> list[bytes]:
    """Look at all of a page.

    Args:
        markup: Of the page.
        texts: Its text nodes that say something, as our parser found them.

    Returns:
        For each of them 1, `BENEATH` or 0 per character. What our parser found and the browser did
        not is not seen.

    Raises:
        UnreadableError: It cannot be drawn, or is too large to.
    """
    try:
        shown = _Page(view, view.open(markup)).shown()
    except (TypeError, ValueError, KeyError, IndexError, OverflowError, OSError) as error:
        raise UnreadableError(f"the page cannot be drawn ({type(error).__name__})") from error
    return _matched(shown, texts)


def _matched(shown: Sequence[DrawnText], texts: Sequence[str]) -> list[bytes]:
    """Tell what is seen, told for the text nodes of another parser: characters are counted."""
    theirs, flags = _said("".join(s.text for s in shown), b"".join(s.seen for s in shown))
    ours = "".join("".join(text.split()) for text in texts)
    if ours != theirs:
        least = min(len(ours), len(theirs))
        first = _alike(ours, theirs)
        last = min(_alike(reversed(ours), reversed(theirs)), least - first)
        middle = bytes(len(ours) - first - last)
        flags = flags[:first] + middle + flags[len(flags) - last :]
    seen_flags, at = [], 0
    for text in texts:
        seen = bytearray(len(text))
        for place, sign in enumerate(text):
            if not sign.isspace():
                seen[place] = flags[at]
                at += 1
        seen_flags.append(_joined(text, seen))
    return seen_flags


def _alike(text: Iterable[str], other: Iterable[str]) -> int:
    """Count how many characters two texts have in common before they part."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False))
    return sum(1 for _ in same)


def _said(text: str, seen: bytes) -> tuple[str, bytes]:
    """Return a text and its flags without white space."""
    kept = [place for place, sign in enumerate(text) if not sign.isspace()]
    return "".join(map(text.__getitem__, kept)), bytes(map(seen.__getitem__, kept))


class _Page:
    """One page while it is looked at."""

    def __init__(self, view: View, layout: Any) -> None:
        self._view = view
        self._texts = [string(text) for text in layout["texts"]]
        self._marks = [string(mark) for mark in layout["marks"]]
        self._places = [integers(places).reshape(-1, 2) for places in layout["places"]]
        if not len(self._texts) == len(self._marks) == len(self._places):
            raise ValueError("lengths")
        self._fields = [mark == "field" for mark in self._marks]
        counts = [1 if f else len(p) for f, p in zip(self._fields, self._places, strict=True)]
        if sum(counts) > MAX_GLYPHS:
            raise UnreadableError(f"more than {MAX_GLYPHS} characters on a page")
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        total = int(self._first[-1])
        self._owners = np.repeat(np.arange(len(counts)), counts)
        self._signs: list[str] = []
        for text, places, field in zip(self._texts, self._places, self._fields, strict=True):
            at = units(text)
            signs = [text[at(int(a)) : at(int(b))] for a, b in places]
            self._signs += [text[:1]] if field else signs
        self._upright = np.array([sign[:1] < _LATIN_END for sign in self._signs], np.bool_)
        self._thin = np.array([sign[:1] in _STROKES for sign in self._signs], np.bool_)
        self._letter = np.array([sign[:1].isalnum() for sign in self._signs], np.bool_)
        self._boxes = np.zeros((total, 4))
        self._turned = np.zeros(total, np.bool_)  # lines that run up or down
        self._put(range(len(counts)), layout["boxes"])
        self._seen = np.zeros(total, np.bool_)
        self._wide, self._high, self._across, self._down = self._extent(layout["extent"])
        self._pinned = bool(layout["pinned"])
        self._bare = bool(layout.get("bare"))
        self._plain = self._seen
        self._windows = 0
        self._rounds = 0
        self._asked: dict[int, int] = {}  # by text node: the glyph it asked to be scrolled to

    def shown(self) -> list[DrawnText]:
        """Look, and tell."""
        self._scroll()
        idle = 0
        while idle < _IDLE and self._rounds < _ROUNDS and self._turn():
            before = int(self._seen.sum())
            self._scroll()
            idle = 0 if int(self._seen.sum()) > before else idle + 1
        self._plain = self._seen.copy()
        if self._bare and not self._seen.all():
            self._windows = 0
            self._scroll(self._under(self._view.lift()))
        return [DrawnText(text, self._seen_of(at)) for at, text in enumerate(self._texts)]

    # --- what the browser says --------------------------------------------------------------------

    def _extent(self, extent: Any) -> tuple[int, int, int, int]:
        wide, high, across, down = (int(n) for n in integers(extent))
        if not (_SAME < wide <= 4096 and _SAME < high <= 4096):
            raise ValueError("window")
        return wide, high, min(max(across, wide), _SIDE), min(max(down, high), _SIDE)

    def _put(self, nodes: Sequence[int], flat_boxes: Sequence[Any]) -> None:
        """Note where the glyphs of some nodes are; those without a place are nowhere."""
        for at, flat in zip(nodes, flat_boxes, strict=True):
            first, last = int(self._first[at]), int(self._first[at + 1])
            boxes = integers(flat).reshape(-1, 4)
            if len(boxes) not in (0, last - first):
                raise ValueError("boxes")
            drawn = len(boxes) and self._marks[at] != "replaced"  # by dots, say
            self._boxes[first:last] = boxes / 4 if drawn else 0
            middles = self._boxes[first:last, :2] + self._boxes[first:last, 2:]
            steps = np.abs(np.diff(middles, axis=0)) / 2
            across, down = steps[steps[:, 0] < _AFAR].sum(axis=0)
            self._turned[first:last] = down > across

    def _picture(self, x: int, y: int, hidden: Sequence[int] | None) -> tuple[list[int], Picture]:
        at, png = self._view.picture(x, y, hidden)
        return [int(n) for n in integers(at)], decoded(png, (self._wide, self._high))

    # --- scrolling --------------------------------------------------------------------------------

    def _under(self, boxes: Sequence[Any]) -> Mask:
        """Tell which glyphs lie under some boxes."""
        under = np.zeros(len(self._seen), np.bool_)
        for box in boxes[:_PARTS]:
            left, top, right, bottom = (integers(box) / 4).tolist()
            x, y = self._boxes[:, ::2], self._boxes[:, 1::2]
            under |= (x[:, 0] < right) & (x[:, 1] > left) & (y[:, 0] < bottom) & (y[:, 1] > top)
        return under

    def _scroll(self, which: Mask | None = None) -> None:
        """Look at every window of the page that has text, of that asked, which was not seen yet."""
        step = self._high - _SAME
        self._column(0, 0, step, which)
        if self._pinned:  # it may lie over the same lines again
            self._column(0, step // 2, step, which)
        beyond = np.isin(self._owners, [n for n, m in enumerate(self._marks) if m == "wide"])
        for x in range(self._wide - _SAME, self._across, self._wide - _SAME):
            beyond &= True if which is None else which
            if not (beyond & ~self._seen & (self._boxes[:, 2] > self._wide)).any():
                break
            self._column(x, 0, step, beyond)

    def _column(self, x: int, top: int, step: int, which: Mask | None = None) -> None:
        x = max(0, min(x, self._across - self._wide))
        tops = range(top, self._down, step)
        for y in sorted({max(0, min(y, self._down - self._high)) for y in tops}):
            here = ~self._seen & self._inside(x, y)
            if which is not None:
                here &= which
            if here.any():
                self._windows += 1
                if self._windows > MAX_WINDOWS:
                    raise UnreadableError(f"more than {MAX_WINDOWS} windows of a page to look at")
                self._look(x, y)

    def _inside(self, x: int, y: int) -> Mask:
        """Glyphs that are wholly in a window, and large enough."""
        left, top, right, bottom = self._boxes.T
        high, wide = bottom - top, right - left
        inside = (left >= x) & (top >= y) & (right <= x + self._wide) & (bottom <= y + self._high)
        line, glyph = np.where(self._turned, (wide, high), (high, wide))
        large = (line >= _SMALLEST) & (glyph >= np.maximum(1, _NARROWEST * line))
        return np.asarray(inside & large)

    def _turn(self) -> bool:
        """Scroll inner boxes on; whether any moved."""
        self._rounds += 1
        waiting = np.flatnonzero(~self._seen & (self._boxes[:, 2] > self._boxes[:, 0]))
        nodes, firsts = np.unique(self._owners[waiting], return_index=True)
        asked = []
        for node, first in zip(nodes[:_AT_ONCE].tolist(), firsts.tolist(), strict=False):
            glyph = int(waiting[first])
            again = self._asked.get(node) == glyph
            self._asked[node] = glyph
            asked.append((node, -1 if again else glyph - int(self._first[node])))
        if all(glyph < 0 for _, glyph in asked):
            return False
        layout = self._view.turn(asked)
        movers = {int(n) for n in integers(layout["movers"])}
        for node in nodes.tolist():
            if node not in movers:  # it may yet ask
                self._asked.pop(node, None)
        if not movers:
            return False
        self._put([node for node, _ in asked], layout["boxes"])
        self._wide, self._high, self._across, self._down = self._extent(layout["extent"])
        return True

    # --- looking ----------------------------------------------------------------------------------

    def _look(self, x: int, y: int) -> None:
        """Note which glyphs are seen in a window."""
        at, whole = self._picture(x, y, [])
        if len(at) != 2:
            raise ValueError("place")
        _, bare = self._picture(x, y, None)
        inside = np.flatnonzero(self._inside(at[0], at[1]))
        if not inside.size:
            return
        boxes = self._pixels(inside, at)
        inked = ink(whole, bare)
        standing = (self._upright & ~self._turned)[inside]
        seen = legible(inked, boxes, self._thin[inside]) & _sharp(inked, boxes, standing)
        seen &= _sums_in(_edges(whole, bare), boxes) > 0
        fields = np.array(self._fields)[self._owners[inside]]
        for place in np.flatnonzero(fields).tolist():
            left, top, right, bottom = boxes[place].tolist()
            seen[place] = np.count_nonzero(inked[top:bottom, left:right]) >= _WRITTEN
        self._seen[inside[seen & fields]] = True
        inside, boxes = inside[seen & ~fields], boxes[seen & ~fields]
        crowded = _crowded(boxes)
        if crowded.any():
            inside = inside[self._apart(inside, boxes, crowded, (whole, bare), at)]
        self._seen[inside] = True

    def _pixels(self, which: Integers, at: list[int]) -> Boxes:
        left, top, right, bottom = (self._boxes[which] - np.array([*at, *at])).T
        high = np.where((self._upright & ~self._turned)[which], bottom - top, 0)
        top, bottom = top + _TOP * high, bottom - _BOTTOM * high
        sides = np.stack([np.floor(left), np.floor(top), np.ceil(right), np.ceil(bottom)], axis=1)
        pixels: Boxes = np.clip(sides, 0, [self._wide, self._high] * 2).astype(np.int32)
        return pixels

    def _apart(
        self,
        glyphs: Integers,
        boxes: Boxes,
        crowded: Mask,
        pictures: tuple[Picture, Picture],
        at: list[int],
    ) -> Mask:
        """Tell which glyphs are legible where some lie on others: text by text is taken away."""
        whole, bare = pictures
        kept = np.ones(len(glyphs), np.bool_)
        nodes = np.unique(self._owners[glyphs[crowded]])
        for node in nodes.tolist():
            own = np.flatnonzero(self._owners[glyphs] == node)
            kept[own[_crowded(boxes[own])]] = False  # letters on letters of the same text
        chosen = np.flatnonzero(kept & np.isin(self._owners[glyphs], nodes))
        if not chosen.size:
            return kept
        owners, numbers = np.unique(self._owners[glyphs[chosen]], return_inverse=True)
        signs = [self._signs[g] for g in glyphs[chosen].tolist()]
        parts = np.array(layers(boxes[chosen], numbers.tolist(), signs, _LAYERS))
        part = parts[numbers].astype(np.int64)
        good = part >= 0
        everything = range(len(self._texts))
        for k in np.unique(part[good]).tolist() if len(np.unique(part)) > 1 else []:
            mine = set(owners[parts == k].tolist())
            less = self._picture(at[0], at[1], sorted(mine))[1]
            alone = self._picture(at[0], at[1], [n for n in everything if n not in mine])[1]
            own = np.flatnonzero(part == k)
            own_boxes, thin = boxes[chosen[own]], self._thin[glyphs[chosen[own]]]
            good[own] &= legible(ink(whole, less), own_boxes, thin)
            good[own] &= legible(ink(alone, bare), own_boxes, thin)
        kept[chosen] = good & ~overprinted(boxes[chosen], part, good)
        return kept

    # --- telling ----------------------------------------------------------------------------------

    def _seen_of(self, at: int) -> bytes:
        """Per character whether it is seen."""
        text, first = self._texts[at], int(self._first[at])
        if self._fields[at]:
            return bytes([int(self._plain[first]) or BENEATH * int(self._seen[first])]) * len(text)
        offset = units(text)
        places = [(offset(int(a)), offset(int(b))) for a, b in self._places[at]]
        shown = bytearray(len(text))
        word: list[int] = []
        last_end, last_seen = 0, 1
        for number, (begin, end) in enumerate([*places, (len(text), len(text))]):
            new = number == len(places) or text[last_end:begin].strip() != text[last_end:begin]
            new = new or (bool(word) and text[begin] >= _IDEOGRAPHS)
            if new and word:
                last_seen = self._read(first, word, last_seen)
                start = places[word[0]][0]
                shown[start:last_end] = bytes([last_seen]) * (last_end - start)
                word = []
            word.append(number)
            last_end = end
        return _joined(text, shown, {place for begin, end in places for place in range(begin, end)})

    def _read(self, first: int, word: list[int], before: int) -> int:
        """Tell whether a word is read; one without letters is if the one before it is."""
        glyphs = first + np.array(word)
        letters = glyphs[self._letter[glyphs]]
        if not letters.size:
            return before * bool((self._boxes[glyphs, 2] > self._boxes[glyphs, 0]).any())
        if self._plain[letters].mean() >= _MOST:
            return 1
        return BENEATH if self._seen[letters].mean() >= _MOST else 0


def _joined(text: str, shown: bytearray, drawn: Container[int] | None = None) -> bytes:
    """Tell what is no glyph, such as white space, is seen where what stands before it is.

    Args:
        shown: Per character; changed.
        drawn: Places of glyphs; `None` for all but white space.
    """
    before = 1
    for place, sign in enumerate(text):
        if sign.isspace() if drawn is None else place not in drawn:
            shown[place] = before
        else:
            before = shown[place]
    return bytes(shown)


def _sharp(inked: Mask, boxes: Boxes, upright: Mask) -> Mask:
    """Tell which glyphs have ground beside their ink, and, where letters stand on a line, feet."""
    left, top, right, bottom = boxes.T
    feet = boxes.copy()
    feet[:, 1] = bottom - np.maximum((bottom - top) // 3, 1)
    standing = (_sums_in(inked, feet) > 0) | ~upright
    return np.asarray(
        (_sums_in(inked, boxes) <= _FULL * (right - left) * (bottom - top)) & standing
    )


def _edges(whole: Picture, bare: Picture) -> Mask:
    """Tell where what the text adds begins or ends within a pixel: what is blurred has no edges."""
    added = _light(whole) - _light(bare)
    edges = np.zeros(added.shape, np.bool_)
    edges[:, 1:] = np.abs(added[:, 1:] - added[:, :-1]) >= _EDGE
    return edges


def _light(picture: Picture) -> npt.NDArray[np.int16]:
    """Tell how light each pixel is: green counts most, blue least."""
    blue, green, red, _ = np.moveaxis(picture, 2, 0)
    light: npt.NDArray[np.int16] = blue.astype(np.int16)
    light += 5 * green.astype(np.int16)
    light += 2 * red.astype(np.int16)
    light >>= 3
    return light


def _sums_in(mask: Mask, boxes: Boxes) -> npt.NDArray[np.int32]:
    """Tell how much of a mask is in each box."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
    np.cumsum(mask, axis=0, dtype=np.int32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    left, top, right, bottom = boxes.T
    return np.asarray(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])


def _crowded(boxes: Boxes) -> Mask:
    """Tell which glyphs have others on the middle of their boxes."""
    left, top, right, bottom = boxes.T
    wide, high = right - left, bottom - top
    x, y = (_CORE * wide).astype(np.int64), (_CORE * high).astype(np.int64)
    a, b, c, d = left + x, top + y, right - x, bottom - y
    count = np.zeros((int(d.max(initial=0)) + 2, int(c.max(initial=0)) + 2), np.int32)
    for rows, columns, sign in ((b, a, 1), (d, a, -1), (b, c, -1), (d, c, 1)):
        np.add.at(count, (rows, columns), sign)
    count = count.cumsum(axis=0).cumsum(axis=1)
    if count.max(initial=0) < 2:
        return np.zeros(len(boxes), np.bool_)
    taken = np.zeros((count.shape[0] + 1, count.shape[1] + 1), np.int32)
    taken[1:, 1:] = (count > 1).cumsum(axis=0).cumsum(axis=1)
    shared = taken[d, c] - taken[b, c] - taken[d, a] + taken[b, a]
    return np.asarray(shared > _HEAPED * (c - a) * (d - b))
