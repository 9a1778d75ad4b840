"""Parse DOCX into the text a reader sees, and apart from it the text he does not.

Read is the body: paragraphs, tables, text boxes, equations, the base of ruby, tracked insertions as
Word shows them. Formatting is what styles, the run and what lies behind it add up to. Not read, and
so never served: tracked deletions, comments, headers and footers, notes, alternative texts,
document properties.
Source: ECMA-376 part 1, sections 17.3 (paragraphs and runs), 17.4 (tables) and 17.7 (styles).
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator, Set
from typing import Any

from ragguard.errors import UnreadableError
from ragguard.model import Hidden
from ragguard.parse.css import declarations, removes
from ragguard.parse.docx_looks import (
    attribute,
    between,
    hexadecimal,
    hides,
    low,
    number_of,
    off_page,
    off_table,
    out_of_sight,
    slit,
    value_of,
)

MAX_UNPACKED = 200_000_000  # bytes, all members together
MAX_XML = 40_000_000  # bytes, all XML members together, whatever they are called
MAX_TAGS = 2_000_000  # opening and closing ones of a member
MAX_MEMBERS = 10_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_STRICT = {  # names of ISO 29500 strict, and those of ECMA-376 that are asked for here
    b"http://purl.oclc.org/ooxml/wordprocessingml/main":
    b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    b"http://purl.oclc.org/ooxml/officeDocument/math":
    b"http://schemas.openxmlformats.org/officeDocument/2006/math",
}  # fmt: skip
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_INSIDE = frozenset(  # elements whose content stands where they stand
    {_W + n for n in ("hyperlink", "ins", "moveTo", "smartTag", "sdt", "sdtContent", "fldSimple",
                      "customXml", "dir", "bdo")}
)  # fmt: skip
_SIGNS = {_W + "tab": "\t", _W + "ptab": "\t", _W + "cr": "\n", _W + "noBreakHyphen": "-"}
_THEME = {  # colours by the names that text has for them, unless the file says other
    "background1": "ffffff", "light1": "ffffff", "text1": "000000", "dark1": "000000",
    "bg1": "ffffff", "lt1": "ffffff", "tx1": "000000", "dk1": "000000",
}  # fmt: skip
_THEME_NAMES = {
    "lt1": ("background1", "light1", "bg1"), "dk1": ("text1", "dark1", "tx1"),
    "lt2": ("background2", "light2", "bg2"), "dk2": ("text2", "dark2", "tx2"),
    "hlink": ("hyperlink",), "folHlink": ("followedHyperlink",),
}  # fmt: skip
_OFF = ("0", "false", "off", "none")
_WIDE_TWIPS = 12_240  # a page, where the file does not say
_TRANSPARENT = 90_000  # thousandths of a per cent
_FAR_RAISED = 500  # half points
_UNSTYLED = {f"Heading{n}": f"heading {n}" for n in range(1, 10)}  # what Word knows by itself
_Format = dict[str, Any]


def read_docx(data: bytes) -> tuple[str, tuple[Hidden, ...]]:
    """Take visible and hidden text apart.

    Returns:
        Visible text, and what is hidden.

    Raises:
        UnreadableError: Too large, or no document in it.
        Exception: Whatever zipfile and lxml raise or trip over in a damaged file; `parse`
            translates it.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        unpacked = sum(m.file_size for m in members)
        xml = sum(m.file_size for m in members if m.filename.endswith((".xml", ".rels")))
        if unpacked > MAX_UNPACKED or xml > MAX_XML or len(members) > MAX_MEMBERS:
            raise UnreadableError(f"unpacks to {unpacked} bytes, {xml} of them XML: too many")
        name = _related(archive, "", "/officeDocument")
        if name is None:
            raise UnreadableError("damaged .docx (no document in it)")
        styles, theme = (_related(archive, name, kind) for kind in ("/styles", "/theme"))
        reader = _Reader(
            _member(archive, name),
            None if styles is None else _member(archive, styles),
            None if theme is None or theme not in archive.NameToInfo else _member(archive, theme),
        )
    return "\n".join(reader.lines).strip(), tuple(reader.hidden)


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    """Return the root element of an XML member.

    Raises:
        UnreadableError: It is too large.
        Exception: It is not there, or no XML.
    """
    from lxml import etree

    if archive.getinfo(name).file_size > MAX_XML:
        raise UnreadableError(f"{name} unpacks to more than {MAX_XML} bytes")
    content = archive.read(name)
    if content.count(b"<") > MAX_TAGS:
        raise UnreadableError(f"{name} has more than {MAX_TAGS} tags")
    if b"purl.oclc.org/ooxml" in content:
        for strict, usual in _STRICT.items():
            content = content.replace(strict, usual)
    parser = etree.XMLParser(remove_blank_text=True, resolve_entities=False)
    return etree.fromstring(content, parser)


def _related(archive: zipfile.ZipFile, name: str, kind: str) -> str | None:
    """Return the member that another one names as its document or styles.

    Args:
        name: The member that names it; empty for the package.
        kind: How the relation's type ends.
    """
    folder, _, own = name.rpartition("/")
    listed = posixpath.join(folder, "_rels", f"{own}.rels")
    if listed not in archive.NameToInfo:
        return None
    for relation in _member(archive, listed).iter(_RELATION):
        external = relation.get("TargetMode") == "External"
        if not external and (relation.get("Type") or "").endswith(kind):
            target = posixpath.join("/", folder, relation.get("Target") or "")
            return posixpath.normpath(target).lstrip("/")
    return None


class _Reader:
    """One pass over the body.

    Args:
        document: Root element of the document.
        styles: Root element of its styles; `None` where it has none.
        theme: Root element of its theme; `None` where it has none.
    """

    def __init__(self, document: Any, styles: Any, theme: Any = None) -> None:
        self.lines: list[str] = []
        self.hidden: list[Hidden] = []
        self._styles: dict[str, Any] = {}
        self._titles: dict[str, str] = {} if styles is not None else dict(_UNSTYLED)
        self._changes: dict[str, _Format] = {}
        self._usual: _Format = {}
        self._usual_style = ""
        self._theme = dict(_THEME)
        if theme is not None:
            self._read_theme(theme)
        if styles is not None:
            self._read_styles(styles)
        wide = [number_of(value_of(size, "w"), 20) or 0 for size in document.iter(_W + "pgSz")]
        self._wide = max([_WIDE_TWIPS, *wide])
        background = value_of(document.find(_W + "background"), "color")
        body = document.find(_W + "body")
        if document.tag != _W + "document" or body is None:
            raise UnreadableError("damaged .docx (no body)")
        self._blocks(body, {"ground": background or "FFFFFF"})

    def _read_styles(self, styles: Any) -> None:
        for style in styles.iter(_W + "style"):
            name = style.get(_W + "styleId") or ""
            if name not in self._styles:
                self._styles[name] = style
                self._titles[name] = (value_of(style.find(_W + "name")) or "").lower()
            default = (style.get(_W + "default") or "0") not in _OFF
            if default and style.get(_W + "type") == "paragraph":
                self._usual_style = name
        for defaults in styles.iter(_W + "rPrDefault"):
            self._usual = self._formatted({}, defaults.find(_W + "rPr"))

    def _read_theme(self, theme: Any) -> None:
        for scheme in theme.iter(_A + "clrScheme"):
            for named in scheme:
                if len(named) and (shade := named[0].get("val")):
                    shade = named[0].get("lastClr") or shade
                    name = named.tag.rpartition("}")[2]
                    for alias in (name, *_THEME_NAMES.get(name, ())):
                        self._theme[alias] = shade

    def _shade(self, item: Any, of: str = "") -> str | None:
        """Return a colour that a theme names, made lighter or darker as the element says."""
        shade = self._theme.get(value_of(item, f"theme{of or 'Color'}") or "")
        for change, end in (("Tint", 255), ("Shade", 0)):
            part = value_of(item, f"theme{of}{change}")
            if shade is not None and part is not None:
                shade = between(shade, f"{end:02x}" * 3, hexadecimal(part) / 255)
        return shade

    def _filled(self, fill: Any) -> str | None:
        """The colour of a `solidFill`; empty when it is transparent, `None` when not known."""
        shades = [c for c in fill.iter() if c.tag.endswith(("}srgbClr", "}schemeClr", "}sysClr"))]
        known = []
        for shade in shades:
            clear = [attribute(a, "val") for a in shade.iter(_W14 + "alpha")]
            opaque = [attribute(a, "val") for a in shade.iter(_A + "alpha")]
            if any((number_of(v) or 0) >= _TRANSPARENT for v in clear if v):
                return ""
            if any((number_of(v) or 0) <= 100_000 - _TRANSPARENT for v in opaque if v):
                return ""
            value = attribute(shade, "lastClr") or attribute(shade, "val") or ""
            known.append(self._theme.get(value, value).lower())
        return known[0] if len(set(known)) == 1 else None

    def _change(self, name: str | None) -> _Format:
        """Tell what a style and those it is based on say; one in a circle ends it."""
        lineage: list[str] = []
        seen: set[str] = set()
        format_: _Format = {}
        while name and name not in seen and (style := self._styles.get(name)) is not None:
            if name in self._changes:
                format_ = self._changes[name]
                break
            lineage.append(name)
            seen.add(name)
            name = value_of(style.find(_W + "basedOn"))
        for ancestor in reversed(lineage):
            style = self._styles[ancestor]
            format_ = self._formatted(format_, style.find(_W + "rPr"))
            format_ = self._shaded(format_, style.find(_W + "pPr"))
            self._changes[ancestor] = format_
        return format_

    def _formatted(self, format_: _Format, properties: Any) -> _Format:
        """Return a format changed by run properties."""
        if properties is None:
            return format_
        changed = self._shaded(dict(format_), properties)
        for item in properties:
            value = value_of(item)
            if item.tag in (_W + "vanish", _W + "specVanish"):
                changed["vanish"] = (value or "1") not in _OFF
            elif item.tag == _W + "webHidden":
                changed["web"] = (value or "1") not in _OFF
            elif item.tag == _W + "rFonts":
                changed["font"] = value_of(item, "ascii") or changed.get("font")
            elif item.tag == _W + "color":
                changed["color"] = self._shade(item) or value or "auto"
            elif item.tag == _W + "sz":
                changed["size"] = number_of(value, 2)
            elif item.tag == _W + "w":
                changed["stretch"] = number_of(value)
            elif item.tag == _W + "highlight" and value not in (None, "none"):
                changed["ground"] = {"darkBlue": "00008B"}.get(value or "", (value or "").lower())
            elif item.tag == _W + "position":
                if abs(number_of(value, 2) or 0) > _FAR_RAISED:
                    changed["vanish"] = True
            elif item.tag == _W + "spacing":
                changed["spacing"] = number_of(value, 20)
            elif item.tag == _W + "fitText":
                changed["fit"] = number_of(value, 20)
            elif item.tag == _W14 + "textFill":
                ink = self._filled(item)
                if item.find(_W14 + "noFill") is not None or ink == "":
                    changed["vanish"] = True
                else:
                    changed["color"] = ink or "auto"
        return changed

    def _shaded(self, format_: _Format, properties: Any) -> _Format:
        shade = None if properties is None else properties.find(_W + "shd")
        if shade is None:
            return format_
        fill = self._shade(shade, "Fill") or value_of(shade, "fill")
        ink = self._shade(shade) or value_of(shade, "color")
        pattern = value_of(shade) or "clear"
        share = 1.0 if pattern == "solid" else (number_of(pattern.removeprefix("pct")) or 0) / 100
        if share and pattern.startswith(("pct", "solid")):
            front = "000000" if ink in (None, "auto") else str(ink)
            back = "ffffff" if fill in (None, "auto") else str(fill)
            fill = between(front, back, min(share, 1.0))
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
        if off_table(table.find(_W + "tblPr"), self._wide):
            format_ = {**format_, "vanish": True}
        for row in _below(table, _W + "tr", _TABLES):
            properties = row.find(_W + "trPr")
            mark = None if properties is None else properties.find(_W + "hidden")
            gone = mark is not None and (value_of(mark) or "1") not in _OFF
            high = None if properties is None else properties.find(_W + "trHeight")
            gone |= value_of(high, "hRule") == "exact" and low(value_of(high))
            cells = []
            for cell in _below(row, _W + "tc", _ROWS):
                kept, self.lines = self.lines, []
                look = self._shaded(format_, cell.find(_W + "tcPr"))
                unseen = gone or slit(row, cell)
                self._blocks(cell, {**look, "vanish": True} if unseen else look)
                cells.append("\n".join(line for line in self.lines if line).strip())
                self.lines = kept
            self.lines.append(" | ".join(cells))
        self.lines.append("")

    def _paragraph(self, paragraph: Any, behind: _Format) -> str:
        if not len(paragraph):
            return ""
        properties = paragraph.find(_W + "pPr")
        name = None if properties is None else value_of(properties.find(_W + "pStyle"))
        look: _Format | None = None
        visible: list[str] = []
        concealed: list[str] = []
        for run in _runs(paragraph):
            if look is None:
                look = {**self._usual, **behind, **self._change(name or self._usual_style)}
                look = self._shaded(look, properties)
                look["vanish"] = bool(look.get("vanish")) or out_of_sight(properties, self._wide)
            format_ = look
            if isinstance(run, str):  # a sign of an equation, seen where its parts are seen
                (visible if visible or not concealed else concealed).append(run)
                continue
            own = run.find(_W + "rPr")
            if own is not None:
                style = value_of(own.find(_W + "rStyle"))
                format_ = self._formatted({**look, **self._change(style)} if style else look, own)
            if behind.get("vanish"):
                format_ = {**format_, "vanish": True}
            text = _text(run)
            if text:
                (concealed if hides(format_, text) else visible).append(text)
            for box in _boxes(run):
                self._blocks(box, self._boxed(box, format_ if format_.get("vanish") else behind))
        if text := " ".join("".join(concealed).split()):
            self.hidden.append(Hidden("docx-hidden", text))
        title = self._titles.get(name or "", "")
        body = "".join(visible)
        if title.startswith("heading") and title[-1:] in tuple("123456789"):
            return f"{'#' * int(title[-1])} {body}"
        return body

    def _boxed(self, box: Any, behind: _Format) -> _Format:
        """Tell what is behind the text of a box, and whether the box shows."""
        format_ = dict(behind)
        for above in box.iterancestors():
            name = above.tag.rpartition("}")[2]
            if name == "wsp":
                for fill in above.iterfind("{*}spPr/{*}solidFill"):
                    format_["ground"] = self._filled(fill) or format_.get("ground")
                pictured = ("{*}spPr/{*}gradFill", "{*}spPr/{*}blipFill", "{*}spPr/{*}pattFill")
                if any(above.find(fill) is not None for fill in pictured):
                    format_["ground"] = "unknown"
            elif name in ("anchor", "inline"):
                format_["vanish"] = bool(format_.get("vanish")) or off_page(above, self._wide)
            elif name in ("shape", "rect", "roundrect", "oval") and (style := above.get("style")):
                format_["vanish"] = bool(format_.get("vanish")) or bool(
                    removes(declarations(style))
                )
                if (shade := above.get("fillcolor")) and above.get("filled") not in ("f", "false"):
                    format_["ground"] = shade.split(" ")[0].removeprefix("#")
            elif name in ("r", "p"):
                break
        return format_


def _text(run: Any) -> str:
    """Tell what a run says."""
    parts = []
    for child in run:
        tag = child.tag
        if tag in (_W + "t", _M + "t"):
            parts.append(child.text or "")
        elif tag in _SIGNS:
            parts.append(_SIGNS[tag])
        elif tag == _W + "br" and child.get(_W + "type") in (None, "textWrapping"):
            parts.append("\n")
    return "".join(parts)


_TABLES = frozenset({_W + "tbl", _W + "p"})
_ROWS = frozenset({_W + "tr", _W + "p"})


def _below(parent: Any, tag: str, closed: Set[str]) -> Iterator[Any]:
    """Elements of a name below another, in order; what is `closed` is not looked into."""
    stack = list(reversed(parent))
    while stack:
        element = stack.pop()
        if element.tag == tag:
            yield element
        if element.tag not in closed:
            stack.extend(reversed(element))


def _runs(parent: Any) -> Iterator[Any]:
    """Runs in order, those of equations among them, and the signs that stand between these."""
    for child in parent:
        if child.tag == _W + "r":
            yield child
            for ruby in child.iterchildren(_W + "ruby"):  # its base; how it is read is left out
                for base in ruby.iterchildren(_W + "rubyBase"):
                    yield from _runs(base)
        elif child.tag in (_M + "oMath", _M + "oMathPara"):
            yield from _equation(child)
        elif child.tag in _INSIDE:
            yield from _runs(child)


_BETWEEN = {  # what stands before the second part of an equation's element
    _M + "den": "/", _M + "sup": "^", _M + "sub": "_", _M + "deg": "", _M + "lim": " ",
}  # fmt: skip


def _equation(parent: Any) -> Iterator[Any]:
    """Runs of an equation as they are read aloud: 1/2, x^2, a_1."""
    stack = [parent]
    while stack:
        element = stack.pop()
        if isinstance(element, str) or element.tag in (_M + "r", _W + "r"):
            yield element
        elif element.tag not in (_M + "phant", _W + "del", _W + "moveFrom"):
            for child in reversed(element):
                stack.append(child)
                if sign := _BETWEEN.get(child.tag):
                    stack.append(sign)


_BOX = _W + "txbxContent"
_BOXES = frozenset({_BOX, _MC + "Fallback"})


def _boxes(run: Any) -> Iterator[Any]:
    """Contents of text boxes, not those inside others, nor the fallback of what is there twice."""
    return _below(run, _BOX, _BOXES)
