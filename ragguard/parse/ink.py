"""Find glyphs that leave ink: which change a picture that a reader could read them from.

Two pictures of a page are compared, one with the text and one without it. A glyph is legible where
the difference has a reader's contrast and spreads over the glyph's own box; a sliver, a shadow or
the neighbour's stroke does not. What leaves no ink may still be seen where the picture without the
text has marks in the shape of its words: so do scans, whose text was recognised.

Pictures are arrays (h, w, 4) of uint8, blue green red and a fourth that is not looked at; boxes are
arrays (n, 4) of pixels: left, top, right, bottom. Nothing here knows of PDF.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

_SEEN = (120, 26, 40)  # steps of blue, green and red, of 255, that a reader tells apart
_LEAST = 0.03  # of a glyph's box, inked
_DOT = 3  # pixels, of which no thirds are made
_CROWDED = 0.15  # of a glyph's box, taken by others
_HEAPED = 1.3  # other glyphs on every pixel of a box: nobody reads that
_ALIKE = 2.5  # times the area of a glyph, to which another is of its size
_OVERPRINTED = 0.5  # of a glyph's box, taken by others of its size that leave ink as well
_MARK = 40  # steps of gray by which a mark stands out from its surroundings
_FULL = 0.85  # of a word's box, inked: a bar or a picture, no word
_FILLED = 0.6  # of a word's letters, with a mark in their place
_STEMS = 0.6  # edges that a line through a word crosses, by letters
_BESIDE = 0.75  # marks around a word, by those in it


def ink(with_text: Picture, without: Picture) -> Mask:
    """Tell where two pictures differ so that a reader sees it, shape (h, w)."""
    whole: Mask = with_text.view(np.uint32)[..., 0] != without.view(np.uint32)[..., 0]
    a, b = with_text[whole], without[whole]  # most of a page is the same
    whole[whole] = ((np.maximum(a, b) - np.minimum(a, b))[:, :3] >= _SEEN).any(axis=1)
    return whole


def legible(inked: Mask, boxes: Boxes, thin: Mask | None = None) -> Mask:
    """Tell which glyphs a reader could read: ink in two thirds of their height and of their width.

    Args:
        inked: Where there is ink, shape (h, w).
        boxes: Glyphs, inside the picture, none of them empty.
        thin: Which of them are a stroke with room beside it, as `I` is, shape (n,); `None` where
            boxes end with the ink.

    Returns:
        Shape (n,).
    """
    sums = _sums(inked)
    left, top, right, bottom = boxes.T
    wide, high = right - left, bottom - top
    rows, columns = np.zeros(len(boxes), np.int8), np.zeros(len(boxes), np.int8)
    for third in range(3):
        a, b = top + third * high // 3, top - (-(third + 1) * high // 3)
        rows += _within(sums, left, a, right, b) > 0
        a, b = left + third * wide // 3, left - (-(third + 1) * wide // 3)
        columns += _within(sums, a, top, b, bottom) > 0
    enough = _within(sums, left, top, right, bottom) >= _LEAST * wide * high
    broad = wide > _DOT if thin is None else (wide > _DOT) & ~thin
    high_enough, wide_enough = rows >= 1 + (high > _DOT), columns >= 1 + broad
    return np.asarray(high_enough & wide_enough & enough)


def layers(boxes: Boxes, owners: Sequence[int], signs: Sequence[str], most: int) -> list[int]:
    """Part the owners of glyphs so that in no part the glyphs of one lie on those of another.

    Args:
        owners: To whom each glyph belongs, consecutive numbers from 0.
        signs: What each glyph says; the same in the same place is one glyph drawn twice.
        most: Upper number of parts.

    Returns:
        The part of each owner, from 0; -1 where no part has room, or its glyphs lie in a heap.
    """
    parts = [0] * (max(owners, default=-1) + 1)
    if not len(boxes):
        return parts
    of_owner: list[list[int]] = [[] for _ in parts]
    for glyph, owner in enumerate(owners):
        of_owner[owner].append(glyph)
    touched = _touched(boxes, np.asarray(owners), len(parts))
    if not touched:
        return parts
    shape = boxes[:, 3].max(), boxes[:, 2].max()
    taken = [np.zeros(shape, np.bool_) for _ in range(most)]
    placed: list[set[tuple[str, int, int]]] = [set() for _ in range(most)]
    listed = boxes.tolist()
    for owner in sorted(touched):
        glyphs = of_owner[owner]
        parts[owner] = -1
        if _heaped(boxes[glyphs]):
            continue
        for part in range(most):
            if all(_free(taken[part], placed[part], signs[g], listed[g]) for g in glyphs):
                parts[owner] = part
                for glyph in glyphs:
                    x0, y0, x1, y1 = listed[glyph]
                    taken[part][y0:y1, x0:x1] = True
                    placed[part].add((signs[glyph], (x0 + x1) // 4, (y0 + y1) // 4))
                break
    return parts


def overprinted(boxes: Boxes, parts: npt.NDArray[np.int64], seen: Mask) -> Mask:
    """Tell which glyphs lie on others of their size, so that neither can be read.

    Returns:
        Shape (n,).
    """
    unreadable = np.zeros(len(boxes), np.bool_)
    inside = np.flatnonzero(seen)
    left, top, right, bottom = boxes[inside].T
    part = parts[inside]
    area = (right - left) * (bottom - top)
    taken = np.zeros(len(inside), np.int64)
    for place in np.flatnonzero(part > 0).tolist():  # the first layer is nearly all of a page
        wide = np.minimum(right, right[place]) - np.maximum(left, left[place])
        high = np.minimum(bottom, bottom[place]) - np.maximum(top, top[place])
        alike = (area <= _ALIKE * area[place]) & (area[place] <= _ALIKE * area)
        others = np.flatnonzero((wide > 0) & (high > 0) & alike & (part != part[place]))
        shared = wide[others] * high[others]
        taken[place] += shared.sum()
        below = part[others] == 0
        taken[others[below]] += shared[below]
    unreadable[inside] = (taken > 0) & (taken >= _OVERPRINTED * area)
    return unreadable


def _touched(boxes: Boxes, owners: npt.NDArray[np.int64], count: int) -> set[int]:
    """Owners whose glyphs may lie on those of others, or on one another."""
    around = np.zeros((count, 4), np.int32)
    around[:, :2] = np.iinfo(np.int32).max
    for side, at in ((0, np.minimum), (1, np.minimum), (2, np.maximum), (3, np.maximum)):
        at.at(around[:, side], owners, boxes[:, side])
    wide, high = (boxes[:, 2] - boxes[:, 0]), (boxes[:, 3] - boxes[:, 1])
    area = np.bincount(owners, wide * high, count)
    size = (around[:, 2:] - around[:, :2]).prod(axis=1, dtype=np.int64)
    touched = set(np.flatnonzero(area > (1 + _HEAPED) / 2 * size).tolist())
    order = np.argsort(around[:, 1], kind="stable")
    left, top, right, bottom = around[order].T
    last = np.searchsorted(top, bottom, side="left")  # those below begin beneath
    for first in range(count):
        below = slice(first + 1, int(last[first]))
        shared = np.minimum(bottom[below], bottom[first]) - top[below]
        over = np.minimum(right[below], right[first]) - np.maximum(left[below], left[first])
        lower = np.minimum(bottom[below] - top[below], bottom[first] - top[first])
        hit = np.flatnonzero((over > 0) & (shared > _CROWDED * lower))
        if hit.size:
            touched.add(int(order[first]))
            touched.update(order[hit + first + 1].tolist())
    return touched


def _free(taken: Mask, placed: set[tuple[str, int, int]], sign: str, box: list[int]) -> bool:
    """Tell whether a glyph has its place for itself, or shares it with the same glyph."""
    x0, y0, x1, y1 = box
    near = taken[y0:y1, x0:x1]
    return bool(np.count_nonzero(near) <= _CROWDED * near.size) or _said(placed, sign, box)


def _said(placed: set[tuple[str, int, int]], sign: str, box: list[int]) -> bool:
    """Tell whether the same is said in the same place, to two pixels or so."""
    x, y = (box[0] + box[2]) // 4, (box[1] + box[3]) // 4
    return any((sign, x + i, y + j) in placed for i in (-1, 0, 1) for j in (-1, 0, 1))


def _heaped(boxes: Boxes) -> bool:
    """Tell whether glyphs of one owner lie on one another, so that none can be read."""
    if len(boxes) < 3:
        return False
    left, top = boxes[:, 0].min(), boxes[:, 1].min()
    count = np.zeros((boxes[:, 3].max() - top, boxes[:, 2].max() - left), np.int32)
    total = area = 0
    moved = (boxes - np.array([left, top, left, top])).tolist()
    for x0, y0, x1, y1 in moved:
        count[y0:y1, x0:x1] += 1
    for x0, y0, x1, y1 in moved:
        total += int(count[y0:y1, x0:x1].sum())
        area += (x1 - x0) * (y1 - y0)
    return bool(total > (1 + _HEAPED) * area)


def marked(picture: Picture, word: tuple[int, int, int, int], letters: int) -> tuple[bool, bool]:
    """Tell whether a picture has marks in the shape of a word in its place.

    Returns:
        Whether it has, and whether it has any marks there at all.
    """
    x0, y0, x1, y1 = word
    edge = max(2, (y1 - y0) // 5)
    top, left = max(0, y0 - edge), max(0, x0 - edge)
    around = picture[top : y1 + edge, left : x1 + edge, :3]
    gray = around.astype(np.uint16).sum(axis=2) // 3
    inner = np.zeros(gray.shape, np.bool_)
    inner[y0 - top : y1 - top, x0 - left : x1 - left] = True
    if inner.all():
        return False, False
    ground = _at(gray[~inner], 0.5)
    dark = np.abs(gray.astype(np.int32) - ground)
    strongest = _at(dark, 0.98)
    if strongest < _MARK:
        return False, False
    marks = dark >= max(_MARK * 2 // 3, strongest // 3)
    within = marks[y0 - top : y1 - top, x0 - left : x1 - left]
    share = float(within.mean())
    beside = float(marks[~inner].mean())
    any_ = share >= _LEAST
    filled = [part.any() for part in np.array_split(within.any(axis=0), max(2, letters))]
    rows = sum(part.any() for part in np.array_split(within.any(axis=1), 3))
    stems = int((within[:, 1:] != within[:, :-1]).sum(axis=1).max(initial=0))
    fits = sum(filled) >= _FILLED * min(len(filled), within.shape[1]) and rows >= 2
    shaped = fits and stems >= _STEMS * letters and beside <= _BESIDE * share
    return bool(any_ and share <= _FULL and shaped), any_


def _at(values: npt.NDArray[Any], share: float) -> int:
    """Return the value below which a share of all values is."""
    ordered = np.sort(values, axis=None)
    return int(ordered[int(share * (len(ordered) - 1))])


def _sums(mask: Mask) -> npt.NDArray[np.int32]:
    """Sums over all that is above and to the left, shape (h + 1, w + 1)."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
    np.cumsum(mask, axis=0, dtype=np.int32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    return sums


def _within(
    sums: npt.NDArray[np.int32], left: Boxes, top: Boxes, right: Boxes, bottom: Boxes
) -> npt.NDArray[np.int32]:
    return np.asarray(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])


def stands_on_marks(base: Picture, letters: Boxes) -> tuple[bool, bool]:
    """Tell whether a word stands on marks of its shape, and on any; recognised text may be off.

    Args:
        base: The page without its text.
        letters: Boxes of the word's letters, at least one.
    """
    left, top = letters[:, :2].min(axis=0).tolist()
    right, bottom = letters[:, 2:].max(axis=0).tolist()
    off = max(1, (bottom - top) // 3)
    some = False
    for down in (0, off, -off):
        box = left, max(0, top + down), right, min(len(base), bottom + down)
        if box[1] < box[3]:
            fit, any_ = marked(base, box, len(letters))
            some |= any_
            if fit:
                return True, True
    return False, some
