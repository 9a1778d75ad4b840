"""Parse HTML into the text a reader sees, and apart from it the text he does not.

Visible text keeps its structure in Markdown's manner (`#` headings, `-` items, blank lines between
blocks), so that chunks follow sections. Hidden is what a browser would not show: comments, elements
hidden by style or attribute, text too small or of the colour of its ground. That is judged by rules
(`css`), or by what a browser drew (`drawn`), where there is one. Formulas (MathML) are text; of a
drawing (SVG) its texts are, where nothing about them may leave no ink. Nothing is executed or
fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ragguard.errors import UnreadableError
from ragguard.model import Hidden
from ragguard.parse.cascade import styled
from ragguard.parse.css import ComputedStyle, Declarations, covers, declarations, removes

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
_SAYS = re.compile(  # as scripts count white space
    r"[^\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
)
_NO_TEXT = frozenset(  # elements of whose text nodes a browser is not asked; see `page.js`
    {"script", "style", "noscript", "title", "iframe", "noembed", "noframes", "template"}
)
_RULED = b"\2"  # of a character that a browser leaves to the rules; see `drawn.BENEATH`
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


Drawn = Callable[[Sequence[str]], list[bytes]]
"""Tells, for the text nodes of a page that say something, which of their characters are seen: 1 of
those that are, 0 of those that are not, and 2 where rules are to say."""


def read_html(
    markup: str, *, page: bool = True, drawn: Drawn | None = None
) -> tuple[str, tuple[Hidden, ...]]:
    """Take visible and hidden text apart.

    Args:
        markup: HTML, a whole page or a piece.
        page: Whether it is shown as it is; if not, nothing counts as folded away.
        drawn: What a browser shows of it; without one, rules tell.

    Returns:
        Visible text, and what is hidden.

    Raises:
        UnreadableError: Built to exhaust the reader.
    """
    tree = _tree(markup, scripting=True)
    root = tree.root
    seen: dict[int, bytes] | None = None
    bare = frozenset[int]()
    if drawn and root is not None:
        seen, bare = _seen(tree, root, drawn, page)
    walker = _Walker(*(styled(tree) if seen is None else ({}, {})), page, seen, bare)
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


def _seen(
    tree: LexborHTMLParser, root: LexborNode, drawn: Drawn, page: bool
) -> tuple[dict[int, bytes], frozenset[int]]:
    """What a browser shows of each text node, and the elements of whose text it shows nothing."""
    nodes: list[LexborNode] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if node.is_text_node and _SAYS.search(node.text_content or ""):
            nodes.append(node)
        elif node.is_element_node and (node.tag or "").lower() not in _NO_TEXT:
            stack.extend(reversed([*node.iter(include_text=True)]))
    flags = drawn([node.text_content or "" for node in nodes])
    if any(_RULED in seen for seen in flags):
        ruled: set[int] = set()
        with suppress(UnreadableError):  # style sheets too large to apply
            walker = _Walker(*styled(tree), page, None, frozenset())
            walker.walk(root)
            ruled = walker.shown
        for at, node in enumerate(nodes):
            flags[at] = flags[at].replace(_RULED, b"\1" if node.mem_id in ruled else b"\0")
    shows: dict[bool, set[int]] = {False: set(), True: set()}
    for node, seen in zip(nodes, flags, strict=True):
        known, above = shows[any(seen)], node.parent
        while above is not None and above.mem_id not in known:
            known.add(above.mem_id)
            above = above.parent
    seen_of = {node.mem_id: seen for node, seen in zip(nodes, flags, strict=True)}
    return seen_of, frozenset(shows[False] - shows[True])


class _Walker:
    """One pass over the tree, collecting.

    Args:
        styled: What style sheets declare, by memory id.
        variables: Custom properties.
        page: Whether details that nobody opened are hidden.
        seen: What a browser shows, by memory id of text nodes; `None` where rules are to tell.
        bare: Elements that have text of which nothing is seen.
    """

    def __init__(
        self,
        styled: dict[int, Declarations],
        variables: dict[str, str],
        page: bool,
        seen: dict[int, bytes] | None,
        bare: frozenset[int],
    ) -> None:
        self._seen = seen
        self._bare = bare
        self._page = page
        self._styled = styled
        self._variables = variables
        self._out: list[str] = []
        self._unseen: list[str] = []  # consecutive text hidden by its look
        self._how = ""
        self.shown: set[int] = set()  # text nodes that rules do not hide
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
        stack: list[tuple[LexborNode | str, int, bool, ComputedStyle]] = [
            (top, 0, False, ComputedStyle())
        ]
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
                self._node(item, verbatim, look)
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
            declared = self._declared(item) if self._seen is None else []
            kind = self._kind(tag, item, declared) if self._seen is None else ""
            if kind or depth > _MAX_DEPTH:
                self._hide(kind or "html-depth", item.text(deep=True, separator=" "))
                continue
            look = look.under(declared) if declared else look
            bare = item.mem_id in self._bare
            opening, closing = ("", "") if bare else _frame(tag, item)
            self._out.append(opening)
            stack.append((closing, depth, verbatim, look))
            verbatim = verbatim or tag == "pre"
            children = list(item.iter(include_text=True))
            if self._folds(tag, item):
                children = self._folded(children)
            under = self._covered(children) if self._seen is None else 0
            for place, child in reversed([*enumerate(children)]):
                below = replace(look, opacity=0.0) if place < under else look
                stack.append((child, depth + 1, verbatim, below))

    def _folds(self, tag: str, node: LexborNode) -> bool:
        """Tell whether an element shows its summary only; a browser tells that itself."""
        closed = tag == "details" and "open" not in node.attributes
        return closed and self._page and self._seen is None

    def _folded(self, children: list[LexborNode]) -> list[LexborNode]:
        """Tell what is seen of details that nobody opened: their summary."""
        summary = [child for child in children if child.tag == "summary"][:1]
        rest = [
            c.text(deep=True, separator=" ")
            for c in children
            if c.mem_id not in {s.mem_id for s in summary} and not c.is_comment_node
        ]
        self._hide("html-hidden", " ".join(rest))
        return summary

    def _covered(self, children: list[LexborNode]) -> int:
        """Count how many of an element's children lie under another of them."""
        for place, child in reversed([*enumerate(children)]):
            styled = child.is_element_node and (
                child.mem_id in self._styled or "position" in (child.attributes.get("style") or "")
            )
            if styled and covers(self._declared(child)):
                return place
        return 0

    def _drawing(self, svg: LexborNode, look: ComputedStyle) -> None:
        """Texts of a drawing; one that may leave no ink is hidden."""
        self._out.append(" ")
        place = _extent(svg)
        stack: list[tuple[LexborNode, ComputedStyle, bool, bool]] = [
            (svg, _inked(look), True, False)
        ]
        seen: list[str] = []
        unseen: list[str] = []
        count = 0
        while stack:
            node, look, shown, within = stack.pop()
            count += 1
            if count > MAX_NODES:
                raise UnreadableError(f"more than {MAX_NODES} elements in a drawing")
            if node.is_text_node:
                if within and self._seen is not None:
                    for at, sign in enumerate(node.text_content or ""):
                        flags = self._seen.get(node.mem_id, b"")
                        (seen if not flags or flags[at] else unseen).append(sign)
                elif within:
                    visible = shown and not look.hides()
                    (seen if visible else unseen).append(node.text_content or "")
                    self.shown |= {node.mem_id} if visible else set()
                continue
            self.comment(node)
            tag = (node.tag or "").lower()
            if not node.is_element_node or tag in _UNDRAWN:
                continue
            attributes = node.attributes
            declared = self._declared(node) if self._seen is None else []
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
        self._hide("html-hidden" if self._seen is None else "html-no-ink", "".join(unseen))

    def _node(self, node: LexborNode, verbatim: bool, look: ComputedStyle) -> None:
        """A text node, in runs of what is seen and what is not."""
        text = (node.text_content or "").replace("\x00", "\ufffd")
        seen = None if self._seen is None else self._seen.get(node.mem_id)
        if seen is None:
            how = look.hides() if text.strip() else ""
            if self._seen is not None:  # white space, or of an element that no browser shows
                how = "html-no-ink" if text.strip() else self._how
            elif not how:
                self.shown.add(node.mem_id)
            self._text(text, verbatim, how)
            return
        begin = 0
        for shown, run in groupby(seen):
            end = begin + sum(1 for _ in run)
            self._text(text[begin:end], verbatim, "" if shown else "html-no-ink")
            begin = end

    def _text(self, text: str, verbatim: bool, how: str) -> None:
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
    """Tell whether an element stands behind another of the same parent."""
    before = node.prev
    while before is not None and not before.is_element_node:
        before = before.prev
    return before is not None


def _inked(look: ComputedStyle) -> ComputedStyle:
    """Return the look in which a drawing begins: black, unless something above it hides."""
    return look if look.hides() else replace(look, fore=(0.0, 0.0, 0.0), alpha=1.0, size=16.0)


def _as_ink(declared: tuple[str, str, bool]) -> tuple[str, str, bool]:
    """Return a drawing's declaration as one of text."""
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
    """Tell whether a text begins inside its drawing."""
    for name, least, most in (("x", place[0], place[2]), ("y", place[1], place[3])):
        given = attributes.get(name) or ""
        coordinates = [float(n) for n in _NUMBERS.findall(given)] if "%" not in given else []
        if any(not least <= n <= most for n in coordinates):
            return False
    return True
