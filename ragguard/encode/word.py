"""DOCX to the text a reader sees, and apart from it the text he does not.

Read is the body: paragraphs, tables, text boxes, tracked insertions as Word shows them. Formatting
is what styles, the run and what lies behind it add up to. Not read, and so never served: tracked
deletions, comments, headers and footers, notes, alternative texts, document properties.
Source: ECMA-376 part 1, sections 17.3 (paragraphs and runs), 17.4 (tables) and 17.7 (styles).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from ragguard.encode.css import Look, colour
from ragguard.errors import UnreadableError
from ragguard.model import Hidden

MAX_UNPACKED = 200_000_000  # bytes, all members together
MAX_XML = 40_000_000  # bytes, all XML members together
MAX_MEMBERS = 10_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_INSIDE = frozenset(  # elements whose content stands where they stand
    {_W + n for n in ("hyperlink", "ins", "moveTo", "smartTag", "sdt", "sdtContent", "fldSimple",
                      "customXml", "dir", "bdo")}
)  # fmt: skip
_THEME = {"background1": "ffffff", "light1": "ffffff", "text1": "000000", "dark1": "000000"}
_OFF = ("0", "false", "off", "none")
_FAR_TWIPS = 10_000
_FAR_RAISED = 500  # half points
# What zipfile (encryption: RuntimeError, compression: NotImplementedError), lxml and python-docx
# raise, or trip over, in a file that is damaged or hostile. Each becomes "unreadable": the file is
# rejected.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, LookupError, ValueError, OSError, EOFError, SyntaxError,
    TypeError, AttributeError, NotImplementedError, RuntimeError,
)  # fmt: skip
_Format = dict[str, Any]


def read_docx(data: bytes) -> tuple[str, tuple[Hidden, ...]]:
    """Take visible and hidden text apart.

    Args:
        data: The file.

    Returns:
        Visible text, and what is hidden.

    Raises:
        UnreadableError: Damaged or too large.
    """
    import docx
    from docx.opc.exceptions import OpcError

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
        unpacked = sum(m.file_size for m in members)
        xml = sum(m.file_size for m in members if m.filename.endswith((".xml", ".rels")))
        if unpacked > MAX_UNPACKED or xml > MAX_XML or len(members) > MAX_MEMBERS:
            raise UnreadableError(f"unpacks to {unpacked} bytes, {xml} of them XML: too many")
        reader = _Reader(docx.Document(io.BytesIO(data)))
    except (RecursionError, MemoryError):
        raise UnreadableError("damaged .docx (nested too deeply or too large)") from None
    except (OpcError, *_DAMAGE) as error:
        raise UnreadableError(f"damaged .docx ({type(error).__name__})") from None
    return "\n".join(reader.lines).strip(), tuple(reader.hidden)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _value(element: Any, name: str = "val") -> str | None:
    return None if element is None else element.get(_W + name)


class _Reader:
    """One pass over the body.

    Args:
        document: Of python-docx.
    """

    def __init__(self, document: Any) -> None:
        self.lines: list[str] = []
        self.hidden: list[Hidden] = []
        self._styles: dict[str, Any] = {}
        self._usual: _Format = {}
        self._usual_style = ""
        self._read_styles(document.styles.element)
        background = _value(document.element.find(_W + "background"), "color")
        self._blocks(document.element.body, {"ground": background or "FFFFFF"})

    def _read_styles(self, styles: Any) -> None:
        for style in styles.iter(_W + "style"):
            name = style.get(_W + "styleId") or ""
            self._styles.setdefault(name, style)
            default = (style.get(_W + "default") or "0") not in _OFF
            if default and style.get(_W + "type") == "paragraph":
                self._usual_style = name
        for defaults in styles.iter(_W + "rPrDefault"):
            self._usual = self._formatted({}, defaults.find(_W + "rPr"))

    def _style(self, format_: _Format, name: str | None) -> _Format:
        """A format changed by a style and those it is based on."""
        lineage: list[Any] = []
        while name and (style := self._styles.get(name)) is not None and style not in lineage:
            lineage.append(style)
            name = _value(style.find(_W + "basedOn"))
        for style in reversed(lineage):
            format_ = self._formatted(format_, style.find(_W + "rPr"))
            format_ = self._shaded(format_, style.find(_W + "pPr"))
        return format_

    def _formatted(self, format_: _Format, properties: Any) -> _Format:
        """A format changed by run properties."""
        if properties is None:
            return format_
        made = self._shaded(dict(format_), properties)
        for item in properties:
            value = _value(item)
            if item.tag in (_W + "vanish", _W + "specVanish"):
                made["vanish"] = (value or "1") not in _OFF
            elif item.tag == _W + "color":
                theme = _THEME.get(_value(item, "themeColor") or "")
                made["color"] = theme or value or "auto"
            elif item.tag == _W + "sz":
                made["size"] = _number(value)
            elif item.tag == _W + "w":
                made["stretch"] = _number(value)
            elif item.tag == _W + "highlight" and value not in (None, "none"):
                made["ground"] = {"darkBlue": "00008B"}.get(value or "", (value or "").lower())
            elif item.tag == _W + "position":
                made["vanish"] = bool(made.get("vanish")) or abs(_number(value) or 0) > _FAR_RAISED
            elif item.tag == _W14 + "textFill" and item.find(_W14 + "noFill") is not None:
                made["vanish"] = True
        return made

    def _shaded(self, format_: _Format, properties: Any) -> _Format:
        fill = None if properties is None else _value(properties.find(_W + "shd"), "fill")
        return {**format_, "ground": fill} if fill and fill != "auto" else format_

    def _blocks(self, parent: Any, format_: _Format) -> None:
        for child in parent:
            if child.tag == _W + "p":
                self.lines += [self._paragraph(child, format_), ""]
            elif child.tag == _W + "tbl":
                self._table(child, format_)
            elif child.tag in _INSIDE:
                self._blocks(child, format_)

    def _table(self, table: Any, format_: _Format) -> None:
        for row in table.iter(_W + "tr"):
            if next(row.iterancestors(_W + "tbl")) is not table:
                continue  # of a table inside this one
            properties = row.find(_W + "trPr")
            mark = None if properties is None else properties.find(_W + "hidden")
            gone = mark is not None and (_value(mark) or "1") not in _OFF
            cells = []
            for cell in row.iter(_W + "tc"):
                if next(cell.iterancestors(_W + "tr")) is not row:
                    continue
                kept, self.lines = self.lines, []
                look = self._shaded(format_, cell.find(_W + "tcPr"))
                self._blocks(cell, {**look, "vanish": True} if gone else look)
                cells.append("\n".join(line for line in self.lines if line).strip())
                self.lines = kept
            self.lines.append(" | ".join(cells))
        self.lines.append("")

    def _paragraph(self, paragraph: Any, behind: _Format) -> str:
        properties = paragraph.find(_W + "pPr")
        name = None if properties is None else _value(properties.find(_W + "pStyle"))
        look = self._style({**self._usual, **behind}, name or self._usual_style)
        look = self._shaded(look, properties)
        look["vanish"] = bool(look.get("vanish")) or _out_of_sight(properties)
        visible: list[str] = []
        concealed: list[str] = []
        for run in _runs(paragraph):
            format_ = look
            own = run.find(_W + "rPr")
            if own is not None:
                format_ = self._style(look, _value(own.find(_W + "rStyle")))
                format_ = self._formatted(format_, own)
            if behind.get("vanish"):
                format_ = {**format_, "vanish": True}
            (concealed if _hides(format_) else visible).append(run.text)
            for box in _boxes(run):
                self._blocks(box, behind)
        if text := " ".join("".join(concealed).split()):
            self.hidden.append(Hidden("docx-hidden", text))
        style = self._styles.get(name or "")
        title = "" if style is None else (_value(style.find(_W + "name")) or "").lower()
        body = "".join(visible)
        if title.startswith("heading") and title[-1:] in tuple("123456789"):
            return f"{'#' * int(title[-1])} {body}"
        return body


def _runs(parent: Any) -> Iterator[Any]:
    for child in parent:
        if child.tag == _W + "r":
            yield child
        elif child.tag in _INSIDE:
            yield from _runs(child)


def _boxes(run: Any) -> Iterator[Any]:
    """Contents of text boxes, not those inside others, nor the fallback of what is there twice."""
    for box in run.iter(_W + "txbxContent"):
        above = [a.tag for a in box.iterancestors() if a is not run]
        inner = above[: next((i for i, a in enumerate(box.iterancestors()) if a is run), 0)]
        if _MC + "Fallback" not in inner and _W + "txbxContent" not in inner:
            yield box


def _out_of_sight(properties: Any) -> bool:
    """Whether a paragraph stands off the page or has lines of no height."""
    if properties is None:
        return False
    spacing = properties.find(_W + "spacing")
    if _value(spacing, "lineRule") == "exact" and (_number(_value(spacing, "line")) or 0) < 40:
        return True
    frame, indent = properties.find(_W + "framePr"), properties.find(_W + "ind")
    places = [_value(frame, "x"), _value(frame, "y")]
    places += [_value(indent, side) for side in ("left", "start", "firstLine")]
    return any((_number(place) or 0) < -_FAR_TWIPS for place in places)


def _hides(format_: _Format) -> bool:
    if format_.get("vanish"):
        return True
    size, stretch = format_.get("size"), format_.get("stretch")
    if (stretch is not None and stretch < 10) or (size is not None and size <= 4):  # half points
        return True
    fore, _ = colour("#" + str(format_.get("color") or "auto").lower())
    if fore is None:
        return False
    behind = str(format_.get("ground") or "ffffff").lower()
    ground = colour("#" + behind)[0] or colour(behind)[0]
    return bool(Look(fore=fore, ground=ground).hides())
