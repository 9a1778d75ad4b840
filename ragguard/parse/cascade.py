"""Match style sheets: which declarations hold for which element of a page, in order.

See `parse.style_sheets` for which rules apply at all, and `parse.css` for what they hide.
"""

from __future__ import annotations

import re
from base64 import b64decode
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from ragguard.errors import UnreadableError
from ragguard.parse.css import HIDES, LOOKS, Declarations, covers, declarations, removes
from ragguard.parse.style_sheets import animated, animations, applies, rules, weight

_DATA_SHEET = re.compile(r"data:text/css([^,\"']{0,100}),([^\"'<>]*)", re.IGNORECASE)
_FUSSY = re.compile(r":not\([^()]*\)|:(?:lang|dir)\([^()]*\)|:defined|:host")
_OF = re.compile(r":nth-(?:last-)?child\([^()]{1,40} of ([^()]{1,400})\)")
_PREFIXED = re.compile(r":-(?:moz|webkit)-any\(")
_BRACKETS = re.compile(r"\"[^\"]*\"|'[^']*'|[,()\[\]]|[^,()\[\]\"']+|[\"']")
_PART = re.compile(r"::?(first-line|before|after)\s*$", re.IGNORECASE)
_COSTLY = re.compile(r":has|:nth|~")  # each node is compared with many others
_MAX_VARIABLE = 200  # characters
MAX_MATCHING = 50_000_000  # comparisons of a node with a selector


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


def styled(tree: LexborHTMLParser) -> tuple[dict[int, Declarations], dict[str, str]]:
    """Tell what the style sheets inside a page declare: by memory id of the node; variables."""
    sheet_rules = [rule for sheet in _sheets(tree) for rule in rules(sheet)]
    variables: dict[str, str] = {}
    for _, body in sheet_rules:
        if "--" in body:
            variables.update(
                (n, v)
                for n, v, _ in declarations(body)
                if n.startswith("--") and len(v) <= _MAX_VARIABLE
            )
    hiding = animations(sheet_rules, variables)
    size = len(tree.css("*")) if sheet_rules else 0
    budget = MAX_MATCHING
    ranked: dict[int, list[tuple[tuple[int, int, int], Declarations]]] = {}
    for selectors, body in sheet_rules:
        if selectors.startswith("@"):
            continue
        declared = declarations(body, variables)
        if kind := animated(declared, hiding):
            declared.append((HIDES, kind, False))
        names = {name for name, _, _ in declared}
        if not removes(declared) and names.isdisjoint(LOOKS | {"position"}):
            continue
        for selector in _alternatives(selectors):
            selector, applied = _of_element(selector, declared)
            if not applied:
                continue
            budget -= size * (1 + (size // 8 if _COSTLY.search(selector) else 0))
            if budget < 0:
                raise UnreadableError("style sheets too large to apply")
            matched = _match(tree, selector)
            budget -= 100 * len(matched)
            for node in matched:
                ranked.setdefault(node.mem_id, []).append((weight(selector), applied))
    for shadow in tree.css("template[shadowrootmode]"):
        host = shadow.parent
        if host is not None and "<slot" not in (shadow.html or ""):  # nothing of its own is drawn
            ranked.setdefault(host.mem_id, []).append(((0, 0, 0), [(HIDES, "css-display", False)]))
    return {
        node: [d for _, declared in sorted(several, key=lambda r: r[0]) for d in declared]
        for node, several in ranked.items()
    }, variables


def _of_element(selector: str, declared: Declarations) -> tuple[str, Declarations]:
    """Return a selector of a part of an element as one of the element, with what counts for it.

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
    """Return the members of a selector list; commas inside brackets and strings part nothing."""
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
    plain = _FUSSY.sub("", _FUSSY.sub("", selector))  # twice, for one in another
    for tried in (selector, _PREFIXED.sub(":is(", plain) or "*"):
        try:
            return list(tree.css(tried))
        except (SelectolaxError, ValueError):  # a selector the parser cannot read
            continue
    return []
