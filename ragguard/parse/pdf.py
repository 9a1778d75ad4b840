"""PDF to the text a reader sees, and apart from it the text he does not.

Each show operator is judged by the graphics state it is run in: rendering mode, size, opacity, its
colour against what was painted below, and whether it falls inside the page and the clipping path.
Text that something is painted over afterwards, and glyphs that look like other characters than they
are said to be, are not noticed. Annotations, outlines and metadata are not read.
Source: ISO 32000-1, sections 8.4, 8.5, 8.6, 8.10, 8.11 and 9.3.
"""

from __future__ import annotations

import io
import logging
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from ragguard.errors import UnreadableError
from ragguard.model import Hidden
from ragguard.parse.pdf_geometry import (
    BLACK,
    ONE,
    WHITE,
    Box,
    Colour,
    Matrix,
    alike,
    as_colour,
    as_matrix,
    both,
    corners,
    moved,
    resolved,
    shown_bytes,
    times,
)

MAX_PAGES = 5_000
MAX_OPERATORS = 2_000_000  # in all pages together
MAX_CONTENT = 60_000_000  # bytes of decoded content streams, in all pages together
MAX_STREAM = 10_000_000  # bytes of one decoded stream
MAX_SHOWS = 50_000  # operators that show text, on one page
MAX_TEXT = 20_000_000  # characters, in all pages together
MAX_FORMS = 1_000  # drawn on one page
_MAX_PAINTED = 300  # painted areas remembered
_FAINT = 0.1
_SMALLEST = 1.5  # points, height
_NARROWEST = 0.3  # points, an em

_SHOWS = frozenset({b"Tj", b"TJ", b"'", b'"'})
_FILLS = frozenset({b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"})
_ENDS = _FILLS | {b"n", b"S", b"s"}


def read_pdf(data: bytes) -> tuple[str, tuple[Hidden, ...]]:
    """Take visible and hidden text apart.

    Args:
        data: The file.

    Returns:
        Visible text, and what is hidden.

    Raises:
        UnreadableError: Encrypted or too large.
        Exception: Whatever pypdf raises or trips over in a damaged file; `parse` translates it.
    """
    from pypdf import apply_configuration

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with apply_configuration(
        zlib_maximum_output_length=MAX_STREAM,
        lzw_maximum_output_length=MAX_STREAM,
        run_length_maximum_output_length=MAX_STREAM,
        brotli_maximum_output_length=MAX_STREAM,
        array_based_stream_maximum_output_length=MAX_STREAM,
        xform_maximum_invocations_per_extraction=MAX_FORMS,
    ):
        return _read(data)


def _read(data: bytes) -> tuple[str, tuple[Hidden, ...]]:
    from pypdf import PdfReader

    pages: list[str] = []
    hidden: list[Hidden] = []
    reader = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableError("encrypted .pdf")
    if len(reader.pages) > MAX_PAGES:
        raise UnreadableError(f"{len(reader.pages)} pages, at most {MAX_PAGES}")
    off = _layers_off(reader)
    budget = _Budget()
    known: dict[int, tuple[str, str]] = {}  # one page may stand in many places
    for page in reader.pages:
        number = getattr(page.indirect_reference, "idnum", -len(pages) - 1)
        if number not in known:
            known[number] = _page(page, off, budget)
        text, unseen = known[number]
        if unseen:
            hidden.append(Hidden("pdf-invisible", unseen))
        pages.append(text)
        budget.say(len(text))
    return "\n\n".join(pages).strip(), tuple(hidden)


def _page(page: Any, off: frozenset[int], budget: _Budget) -> tuple[str, str]:
    """Visible and hidden text of a page."""
    watch = _Watch(page, off, budget)
    text = _extract(page, watch)
    unseen = ""
    if watch.concealed:
        unseen = _extract(page, _Watch(page, off, budget, inverse=True))
        # A scanned page carries its recognised text invisibly, all of it: that is no trick.
        if watch.scanned:
            text, unseen = unseen, ""
    return text.strip(), " ".join(unseen.split())


@dataclass
class _Budget:
    """What reading one file may still cost."""

    operators: int = MAX_OPERATORS
    content: int = MAX_CONTENT
    text: int = MAX_TEXT

    def say(self, characters: int) -> None:
        self.text -= characters
        if self.text < 0:
            raise UnreadableError(f"more than {MAX_TEXT} characters of text")

    def spend(self, operators: int, content: int) -> None:
        self.operators -= operators
        self.content -= content
        if self.operators < 0 or self.content < 0:
            raise UnreadableError(
                f"more than {MAX_OPERATORS} operators or {MAX_CONTENT} bytes of content"
            )


def _extract(page: Any, watch: _Watch) -> str:
    contents = page.get_contents()
    watch.budget.spend(0, len(contents.get_data()) if contents is not None else 0)
    return str(
        page.extract_text(visitor_operand_before=watch.before, visitor_operand_after=watch.after)
    )


def _layers_off(reader: Any) -> frozenset[int]:
    """Object numbers of the optional content that is off when the file is opened."""
    properties = resolved(reader.root_object.get("/OCProperties"))
    if not isinstance(properties, dict):
        return frozenset()
    default = resolved(properties.get("/D"))
    default = default if isinstance(default, dict) else {}
    base = "/OCGs" if default.get("/BaseState") == "/OFF" else None
    off = _numbers(properties.get(base)) if base else set()
    off |= _numbers(default.get("/OFF"))
    return frozenset(off - (_numbers(default.get("/ON")) if base else set()))


def _numbers(array: Any) -> set[int]:
    array = resolved(array)
    return {i.idnum for i in array if hasattr(i, "idnum")} if isinstance(array, list) else set()


@dataclass(frozen=True)
class _State:
    """What `q` saves and `Q` brings back."""

    clip: Box
    resources: Any
    matrix: Matrix = ONE
    fill: Colour = BLACK
    stroke: Colour = BLACK
    tint: bool = False  # the fill colour space has one component, and 0 is no ink
    mode: int = 0
    size: float = 12.0
    stretch: float = 1.0
    rise: float = 0.0
    opacity: float = 1.0


class _Watch:
    """Follows one page and empties the operators that show what is not wanted.

    Args:
        page: The page.
        off: Layers that are off.
        budget: What reading the file may still cost.
        inverse: Keep what is hidden in place of what is visible.

    Attributes:
        budget: As given.
        concealed: Whether text was found hidden.
        scanned: Whether all of the text is invisible and on top of an image.
    """

    def __init__(
        self, page: Any, off: frozenset[int], budget: _Budget, inverse: bool = False
    ) -> None:
        box = both(moved(corners(page.mediabox), ONE), moved(corners(page.cropbox), ONE))
        self._now = _State(box, resolved(page.get("/Resources")) or {})
        self._saved: list[_State] = []
        self._forms: list[tuple[_State, int]] = []
        self._off = off
        self._marked: list[bool] = []
        self._unseen_marks = 0
        self._path: list[tuple[float, float]] = []
        self._clipping = False
        self._painted: deque[tuple[Box, Colour]] = deque(maxlen=_MAX_PAINTED)
        self._inverse = inverse
        self._visible = False
        self._tricked = False
        self._image = False
        self._shows = 0
        self.budget = budget
        self.concealed = False

    @property
    def scanned(self) -> bool:
        return self._image and self.concealed and not self._visible and not self._tricked

    def before(self, operator: bytes, operands: Any, cm: Any, tm: Any) -> None:
        """Called before pypdf runs an operator; may empty its operands."""
        self.budget.spend(1, 0)
        if operator in _SHOWS:
            self._show(operands, tm)
            return
        try:
            self._follow(operator, operands)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, ArithmeticError):
            return  # a malformed operator changes nothing

    def after(self, operator: bytes, _operands: Any, _cm: Any, _tm: Any) -> None:
        """Called after pypdf ran an operator."""
        if operator == b"Do" and self._forms:
            self._now, depth = self._forms.pop()
            del self._saved[depth:]

    def _follow(self, operator: bytes, operands: Any) -> None:
        now = self._now
        if operator == b"q":
            self._saved.append(now)
        elif operator == b"Q":
            floor = self._forms[-1][1] if self._forms else 0
            if len(self._saved) > floor:
                self._now = self._saved.pop()
        elif operator == b"cm":
            self._now = replace(now, matrix=times(as_matrix(operands[:6]), now.matrix))
        elif operator == b"Do":
            self._draw(str(operands[0]))
        elif operator in (b"BDC", b"BMC"):
            self._marked.append(False)
            self._marked[-1] = operator == b"BDC" and self._layer_off(operands)
            self._unseen_marks += self._marked[-1]
        elif operator == b"EMC":
            if self._marked:
                self._unseen_marks -= self._marked.pop()
        elif operator == b"INLINE IMAGE":
            self._paint(moved([(0, 0), (1, 0), (0, 1), (1, 1)], now.matrix), None)
            self._image = True
        elif operator == b"sh":
            self._paint(now.clip, None)
        elif operator in _ENDS or operator in (b"re", b"m", b"l", b"c", b"v", b"y", b"W", b"W*"):
            self._outline(operator, operands)
        else:
            self._set(operator, operands)

    def _set(self, operator: bytes, operands: Any) -> None:
        now = self._now
        if operator == b"Tr":
            self._now = replace(now, mode=int(operands[0]))
        elif operator == b"Tf":
            self._now = replace(now, size=float(operands[1]))
        elif operator == b"Tz":
            self._now = replace(now, stretch=float(operands[0]) / 100)
        elif operator == b"Ts":
            self._now = replace(now, rise=float(operands[0]))
        elif operator in (b"g", b"rg", b"k"):
            self._now = replace(now, fill=as_colour(operands), tint=False)
        elif operator in (b"G", b"RG", b"K", b"SC", b"SCN"):
            self._now = replace(now, stroke=as_colour(operands))
        elif operator == b"cs":
            self._now = replace(now, fill=BLACK, tint=self._one_ink(str(operands[0])))
        elif operator in (b"sc", b"scn"):
            ink = as_colour([1 - float(operands[0])] if now.tint else operands)
            self._now = replace(now, fill=ink)
        elif operator == b"gs":
            self._graphics(self._resource("/ExtGState", str(operands[0])))

    def _resource(self, kind: str, name: str) -> Any:
        return resolved(resolved(self._now.resources[kind])[name])

    def _one_ink(self, name: str) -> bool:
        spaces = resolved(self._now.resources.get("/ColorSpace")) or {}
        space = resolved(spaces.get(name))
        return isinstance(space, list) and bool(space) and str(space[0]) == "/Separation"

    def _graphics(self, state: Any) -> None:
        if "/ca" in state:
            self._now = replace(self._now, opacity=float(resolved(state["/ca"])))
        if "/Font" in state:
            self._now = replace(self._now, size=float(resolved(state["/Font"])[1]))

    def _layer_off(self, operands: Any) -> bool:
        if str(operands[0]) != "/OC":
            return False
        properties = resolved(self._now.resources["/Properties"])
        return self._is_off(properties.raw_get(operands[1]))

    def _is_off(self, layer: Any) -> bool:
        if getattr(layer, "idnum", None) in self._off:
            return True
        content = resolved(layer)
        if not hasattr(content, "raw_get") or "/OCGs" not in content:
            return False
        members = content.raw_get("/OCGs")  # a membership: off when all of its layers are
        numbers = _numbers(members) or {getattr(members, "idnum", -1)}
        return numbers <= self._off

    def _draw(self, name: str) -> None:
        entered = self._now
        self._forms.append((entered, len(self._saved)))
        drawn = self._resource("/XObject", name)
        if drawn.get("/Subtype") == "/Image":
            self._paint(moved([(0, 0), (1, 0), (0, 1), (1, 1)], entered.matrix), None)
            self._image = True
            return
        self.budget.spend(0, len(drawn.get_data()))
        matrix = times(as_matrix(drawn.get("/Matrix", ONE)), entered.matrix)
        clip = entered.clip
        if "/BBox" in drawn:
            clip = both(clip, moved(corners(drawn["/BBox"]), matrix))
        resources = resolved(drawn.get("/Resources")) or entered.resources
        hidden = "/OC" in drawn and self._is_off(drawn.raw_get("/OC"))
        opacity = 0.0 if hidden else entered.opacity
        self._now = replace(entered, matrix=matrix, clip=clip, resources=resources, opacity=opacity)

    def _outline(self, operator: bytes, operands: Any) -> None:
        if operator == b"re":
            x, y, w, h = (float(v) for v in operands[:4])
            self._path += [(x, y), (x + w, y), (x, y + h), (x + w, y + h)]
        elif operator in (b"m", b"l", b"c", b"v", b"y"):
            values = [float(v) for v in operands]
            self._path += zip(values[::2], values[1::2], strict=False)
        elif operator in (b"W", b"W*"):
            self._clipping = True
        else:
            if self._path:
                box = moved(self._path, self._now.matrix)
                if operator in _FILLS and self._now.opacity > 0.5:
                    self._paint(both(box, self._now.clip), self._now.fill)
                if self._clipping:
                    self._now = replace(self._now, clip=both(box, self._now.clip))
            self._path = []
            self._clipping = False

    def _paint(self, box: Box, colour: Colour) -> None:
        self._painted.append((box, colour))

    def _show(self, operands: Any, tm: Any) -> None:
        shown = shown_bytes(operands)
        if not shown:
            return
        self._shows += 1
        if self._shows > MAX_SHOWS:
            raise UnreadableError(f"more than {MAX_SHOWS} pieces of text on a page")
        hides = self._hides(shown, times(as_matrix(tm), self._now.matrix))
        self.concealed |= hides
        self._visible |= not hides
        self._tricked |= hides and self._now.mode != 3
        if hides != self._inverse:
            operands.clear()

    def _hides(self, shown: int, at: Matrix) -> bool:
        now = self._now
        if now.mode in (3, 7) or now.opacity < _FAINT or self._unseen_marks:
            return True
        height = abs(now.size) * (at[2] ** 2 + at[3] ** 2) ** 0.5
        width = abs(now.size * now.stretch) * (at[0] ** 2 + at[1] ** 2) ** 0.5
        if not (height >= _SMALLEST and width >= _NARROWEST):
            return True
        x, y = at[4] + now.rise * at[2], at[5] + now.rise * at[3]
        reach = height + width * shown
        left, bottom, right, top = now.clip
        if not (left - reach < x < right + height and bottom - reach < y < top + reach):
            return True
        if abs(at[1]) < 1e-6 and at[0] > 0 and not (bottom - height < y < top):
            return True
        ink = now.stroke if now.mode % 4 == 1 else now.fill
        if now.mode % 4 == 2 and alike(now.fill, self._ground(x, y, height)):
            ink = now.stroke
        return alike(ink, self._ground(x, y, height))

    def _ground(self, x: float, y: float, height: float) -> Colour:
        x, y = x + height / 5, y + height / 5
        for (left, bottom, right, top), colour in reversed(self._painted):
            if left <= x <= right and bottom <= y <= top:
                return colour
        return WHITE
