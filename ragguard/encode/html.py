"""HTML to the text a reader sees, and apart from it the text he does not.

Visible text keeps its structure in Markdown's manner (`#` headings, `-` items, blank lines between
blocks), so that chunks follow sections. Hidden is what a browser would not show: comments, elements
hidden by style or attribute, text too small or of the colour of its ground. Nothing is executed or
fetched.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ragguard.model import Hidden

# fmt: off
_SILENT = frozenset(
  {
    "script", "style", "template", "noscript", "head", "iframe", "object", "svg", "math",
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

_ZERO = r"0*\.?0*(?:px|pt|em|rem|%|vh|vw)?\s*(?:;|!|$)"
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("css-display", r"display\s*:\s*none"),
        ("css-visibility", r"visibility\s*:\s*(?:hidden|collapse)"),
        ("css-opacity", r"opacity\s*:\s*(?:0*\.0\d*|0+(?:\.0*)?%?)\s*(?:;|!|$)"),
        (
            "css-size",
            r"font-size\s*:\s*(?:" + _ZERO + r"|(?:0?\.\d+|1|2)(?:\.\d+)?px|0?\.[01]\d*r?em)",
        ),
        ("css-size", r"(?:max-)?(?:height|width)\s*:\s*" + _ZERO),
        ("css-offscreen", r"(?:left|top|right|bottom|text-indent|margin-\w+)\s*:\s*-\s*\d{3,}"),
        ("css-clip", r"clip(?:-path)?\s*:\s*(?:rect\(\s*0|inset\(\s*(?:50|100)%|circle\(\s*0)"),
        ("css-scale", r"transform\s*:[^;]*scale\(\s*0"),
        (
            "css-colour",
            r"(?<![\w-])color\s*:\s*(?:transparent|(?:rgb|hsl)a?\("
            r"(?:[^(),]+,[^(),]+,[^(),]+,|[^()/]+/)\s*0*\.?0*%?\s*\))",
        ),
    )
)
_WHITE = re.compile(
    r"(?<![\w-])color\s*:\s*(?:white|#fff(?:f{3})?\b|#fe\w{4}\b|rgba?\(\s*25\d\s*,\s*25\d\s*,\s*25\d"
    r"|hsla?\([^(),\s]+[,\s]+[^(),\s]+[,\s]+(?:9[89]|100)%)",
    re.IGNORECASE,
)
_GROUND = re.compile(r"background(?:-color)?\s*:\s*([^;]+)", re.IGNORECASE)
_PALE = re.compile(r"^\s*(?:white|#fff|none|transparent|inherit|initial)", re.IGNORECASE)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.IGNORECASE)
_CSS_RULE = re.compile(r"([^{}]{1,500})\{([^{}]{0,2000})\}")


def hiding(style: str) -> str:
    """How a style declaration hides text; empty when it does not.

    Args:
        style: The inside of a style attribute or rule.
    """
    style = _CSS_ESCAPE.sub(_unescaped, _CSS_COMMENT.sub("", style))
    for kind, pattern in _RULES:
        if pattern.search(style):
            return kind
    if _WHITE.search(style):
        ground = _GROUND.search(style)
        if ground is None or _PALE.match(ground.group(1)):
            return "css-colour"
    return ""


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1] or "0", 16)
    return chr(code) if 0 < code < 0x110000 else match[2] or ""


def read_html(markup: str) -> tuple[str, tuple[Hidden, ...]]:
    """Take visible and hidden text apart.

    Args:
        markup: HTML, a whole page or a piece.

    Returns:
        Visible text, and what is hidden.
    """
    tree = LexborHTMLParser(markup)
    walker = _Walker(_styled(tree))
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


def _styled(tree: LexborHTMLParser) -> dict[int, str]:
    """Nodes hidden by a rule of a style sheet inside the page: memory id to kind."""
    styled: dict[int, str] = {}
    for sheet in tree.css("style"):
        for selectors, body in _CSS_RULE.findall(sheet.text(deep=True)):
            kind = hiding(body)
            if not kind:
                continue
            for selector in selectors.split(","):
                try:
                    nodes = tree.css(selector.strip())
                except Exception:  # noqa: S112 - the parser's own error type; a selector it cannot read
                    continue
                styled.update((node.mem_id, kind) for node in nodes)
    return styled


class _Walker:
    """One pass over the tree, collecting."""

    def __init__(self, styled: dict[int, str]) -> None:
        self._styled = styled
        self._out: list[str] = []
        self.hidden: list[Hidden] = []

    def text(self) -> str:
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

    def comment(self, node: LexborNode) -> None:
        if node.is_comment_node:
            self._hide("html-comment", node.comment_content or "")

    def walk(self, top: LexborNode) -> None:
        stack: list[tuple[LexborNode | str, int, bool]] = [(top, 0, False)]
        while stack:
            item, depth, verbatim = stack.pop()
            if isinstance(item, str):
                self._out.append(item)
                continue
            if item.is_text_node:
                text = item.text_content or ""
                text = text.replace("\x00", "\ufffd")
                kept = text.expandtabs(4).replace(" ", _SPACE)
                self._out.append(kept if verbatim else re.sub(r"\s+", " ", text))
                continue
            self.comment(item)
            if not item.is_element_node:
                continue
            tag = item.tag or ""
            if tag in _SILENT:
                self._silent(tag, item)
                continue
            kind = self._kind(item)
            if kind or depth > _MAX_DEPTH:
                self._hide(kind or "html-depth", item.text(deep=True, separator=" "))
                continue
            opening, closing = _frame(tag, item)
            self._out.append(opening)
            stack.append((closing, depth, verbatim))
            verbatim = verbatim or tag == "pre"
            children = list(item.iter(include_text=True))
            stack.extend((child, depth + 1, verbatim) for child in reversed(children))

    def _silent(self, tag: str, node: LexborNode) -> None:
        for child in node.iter(include_text=True):
            self.comment(child)
        if tag in ("template", "noscript"):
            inner = re.sub(r"^<\w[^>]*>|</\w+>$", "", node.html or "")
            parsed = LexborHTMLParser(inner).root
            if parsed is not None:
                self._hide(f"html-{tag}", parsed.text(deep=True, separator=" "))

    def _kind(self, node: LexborNode) -> str:
        attributes = node.attributes
        if "hidden" in attributes:
            return "html-hidden"
        if node.tag == "input" and attributes.get("type") == "hidden":
            return "html-hidden"
        style = attributes.get("style") or ""
        if node.tag == "font" and attributes.get("color"):
            style = f"color: {attributes['color']}; {style}"
        return self._styled.get(node.mem_id, "") or hiding(style)


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
    return ("\n\n", "\n\n") if tag in _BLOCKS else ("", "")
