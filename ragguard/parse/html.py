"""HTML to the text a reader sees, and apart from it the text he does not.

Visible text keeps its structure in Markdown's manner (`#` headings, `-` items, blank lines between
blocks), so that chunks follow sections. Hidden is what a browser would not show: comments, elements
hidden by style or attribute, text too small or of the colour of its ground. Formulas (MathML) are
text; of a drawing (SVG) its texts are, where nothing about them may leave no ink. Nothing is
executed or fetched.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from ragguard.errors import UnreadableError
from ragguard.model import Hidden
from ragguard.parse.css import HIDES, LOOKS, Declarations, Look, covers, declarations, removes
from ragguard.parse.style_sheets import animated, animations, applies, rules, weight

# fmt: off
_SILENT = frozenset(
  {
    "script", "style", "template", "noscript", "head", "iframe", "object", "annotation",
    "annotation-xml",
  }
)
_BLOCKS = frozenset(
  {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "html", "legend", "li", "main", "nav", "ol", "option",
    "p", "pre", "section", "select", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
  }
)
# fmt: on
_MAX_DEPTH = 400
_SPACE = "\x00"  # a space inside <pre>, kept as it is

_UNSHOWN = frozenset(  # shown only where something is not supported, or not before a script asks
    {
        "audio",
        "canvas",
        "datalist",
        "meter",
        "noembed",
        "noframes",
        "progress",
        "mphantom",
        "rp",
        "title",
        "video",
    }
)
_PRESENTATION = {
    "color": "color", "text": "color", "bgcolor": "background", "mathcolor": "color",
    "mathbackground": "background", "mathsize": "font-size",
}  # fmt: skip
_DRAWN = (  # attributes of a drawing that are declarations as well
    "fill", "fill-opacity", "opacity", "font-size", "display", "visibility", "transform",
)  # fmt: skip
_UNDRAWN = frozenset(  # in a drawing: used elsewhere, or never shown
    {
        "defs", "symbol", "clippath", "mask", "pattern", "marker", "metadata", "title", "desc",
        "style", "script", "filter", "foreignobject", "switch",
    }
)  # fmt: skip
_CUT = ("mask", "clip-path", "filter")  # attributes that may leave nothing of a text
_SIGNS = {"mfrac": "/", "msup": "^", "msub": "_"}  # before the second child
_NUMBERS = re.compile(r"[+-]?(?:\d{1,9}\.?\d{0,9}|\.\d{1,9})(?:e[+-]?\d{1,2})?", re.IGNORECASE)
_BEYOND = 3_000.0  # pixels; a drawing of unknown size is not larger
_DATA_SHEET = re.compile(r"data:text/css([^,\"']{0,100}),([^\"'<>]*)", re.IGNORECASE)
_FUSSY = re.compile(r":not\([^()]*\)|:(?:lang|dir)\([^()]*\)|:defined|:host")
_OF = re.compile(r":nth-(?:last-)?child\([^()]{1,40} of ([^()]{1,400})\)")
_PREFIXED = re.compile(r":-(?:moz|webkit)-any\(")
_BRACKETS = re.compile(r"\"[^\"]*\"|'[^']*'|[,()\[\]]|[^,()\[\]\"']+|[\"']")
_PART = re.compile(r"::?(first-line|before|after)\s*$", re.IGNORECASE)
_COSTLY = re.compile(r":has|:nth|~")  # each node is compared with many others
_MAX_VARIABLE = 200  # characters
MAX_MATCHING = 50_000_000  # comparisons of a node with a selector
MAX_NODES = 500_000
MAX_NESTING = 10_000  # the parser's time grows with the square of it, and of the next
MAX_ATTRIBUTES = 10_000  # of one tag
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_QUOTED = re.compile(r"\"[^\"]*+\"|'[^']*+'")
_WHOLE_TAG = re.compile(r"<[a-zA-Z](?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+")
_SHALLOW = frozenset(  # tags that go without an end, or end one another
    {
        "area", "b", "base", "big", "body", "br", "code", "col", "colgroup", "dd", "dt", "em",
        "embed", "font", "head", "hr", "html", "i", "img", "input", "li", "link", "meta",
        "nobr", "optgroup", "option", "p", "param", "plaintext", "rp", "rt", "s", "small",
        "source", "strike", "strong", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "tt",
        "u", "wbr",
    }
)  # fmt: skip


def read_html(markup: str, *, page: bool = True) -> tuple[str, tuple[Hidden, ...]]:
    """Take visible and hidden text apart.

    Args:
        markup: HTML, a whole page or a piece.
        page: Whether it is shown as it is; in other formats nothing counts as folded away.

    Returns:
        Visible text, and what is hidden.

    Raises:
        UnreadableError: Built to exhaust the reader.
    """
    tree = _tree(markup, scripting=True)
    walker = _Walker(*_styled(tree), page)
    root = tree.root
    if root is not None:
        before, after = root.prev, root.next
        while before is not None:
            walker.comment(before)
            before = before.prev
        while after is not None:
            walker.comment(after)
            after = after.next
        walker.walk(root)
    return walker.text(), tuple(walker.hidden)


def _tree(markup: str, *, scripting: bool) -> LexborHTMLParser:
    """Parse markup that is not built to exhaust the parser.

    Raises:
        UnreadableError: It is.
    """
    if len(markup) > 2 * MAX_ATTRIBUTES:
        depth = 0
        for end, name in _TAG.findall(markup):
            if name.lower() not in _SHALLOW:
                depth = max(depth - 1, 0) if end else depth + 1
                if depth > MAX_NESTING:
                    raise UnreadableError(f"markup nested more than {MAX_NESTING} deep")
        for tag in _WHOLE_TAG.finditer(markup):
            long = tag.end() - tag.start() > 2 * MAX_ATTRIBUTES
            if long and len(_QUOTED.sub(" ", tag[0]).replace("/", " ").split()) > MAX_ATTRIBUTES:
                raise UnreadableError(f"a tag with more than {MAX_ATTRIBUTES} attributes")
    return LexborHTMLParser(markup, scripting=scripting)


def _sheets(tree: LexborHTMLParser) -> list[str]:
    """Style sheets inside the page, those in data: addresses included."""
    sheets = [
        sheet.text(deep=True)
        for sheet in tree.css("style")
        if applies(sheet.attributes.get("media") or "all")
    ]
    links = [link.attributes.get("href") or "" for link in tree.css("link")]
    for text in [*sheets, *links]:
        for kind, content in _DATA_SHEET.findall(text):
            plain = unquote_to_bytes(content)
            with suppress(ValueError):
                plain = b64decode(plain) if kind.lower().endswith(";base64") else plain
            sheets.append(plain.decode("utf-8", "replace"))
    return sheets


def _styled(tree: LexborHTMLParser) -> tuple[dict[int, Declarations], dict[str, str]]:
    """What the style sheets inside a page declare: by memory id of the node; variables."""
    found = [rule for sheet in _sheets(tree) for rule in rules(sheet)]
    variables: dict[str, str] = {}
    for _, body in found:
        if "--" in body:
            variables.update(
                (n, v)
                for n, v, _ in declarations(body)
                if n.startswith("--") and len(v) <= _MAX_VARIABLE
            )
    hiding = animations(found, variables)
    size = len(tree.css("*")) if found else 0
    budget = MAX_MATCHING
    ranked: dict[int, list[tuple[tuple[int, int, int], Declarations]]] = {}
    for selectors, body in found:
        if selectors.startswith("@"):
            continue
        declared = declarations(body, variables)
        if kind := animated(declared, hiding):
            declared.append((HIDES, kind, False))
        names = {name for name, _, _ in declared}
        if not removes(declared) and names.isdisjoint(LOOKS | {"position"}):
            continue
        for selector in _alternatives(selectors):
            selector, said = _of_element(selector, declared)
            if not said:
                continue
            budget -= size * (1 + (size // 8 if _COSTLY.search(selector) else 0))
            if budget < 0:
                raise UnreadableError("style sheets too large to apply")
            matched = _match(tree, selector)
            budget -= 100 * len(matched)
            for node in matched:
                ranked.setdefault(node.mem_id, []).append((weight(selector), said))
    return {
        node: [d for _, declared in sorted(several, key=lambda r: r[0]) for d in declared]
        for node, several in ranked.items()
    }, variables


def _of_element(selector: str, declared: Declarations) -> tuple[str, Declarations]:
    """A selector of a part of an element as one of the element, with what counts for it.

    A first line that is hidden may be all of the text, and what is put before or behind it may lie
    over it.
    """
    part = _PART.search(selector)
    if part is None:
        return selector, declared
    bare = selector[: part.start()] or "*"
    if part[1].lower() == "first-line":
        return bare, declared
    return bare, [(HIDES, "css-visibility", False)] if covers(declared) else []


def _alternatives(selectors: str) -> list[str]:
    """The members of a selector list; commas inside brackets and strings part nothing."""
    members: list[list[str]] = [[]]
    depth = 0
    for piece in _BRACKETS.findall(selectors):
        depth += (piece in "([") - (piece in ")]")
        if piece == "," and depth <= 0:
            members.append([])
        else:
            members[-1].append(piece)
    return [member for parts in members if (member := "".join(parts).strip())]


def _match(tree: LexborHTMLParser, selector: str) -> list[LexborNode]:
    if selector.count(":has(") > 1:
        selector = selector.replace(":has(", ":is(")
    selector = _OF.sub(r":is(\1)", selector)
    for tried in (selector, _PREFIXED.sub(":is(", _FUSSY.sub("", selector)) or "*"):
        try:
            return list(tree.css(tried))
        except (SelectolaxError, ValueError):  # a selector the parser cannot read
            continue
    return []


class _Walker:
    """One pass over the tree, collecting.

    Args:
        styled: What style sheets declare, by memory id.
        variables: Custom properties.
        page: Whether details that nobody opened are hidden.
    """

    def __init__(
        self, styled: dict[int, Declarations], variables: dict[str, str], page: bool
    ) -> None:
        self._page = page
        self._styled = styled
        self._variables = variables
        self._out: list[str] = []
        self._unseen: list[str] = []  # consecutive text hidden by its look
        self._how = ""
        self.hidden: list[Hidden] = []

    def text(self) -> str:
        self._flush()
        lines = [
            re.sub(r"[ \t]+", " ", line).strip(" \t\r\f\v")
            for line in "".join(self._out).split("\n")
        ]
        joined = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
        return joined.replace(_SPACE, " ")

    def _hide(self, kind: str, text: str) -> None:
        cleaned = " ".join(text.split())
        if cleaned:
            self.hidden.append(Hidden(kind, cleaned))

    def _flush(self) -> None:
        self._hide(self._how, " ".join(self._unseen))
        self._unseen.clear()

    def comment(self, node: LexborNode) -> None:
        if node.is_comment_node:
            self._hide("html-comment", node.comment_content or "")

    def walk(self, top: LexborNode) -> None:
        stack: list[tuple[LexborNode | str, int, bool, Look]] = [(top, 0, False, Look())]
        nodes = 0
        while stack:
            item, depth, verbatim, look = stack.pop()
            if isinstance(item, str):
                self._out.append(item)
                continue
            nodes += 1
            if nodes > MAX_NODES:
                raise UnreadableError(f"more than {MAX_NODES} elements")
            if item.is_text_node:
                self._text((item.text_content or "").replace("\x00", "\ufffd"), verbatim, look)
                continue
            self.comment(item)
            if not item.is_element_node:
                continue
            tag = item.tag or ""
            if tag in _SILENT:
                self._silent(tag, item)
                continue
            if tag == "svg":
                self._drawing(item, look)
                continue
            declared = self._declared(item)
            kind = self._kind(tag, item, declared)
            if kind or depth > _MAX_DEPTH:
                self._hide(kind or "html-depth", item.text(deep=True, separator=" "))
                continue
            look = look.under(declared) if declared else look
            opening, closing = _frame(tag, item)
            self._out.append(opening)
            stack.append((closing, depth, verbatim, look))
            verbatim = verbatim or tag == "pre"
            children = list(item.iter(include_text=True))
            if self._page and tag == "details" and "open" not in item.attributes:
                children = self._folded(children)
            under = self._covered(children)
            for place, child in reversed([*enumerate(children)]):
                below = replace(look, opacity=0.0) if place < under else look
                stack.append((child, depth + 1, verbatim, below))

    def _folded(self, children: list[LexborNode]) -> list[LexborNode]:
        """What is seen of details that nobody opened: their summary."""
        summary = [child for child in children if child.tag == "summary"][:1]
        rest = [
            c.text(deep=True, separator=" ")
            for c in children
            if c.mem_id not in {s.mem_id for s in summary} and not c.is_comment_node
        ]
        self._hide("html-hidden", " ".join(rest))
        return summary

    def _covered(self, children: list[LexborNode]) -> int:
        """How many of an element's children lie under another of them."""
        for place, child in reversed([*enumerate(children)]):
            styled = child.is_element_node and (
                child.mem_id in self._styled or "position" in (child.attributes.get("style") or "")
            )
            if styled and covers(self._declared(child)):
                return place
        return 0

    def _drawing(self, svg: LexborNode, look: Look) -> None:
        """Texts of a drawing; one that may leave no ink is hidden."""
        self._out.append(" ")
        place = _extent(svg)
        stack: list[tuple[LexborNode, Look, bool, bool]] = [(svg, _inked(look), True, False)]
        seen: list[str] = []
        unseen: list[str] = []
        count = 0
        while stack:
            node, look, shown, within = stack.pop()
            count += 1
            if count > MAX_NODES:
                raise UnreadableError(f"more than {MAX_NODES} elements in a drawing")
            if node.is_text_node:
                if within:
                    (seen if shown and not look.hides() else unseen).append(node.text_content or "")
                continue
            self.comment(node)
            tag = (node.tag or "").lower()
            if not node.is_element_node or tag in _UNDRAWN:
                continue
            attributes = node.attributes
            declared = self._declared(node)
            given = [(n, (attributes.get(n) or "").strip().lower(), False) for n in _DRAWN]
            declared = [d for d in given if d[1]] + declared
            look = look.under([_as_ink(d) for d in declared])
            shown = shown and not removes(declared)
            shown = shown and not any(attributes.get(n) or n in _named(declared) for n in _CUT)
            if tag in ("text", "tspan", "textpath", "a"):
                within = within or tag == "text"
                shown = shown and tag != "textpath" and _inside(attributes, place)
                seen.append(" ")
                unseen.append(" ")
            children = list(node.iter(include_text=True))
            stack.extend((child, look, shown, within) for child in reversed(children))
        self._flush()
        self._out.append(" ".join("".join(seen).replace("\x00", "\ufffd").split()) + " ")
        self._hide("html-hidden", "".join(unseen))

    def _text(self, text: str, verbatim: bool, look: Look) -> None:
        how = look.hides() if text.strip() else ""
        if how != self._how:
            self._flush()
            self._how = how
        if how:
            self._unseen.append(text)
        elif verbatim:
            self._out.append(text.expandtabs(4).replace(" ", _SPACE))
        else:
            self._out.append(re.sub(r"\s+", " ", text))

    def _silent(self, tag: str, node: LexborNode) -> None:
        for child in node.iter(include_text=True):
            self.comment(child)
        if tag in ("template", "noscript"):
            inner = re.sub(r"^<\w[^>]*>|</\w+>$", "", node.html or "")
            parsed = _tree(inner, scripting=False).root
            if parsed is not None:
                self._hide(f"html-{tag}", parsed.text(deep=True, separator=" "))

    def _declared(self, node: LexborNode) -> Declarations:
        attributes = node.attributes
        declared: Declarations = []
        for name, of in _PRESENTATION.items():
            if value := attributes.get(name):
                declared.append((of, value.strip().lower(), False))
        declared += self._styled.get(node.mem_id, [])
        if style := attributes.get("style"):
            declared += declarations(style, self._variables)
        return sorted(declared, key=lambda d: d[2])

    def _kind(self, tag: str, node: LexborNode, declared: Declarations) -> str:
        attributes = node.attributes
        if "hidden" in attributes or "popover" in attributes or tag in _UNSHOWN:
            return "html-hidden"
        if tag == "dialog" and "open" not in attributes:
            return "html-hidden"
        return removes(declared)


def _frame(tag: str, node: LexborNode) -> tuple[str, str]:
    if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
        return f"\n\n{'#' * int(tag[1])} ", "\n\n"
    if tag == "li":
        return "\n- ", ""
    if tag in ("td", "th"):
        return "", " | " if node.next is not None else ""
    if tag == "tr":
        return "\n", ""
    if tag == "br":
        return "\n", ""
    if tag == "math":
        return " ", " "
    above = node.parent
    if above is not None and above.tag in _SIGNS:
        return (_SIGNS[above.tag or ""] if _follows(node) else ""), ""
    return ("\n\n", "\n\n") if tag in _BLOCKS else ("", "")


def _follows(node: LexborNode) -> bool:
    """Whether an element stands behind another of the same parent."""
    before = node.prev
    while before is not None and not before.is_element_node:
        before = before.prev
    return before is not None


def _inked(look: Look) -> Look:
    """The look in which a drawing begins: black, unless something above it hides."""
    return look if look.hides() else replace(look, fore=(0.0, 0.0, 0.0), alpha=1.0, size=16.0)


def _as_ink(declared: tuple[str, str, bool]) -> tuple[str, str, bool]:
    """A drawing's declaration as one of text."""
    name, value, urgent = declared
    if name == "fill":
        return "color", "transparent" if value == "none" else value, urgent
    if name == "fill-opacity":
        return "opacity", value, urgent
    return ("-", value, urgent) if name == "color" else declared


def _named(declared: Declarations) -> set[str]:
    return {name for name, value, _ in declared if value != "none"}


def _extent(svg: LexborNode) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a drawing, as its texts count; a little more than it shows."""
    attributes = svg.attributes
    numbers = [
        float(n)
        for n in _NUMBERS.findall(attributes.get("viewbox") or attributes.get("viewBox") or "")
    ]
    if len(numbers) != 4:
        sizes = [_NUMBERS.match(attributes.get(n) or "") for n in ("width", "height")]
        numbers = [0.0, 0.0, *(float(m[0]) if m else _BEYOND for m in sizes)]
    x, y, wide, high = numbers
    return x, y, x + wide, y + high


def _inside(attributes: Mapping[str, str | None], place: tuple[float, float, float, float]) -> bool:
    """Whether a text begins inside its drawing."""
    for name, least, most in (("x", place[0], place[2]), ("y", place[1], place[3])):
        given = attributes.get(name) or ""
        found = [float(n) for n in _NUMBERS.findall(given)] if "%" not in given else []
        if any(not least <= n <= most for n in found):
            return False
    return True
