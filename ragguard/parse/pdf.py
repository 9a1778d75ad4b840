"""Parse PDF into the text a reader sees, and apart from it the text he does not.

PDFium reads the text and draws the pages: what is asked is not which operators a text was written
with, but whether it leaves ink. Each page is drawn with its text and without, and the two pictures
are compared inside the box of every glyph (`ink`). Text that lies on other text is taken away by
itself. Text without ink is hidden, unless the page has marks in the shape of its words in the same
place, as a scan has. Glyphs that look like other characters than they are said to be are not
noticed. Annotations are drawn and not read; outlines, metadata and replacement texts are not read.
Source: ISO 32000-1, sections 8.4, 8.10, 8.11, 9.3 and 14.9.4.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ragguard.errors import UnreadableError
from ragguard.model import Hidden
from ragguard.parse.ink import (
    Boxes,
    Mask,
    Picture,
    ink,
    layers,
    legible,
    overprinted,
    stands_on_marks,
)

MAX_PAGES = 5_000
MAX_GLYPHS = 100_000  # on one page
MAX_OBJECTS = 200_000  # that draw text, on one page
MAX_PICTURES = 20_000_000_000  # pixels drawn, in all pages together
_STRIP = 2_500_000  # pixels of one picture; a larger page is drawn in strips
_SCALES = (1.0, 2.0)  # pixels of a point; what is not seen is looked at again
_BESIDE = 20  # rows of pixels drawn above and below what is looked at
_LONGEST = 20_000  # pixels of a page's side
_LAYERS = 4  # of text on text; what lies deeper cannot be read
_SMALLEST = 1.5  # points, height of a line
_FLAT = 0.2  # points of a glyph's height or width; of more, it has an outline
_OUTLINED = 0.01  # the same, of what the line has
_THIN = 2.0  # pixels; of a box that is thinner, pixels that it shares with others count
_NARROWEST = 0.1  # width of glyphs, of what it is by their height
_STANDING = 0.3  # of a line's glyphs, seen where letters stand in for them
_CHANCE = 0.3  # of a line's letters, on marks of their shape: of less it is by chance
_USUAL = 0.5  # of a line's letters, on marks: the rest needs only some mark
_LIGATURE = 4  # characters that one glyph may stand for
_DEEPEST = 40  # forms in forms

_TEXT, _FORM = 1, 5  # kinds of objects
_PASSWORD = 4  # last error
_BGRA = 4  # format of a bitmap; without alpha, blend modes are not drawn as they are
_WITH_ANNOTATIONS = 1

_library: Any = None


def load() -> Any:
    """Load PDFium, once, without the fonts of the system: what a text is does not hang on them."""
    global _library
    if _library is None:
        import pypdfium2_raw as library

        nowhere = (ctypes.POINTER(ctypes.c_char) * 1)()
        library.FPDF_InitLibraryWithConfig(library.FPDF_LIBRARY_CONFIG(2, nowhere))
        _library = library
    return _library


def read_pdf(data: bytes, most: int) -> tuple[str, tuple[Hidden, ...]]:
    """Take visible and hidden text apart.

    Returns:
        Visible text, and what is hidden.

    Raises:
        UnreadableError: Damaged, encrypted or too large.
    """
    lib = load()
    pages: list[str] = []
    hidden: list[Hidden] = []
    budget = _Budget(most)
    with ExitStack() as stack:
        document = lib.FPDF_LoadMemDocument64(data, len(data), None)
        if not document:
            error = lib.FPDF_GetLastError()
            raise UnreadableError("encrypted .pdf" if error == _PASSWORD else "damaged .pdf")
        stack.callback(lib.FPDF_CloseDocument, document)
        count = lib.FPDF_GetPageCount(document)
        if count > MAX_PAGES:
            raise UnreadableError(f"{count} pages, at most {MAX_PAGES}")
        for number in range(count):
            text, unseen = _page(lib, document, number, budget)
            pages.append(text)
            if any(map(str.isalnum, unseen)):
                hidden.append(Hidden("pdf-invisible", unseen))
    return "\n\n".join(pages).strip(), tuple(hidden)


@dataclass
class _Budget:
    """What reading one file may still cost."""

    most: int
    text: int = 0
    pixels: int = MAX_PICTURES

    def draw(self, pixels: int) -> None:
        self.pixels -= pixels
        if self.pixels < 0:
            raise UnreadableError(f"more than {MAX_PICTURES} pixels to draw")

    def say(self, characters: int) -> None:
        self.text += characters
        if self.text > self.most:
            raise UnreadableError(f"more than {self.most} characters of text")


def _page(lib: Any, document: Any, number: int, budget: _Budget) -> tuple[str, str]:
    """Visible and hidden text of a page; one that cannot be loaded shows nothing."""
    with ExitStack() as stack:
        page = lib.FPDF_LoadPage(document, number)
        if not page:
            return "", ""
        stack.callback(lib.FPDF_ClosePage, page)
        objects = list(_texts(lib, page))
        for drawn in objects:
            _forget(lib, drawn)
        read = lib.FPDFText_LoadPage(page)
        if not read:
            return "", ""
        stack.callback(lib.FPDFText_ClosePage, read)
        text = _Text(lib, page, read)
        budget.say(len(text.signs))
        seen = _Sight(lib, page, text, objects, budget).seen() if text.glyphs else _NOTHING
        return text.parted(seen)


_NOTHING = np.zeros(0, np.bool_)


def _texts(lib: Any, page: Any) -> Iterator[Any]:
    """Objects of a page that draw text, those in forms included."""
    stack = [(lib.FPDFPage_CountObjects(page), lib.FPDFPage_GetObject, page, 0)]
    text_count = 0
    while stack:
        count, get, parent, depth = stack.pop()
        for index in range(count):
            drawn = get(parent, index)
            kind = lib.FPDFPageObj_GetType(drawn)
            if kind == _TEXT:
                text_count += 1
                if text_count > MAX_OBJECTS:
                    raise UnreadableError(f"more than {MAX_OBJECTS} pieces of text on a page")
                yield drawn
            elif kind == _FORM and depth < _DEEPEST:
                inner = lib.FPDFFormObj_CountObjects(drawn)
                stack.append((inner, lib.FPDFFormObj_GetObject, drawn, depth + 1))


def _forget(lib: Any, drawn: Any) -> None:
    """Take away the text that is to be read in place of the one that is drawn."""
    for index in range(lib.FPDFPageObj_CountMarks(drawn)):
        mark = lib.FPDFPageObj_GetMark(drawn, index)
        lib.FPDFPageObjMark_RemoveParam(drawn, mark, b"ActualText")


class _Text:
    """Characters of a page in order, and the glyphs among them.

    Attributes:
        signs: Characters, those that stand for no glyph included.
        owners: The object that draws each glyph, by number.
        drawn: These objects, by number.
        boxes: Of glyphs, in points of the page: left, bottom, right, top.
        sizes: Of lines, by object: height in points, and width of glyphs by what it usually is.
        lacking: Glyphs, by object, of a font that is not in the file and has none for them here.
    """

    def __init__(self, lib: Any, page: Any, read: Any) -> None:
        self.signs: list[str] = []
        self.glyphs: list[int] = []
        self.owners: list[int] = []
        self.drawn: list[Any] = []
        self.sizes: list[tuple[float, float]] = []
        self.lacking: dict[int, set[int]] = {}
        count = lib.FPDFText_CountChars(read)
        if count > MAX_GLYPHS:
            raise UnreadableError(f"{count} characters on a page, at most {MAX_GLYPHS}")
        boxes = np.zeros((count, 4), np.float64)  # left, right, bottom, top
        indices: list[int] = []
        numbers: dict[int, int] = {}
        code_of, owner_of = lib.FPDFText_GetUnicode, _quick(lib.FPDFText_GetTextObject, _OWNER)
        box_of, at = _quick(lib.FPDFText_GetCharBox, _BOX), boxes.ctypes.data
        for index in range(count):
            sign = _sign(code_of(read, index))
            if not sign:
                continue
            self.signs.append(sign)
            if sign.isspace():
                continue
            place = owner_of(read, index)
            owner = numbers.get(place)
            if owner is None:
                owner = numbers[place] = len(numbers)
                self.drawn.append(lib.FPDFText_GetTextObject(read, index))
                self.sizes.append(_size(lib, read, index))
            box_of(read, index, at, at + 8, at + 16, at + 24)
            at += 32
            self.glyphs.append(len(self.signs) - 1)
            self.owners.append(owner)
            indices.append(index)
        self.boxes = boxes[: len(self.glyphs), [0, 2, 1, 3]]
        flat = (self.boxes[:, 2:] - self.boxes[:, :2]).min(axis=1, initial=np.inf)
        for glyph in np.flatnonzero(flat < _FLAT).tolist():
            line = _loose(lib, read, indices[glyph])
            if flat[glyph] > _OUTLINED * min(line[2] - line[0], line[3] - line[1]):
                continue
            self.boxes[glyph] = line  # a glyph without an outline
            owner = self.owners[glyph]
            font = lib.FPDFTextObj_GetFont(self.drawn[owner])
            if font and lib.FPDFFont_GetIsEmbedded(font) == 0:
                self.lacking.setdefault(owner, set()).add(glyph)

    def stand_in(self, lib: Any) -> None:
        """Draw a letter where the reader's system has a glyph and this one has not."""
        for owner, lacking in self.lacking.items():
            text, last = "", -1
            for glyph in (g for g, o in enumerate(self.owners) if o == owner):
                at = self.glyphs[glyph]
                if last >= 0 and any(map(str.isspace, self.signs[last + 1 : at])):
                    text += " "
                text += "M" if glyph in lacking else self.signs[at]
                last = at
            wide = (text + "\0").encode("utf-16-le")
            letters = (ctypes.c_ushort * (len(wide) // 2)).from_buffer_copy(wide)
            lib.FPDFText_SetText(self.drawn[owner], letters)

    def honest(self) -> Mask:
        """Tell which glyphs say no more than a ligature does."""
        again = (self.boxes[1:] == self.boxes[:-1]).all(axis=1)
        first = np.flatnonzero(np.concatenate([[True], ~again]))
        lengths = np.diff(np.append(first, len(self.boxes)))
        return np.repeat(lengths <= _LIGATURE, lengths)

    def parted(self, seen: Mask) -> tuple[str, str]:
        """Tell what is seen and what is not; white space stands in both.

        Of a word that is hidden for the most part nothing is shown.
        """
        shown, kept = list(self.signs), list(self.signs)
        seen = seen.copy()
        words = np.cumsum([0, *(b - a != 1 for a, b in pairwise(self.glyphs))])[: len(seen)]
        if len(seen):
            seen &= (np.bincount(words, seen) * 2 >= np.bincount(words))[words]
        for glyph, visible in zip(self.glyphs, seen.tolist(), strict=True):
            (kept if visible else shown)[glyph] = ""
        lines = [" ".join(line.split(" ")).strip() for line in "".join(shown).split("\n")]
        return "\n".join(line for line in lines if line), " ".join("".join(kept).split())


_OWNER = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
_BOX = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * 4)


def _quick(function: Any, types: tuple[Any, ...]) -> Any:
    """A function with plain addresses in place of pointers, for what is called for every glyph."""
    return ctypes.CFUNCTYPE(*types)(ctypes.cast(function, ctypes.c_void_p).value or 0)


def _sign(code: int) -> str:
    if code == 2:  # a hyphen at the end of a line, and the line's end
        return "-\n"
    if code in (10, 13):
        return "\n" if code == 10 else ""
    if code < 32 or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE or code > 0x10FFFF:
        return " " if code == 9 else ""
    return chr(code)


def _size(lib: Any, read: Any, index: int) -> tuple[float, float]:
    """Height of a line in points, and how wide glyphs are made."""
    by = lib.FS_MATRIX()
    lib.FPDFText_GetMatrix(read, index, by)
    across, up = math.hypot(by.a, by.b), math.hypot(by.c, by.d)
    left, bottom, right, top = _loose(lib, read, index)
    upright = abs(by.d) >= abs(by.c)
    return (top - bottom if upright else right - left), (across / up if up else 0.0)


def _loose(lib: Any, read: Any, index: int) -> tuple[float, float, float, float]:
    box = lib.FS_RECTF()
    lib.FPDFText_GetLooseCharBox(read, index, box)
    return box.left, box.bottom, box.right, box.top


@dataclass
class _Sight:
    """Looks at a page.

    Attributes:
        text: Its text.
        objects: All that draws text on it.
        budget: What reading the file may still cost.
    """

    lib: Any
    page: Any
    text: _Text
    objects: list[Any]
    budget: _Budget
    width: int = field(init=False)
    height: int = field(init=False)

    def seen(self) -> Mask:
        """Tell which glyphs are seen, shape (n,)."""
        lib, text = self.lib, self.text
        wide, high = lib.FPDF_GetPageWidthF(self.page), lib.FPDF_GetPageHeightF(self.page)
        large = np.array([h >= _SMALLEST and w >= _NARROWEST for h, w in text.sizes], np.bool_)
        seen = np.zeros(len(text.glyphs), np.bool_)
        wanted = large[np.array(text.owners)] & text.honest()
        text.stand_in(lib)
        for scale in _SCALES:
            if wanted.any():
                scale = min(scale, _LONGEST / max(wide, high, 1.0))
                self.width, self.height = max(1, round(wide * scale)), max(1, round(high * scale))
                seen |= self._look(wanted)
                wanted &= ~seen
        owners = np.array(text.owners)
        for owner in text.lacking:  # a letter may be narrower than what it stands for
            mine = owners == owner
            seen[mine] = bool(large[owner]) and seen[mine].mean() >= _STANDING
        return seen

    def _look(self, wanted: Mask) -> Mask:
        """Tell which of the glyphs that are asked for are seen at this size."""
        places = self._on_picture(self.text.boxes)
        seen = np.zeros(len(places), np.bool_)
        middle = (places[:, 1] + places[:, 3]) / 2
        inside = (places[:, 2] > 0) & (places[:, 0] < self.width)
        asked = places[wanted & inside]
        if not len(asked):
            return seen
        first = max(0, int(asked[:, 1].min()) - _BESIDE)
        last = min(self.height, int(asked[:, 3].max()) + _BESIDE)
        rows = max(1, min(self.height, _STRIP // self.width))
        for top in range(first, last, rows):
            bottom = min(top + rows, last)
            own = inside & (middle >= top) & (middle < bottom)
            if not (own & wanted).any():
                continue
            near = np.flatnonzero(inside & (places[:, 3] > top) & (places[:, 1] < bottom))
            seen[near] |= self._strip(top, bottom, near, places[near]) & own[near]
        return seen & wanted

    def _on_picture(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Boxes of the page as boxes of its picture, however the page is turned and cropped."""
        fine = 1_000_000  # the library gives whole numbers
        x, y = ctypes.c_int(), ctypes.c_int()
        corners = []
        for at in ((0.0, 0.0), (100.0, 0.0), (0.0, 100.0)):
            self.lib.FPDF_PageToDevice(self.page, 0, 0, fine, fine, 0, *at, x, y)
            corners.append((x.value * self.width / fine, y.value * self.height / fine))
        (e, f), (ax, ay), (bx, by) = corners
        matrix = np.array([[ax - e, ay - f], [bx - e, by - f]]) / 100
        corner = boxes[:, 0:2] @ matrix + (e, f)
        other = boxes[:, 2:4] @ matrix + (e, f)
        return np.hstack([np.minimum(corner, other), np.maximum(corner, other)])

    def _strip(
        self, top: int, bottom: int, near: npt.NDArray[np.int64], places: npt.NDArray[np.float64]
    ) -> Mask:
        """Tell which glyphs of a strip are seen."""
        text = self.text
        boxes = _whole(places - np.array([0, top, 0, top]), self.width, bottom - top)
        of = [text.owners[n] for n in near.tolist()]
        numbers = {owner: number for number, owner in enumerate(dict.fromkeys(of))}
        signs = [text.signs[text.glyphs[n]] for n in near.tolist()]
        parts = layers(boxes, [numbers[o] for o in of], signs, _LAYERS)
        part_of = np.array([parts[numbers[o]] for o in of])
        full = self._drawn(top, bottom)
        base = self._drawn(top, bottom, without=self.objects)
        if max(parts) <= 0:
            seen: Mask = np.logical_and(legible(ink(full, base), boxes), part_of == 0)
        else:
            seen = np.zeros(len(near), np.bool_)
            for part in range(max(parts) + 1):
                mine = part_of == part
                drawn = [text.drawn[o] for o, n in numbers.items() if parts[n] == part]
                seen[mine] = self._alone((top, bottom), drawn, full, base, boxes[mine])
            seen &= ~overprinted(boxes, part_of, seen)
        if not seen.all():
            self._recognised(base, boxes, near, seen)
        return seen

    def _alone(
        self,
        strip: tuple[int, int],
        drawn: list[Any],
        full: Picture,
        base: Picture,
        boxes: Boxes,
    ) -> Mask:
        """Tell which glyphs are seen of objects that share their place with others.

        They are to leave ink both where all else is, which may cover them, and where no other text
        is, which they may cut into.
        """
        place = {ctypes.addressof(o.contents) for o in drawn}
        others = [o for o in self.objects if ctypes.addressof(o.contents) not in place]
        among = ink(full, self._drawn(*strip, without=drawn))
        return legible(among, boxes) & legible(
            ink(self._drawn(*strip, without=others), base), boxes
        )

    def _drawn(self, top: int, bottom: int, without: list[Any] | None = None) -> Picture:
        lib = self.lib
        picture = np.full((bottom - top, self.width, 4), 255, np.uint8)
        self.budget.draw(picture.size // 4)
        for drawn in without or ():
            lib.FPDFPageObj_SetIsActive(drawn, False)
        bitmap = lib.FPDFBitmap_CreateEx(
            self.width, bottom - top, _BGRA, picture.ctypes.data, self.width * 4
        )
        if not bitmap:
            raise MemoryError
        lib.FPDF_RenderPageBitmap(
            bitmap, self.page, 0, -top, self.width, self.height, 0, _WITH_ANNOTATIONS
        )
        lib.FPDFBitmap_Destroy(bitmap)
        for drawn in without or ():
            lib.FPDFPageObj_SetIsActive(drawn, True)
        return picture

    def _recognised(
        self, base: Picture, boxes: Boxes, near: npt.NDArray[np.int64], seen: Mask
    ) -> None:
        """Find what leaves no ink and is seen nevertheless: a scan's text."""
        for line in _lines(self.text, near, seen):
            fits, some = [], []
            for word in line:
                fit, any_ = stands_on_marks(base, boxes[word])
                fits.append(fit)
                some.append(any_)
            fitting = sum(len(word) for word, fit in zip(line, fits, strict=True) if fit)
            share = fitting / sum(map(len, line))
            for word, fit, any_ in zip(line, fits, some, strict=True):
                seen[word] |= (fit and share >= _CHANCE) or (any_ and share >= _USUAL)


def _whole(places: npt.NDArray[np.float64], width: int, height: int) -> Boxes:
    """Boxes of whole pixels inside a picture, none of them empty."""
    thin = places[:, 2:] - places[:, :2] < _THIN
    least = np.floor(places[:, :2] + np.where(thin, 0.0, 0.5))
    most = np.maximum(np.ceil(places[:, 2:] - np.where(thin, 0.0, 0.5)), least + 1)
    least = np.clip(least, 0, [width - 1, height - 1])
    most = np.clip(most, least + 1, [width, height])
    return np.hstack([least, most]).astype(np.int32)


def _lines(text: _Text, near: npt.NDArray[np.int64], seen: Mask) -> Iterator[list[list[int]]]:
    """Yield words that are not seen, by lines: positions in `near`."""
    line: list[list[int]] = []
    last = -2
    for position, number in enumerate(near.tolist()):
        at = text.glyphs[number]
        between = "".join(text.signs[last + 1 : at]) if last >= 0 else "\n"
        if line and ("\n" in between or at < last):
            yield line
            line = []
        if not seen[position]:
            if not line or between or last < 0 or not line[-1] or line[-1][-1] != position - 1:
                line.append([])
            line[-1].append(position)
        last = at
    if line:
        yield line
