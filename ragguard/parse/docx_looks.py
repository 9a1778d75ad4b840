"""Find formatting of a DOCX that hides text: places off the page, no height, no contrast.

Measures are in twips (twentieths of a point) unless a name says other; boxes are in EMU, of which a
twip has 635. See `parse.docx` for what formatting adds up to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ragguard.parse.colours import colour
from ragguard.parse.css import ComputedStyle

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
Format = dict[str, Any]
_POINTS = {"pt": 1.0, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pc": 12.0, "pi": 12.0}
_FAR_TWIPS = 10_000
_LOW_TWIPS = 100  # a line of an exact height, in which nothing is read
_HEAP = 0.35  # of the size of letters, by which they are pushed together
_USUAL_SIZE = 22  # half points
_FIT_TWIPS = 15  # width of a letter that is made to fit
_FAR_EMU = 20_000_000  # of a box from its place
_EDGE_EMU = 1_500_000  # from a page's edge to where its text begins
_EMU_OF_TWIP = 635
_SLIT_TWIPS = 120  # width of a cell
_SYMBOLS = ("wingdings", "webdings")  # fonts that draw something else for each letter
_SLIVER_EMU = 50_000  # width or height of a box, in which nothing is read


def number_of(text: str | None, parts: float = 1.0) -> float | None:
    """Return a measure as a number; with a unit (as in strict files), in `parts` of a point."""
    text = (text or "").strip()
    unit = _POINTS.get(text[-2:])
    try:
        if unit is not None:
            return float(text[:-2]) * unit * parts
        return float(text.removesuffix("%")) if text else None
    except ValueError:
        return None


def value_of(element: Any, name: str = "val") -> str | None:
    """Return an attribute of an element that may be missing."""
    return None if element is None else element.get(W + name)


def off_page(drawing: Any, wide: float) -> bool:
    """Tell whether a drawing is hidden, has no size, or stands off the page."""
    if any(p.get("hidden") in ("1", "true", "on") for p in drawing.iterfind("{*}docPr")):
        return True
    extent = drawing.find("{*}extent")
    sizes = [] if extent is None else [number_of(extent.get(n)) for n in ("cx", "cy")]
    if any(size is not None and size < _SLIVER_EMU for size in sizes):
        return True
    for place in (*drawing.iterfind("{*}positionH"), *drawing.iterfind("{*}positionV")):
        across = place.tag.endswith("H")
        size = (sizes or [0, 0])[not across]
        for offset in place.iterfind("{*}posOffset"):
            at = number_of(offset.text) or 0
            fixed = across or place.get("relativeFrom") in ("page", "margin", "topMargin")
            if abs(at) > _FAR_EMU or (fixed and at + (size or 0) < -_EDGE_EMU):
                return True
            if across and at > wide * _EMU_OF_TWIP:
                return True
    return False


def off_table(properties: Any, wide: float) -> bool:
    """Tell whether a table stands off a page of this width."""
    if properties is None:
        return False
    indent, place = properties.find(W + "tblInd"), properties.find(W + "tblpPr")
    across = [number_of(value_of(indent, "w"), 20), number_of(value_of(place, "tblpX"), 20)]
    down = number_of(value_of(place, "tblpY"), 20) or 0
    return abs(down) >= 3 * wide or any(
        at is not None and not -_FAR_TWIPS <= at < wide for at in across
    )


def slit(row: Any, cell: Any) -> bool:
    """Tell whether a cell of a fixed height is too narrow for words."""
    high = row.find(f"{W}trPr/{W}trHeight")
    width = cell.find(f"{W}tcPr/{W}tcW")
    if value_of(high, "hRule") != "exact" or value_of(width, "type") not in (None, "dxa"):
        return False
    return 0 < (number_of(value_of(width, "w"), 20) or 0) < _SLIT_TWIPS


def attribute(element: Any, name: str) -> str | None:
    """Return an attribute whatever its name space."""
    values = (v for k, v in element.attrib.items() if k.rpartition("}")[2] == name)
    return next(values, None)


def hexadecimal(text: str) -> int:
    """Return a number as digits to 16; 255 for what is none."""
    try:
        return int(text, 16)
    except ValueError:
        return 255


def between(shade: str, other: str, share: float) -> str:
    """Return a colour between two: `share` of the first."""
    a, b = colour("#" + shade.lower())[0], colour("#" + other.lower())[0]
    if not isinstance(a, tuple) or not isinstance(b, tuple):
        return shade
    return "".join(
        f"{round(255 * (share * x + (1 - share) * y)):02x}" for x, y in zip(a, b, strict=True)
    )


def low(height: str | None) -> bool:
    """Tell whether nothing is read in a line of this exact height."""
    return (number_of(height, 20) or 0) < _LOW_TWIPS


def out_of_sight(properties: Any, wide: float) -> bool:
    """Tell whether a paragraph stands off a page of this width or has lines of no height."""
    if properties is None:
        return False
    spacing = properties.find(W + "spacing")
    if value_of(spacing, "lineRule") == "exact" and low(value_of(spacing, "line")):
        return True
    frame, indent = properties.find(W + "framePr"), properties.find(W + "ind")
    places = [number_of(value_of(frame, side), 20) or 0 for side in ("x", "y")]
    sides = ("left", "start", "right", "end", "firstLine")
    sizes = [number_of(value_of(frame, side), 20) for side in ("w", "h")]
    fixed = value_of(frame, "hRule") == "exact" or value_of(frame, "h") is None
    if fixed and any(size is not None and 0 < size < _LOW_TWIPS for size in sizes):
        return True
    indents = [number_of(value_of(indent, side), 20) or 0 for side in sides]
    hanging = (number_of(value_of(indent, "hanging"), 20) or 0) - max(indents[:2])
    if min(*places, *indents, -hanging) < -_FAR_TWIPS:
        return True
    return max(indents) >= wide or places[0] >= wide or places[1] >= 3 * wide


def hides(format_: Format, text: str) -> bool:
    """Tell whether a run of this format and text is not read."""
    letters, worded = len(text), any(map(str.isalpha, text))
    if format_.get("web") and worded:  # the numbers of a table of contents are so, too
        return True
    if worded and str(format_.get("font")).lower().startswith(_SYMBOLS):
        return True
    if format_.get("vanish"):
        return True
    size, stretch = format_.get("size"), format_.get("stretch")
    if (stretch is not None and stretch < 10) or (size is not None and size <= 4):  # half points
        return True
    if letters > 2 and (format_.get("spacing") or 0) < -_HEAP * 10 * (size or _USUAL_SIZE):
        return True
    if (fit := format_.get("fit")) is not None and fit < _FIT_TWIPS * letters:
        return True
    return _merges(
        str(format_.get("color") or "auto").lower(), str(format_.get("ground") or "ffffff").lower()
    )


@lru_cache(maxsize=4096)
def _merges(ink: str, behind: str) -> bool:
    """Tell whether text of a colour cannot be told from what is behind it."""
    fore, _ = colour("#" + ink)
    if fore is None:
        return False
    ground = colour("#" + behind)[0] or colour(behind)[0]
    return bool(ComputedStyle(fore=fore, ground=ground).hides())
