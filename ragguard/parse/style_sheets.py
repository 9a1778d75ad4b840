"""Read the style sheets inside a page: which rules apply on a wide screen, in what order.

See `parse.css` for what a rule's declarations hide. Sources: CSS Cascading Level 4, Media Queries
Level 4, Nesting, Animations Level 1.
"""

from __future__ import annotations

import re
from itertools import chain

from ragguard.parse.css import (
    COMMENT,
    PIECE,
    ComputedStyle,
    Declarations,
    declarations,
    removes,
)
from ragguard.parse.lengths import MAX_NESTING, PIXELS

_SCREEN_PX = 1280.0
_PROPERTY = "@property "
_FRAMES, _FRAME = "@keyframes ", "@frame "  # an animation, and a block in it


def rules(sheet: str) -> list[tuple[str, str]]:
    """Selectors and bodies of the rules that apply on a screen, in order; in linear time.

    Blocks of an animation are among them; `animations` knows them.
    """
    sheet_rules: list[tuple[str, str]] = []
    stack: list[tuple[str, list[str]]] = []  # selectors, or "@" and the name; declarations
    held: list[str] = []
    pieces = PIECE.findall(COMMENT.sub("", sheet))
    for piece in chain(pieces, iter(lambda: "}" if stack else None, None)):  # closed at the end
        if piece not in ("{", "}", ";"):
            held.append(piece)
            continue
        text = "".join(held).strip().removeprefix("<!--").removeprefix("-->").strip()
        held.clear()
        if piece == "{":
            stack.append((_within(text, stack), []))
            continue
        if stack and text and not text.startswith("@"):
            stack[-1][1].append(text)
        if piece == "}" and stack:
            selectors, body = stack.pop()
            if selectors.startswith(_PROPERTY):
                values = [v for n, v, _ in declarations(";".join(body)) if n == "initial-value"]
                sheet_rules[:0] = [
                    (":root", f"{selectors.removeprefix(_PROPERTY)}:{v}") for v in values
                ]
            elif body and selectors.startswith(_FRAME):
                sheet_rules.append((selectors, ";".join(body)))
            elif body and selectors.startswith("@") and stack:  # declarations of a nested @media
                stack[-1][1].extend(body if selectors == "@" else [])
            elif body and not selectors.startswith("@"):
                sheet_rules.append((selectors, ";".join(body)))
    return sheet_rules


def animations(
    sheet_rules: list[tuple[str, str]], variables: dict[str, str]
) -> dict[str, tuple[str, bool]]:
    """Animations that hide at their end.

    Returns:
        By name: the kind, and whether it hides from its beginning on.
    """
    frames: dict[str, list[tuple[str, str]]] = {}
    for selectors, body in sheet_rules:
        if selectors.startswith(_FRAME):
            name, _, at = selectors.removeprefix(_FRAME).partition(" ")
            frames.setdefault(name, []).append((at, _hidden_by(declarations(body, variables))))
    hiding: dict[str, tuple[str, bool]] = {}
    for name, several in frames.items():
        last = [kind for at, kind in several if {"to", "100%"} & set(at.replace(",", " ").split())]
        kinds = [kind for _, kind in several if kind]
        begins = any({"from", "0%"} & set(at.replace(",", " ").split()) for at, _ in several)
        if kinds and len(kinds) == len(several) and begins:
            hiding[name] = kinds[0], True
        elif last and last[-1]:
            hiding[name] = last[-1], False
    return hiding


def _hidden_by(declared: Declarations) -> str:
    return removes(declared) or ComputedStyle().under(declared).hides()


def animated(declared: Declarations, hiding: dict[str, tuple[str, bool]]) -> str:
    """Tell how an element's animation hides it: as long as it runs, or for good at its end."""
    if not hiding:
        return ""
    words = " ".join(v for n, v, _ in declared if "animation" in n).replace(",", " ").split()
    stays = not {"forwards", "both", "paused"}.isdisjoint(words)
    for name, value, _ in declared:
        if name.removeprefix("-webkit-") in ("animation", "animation-name"):
            for word in value.replace(",", " ").split():
                kind, always = hiding.get(word, ("", False))
                if kind and (always or stays):
                    return kind
    return ""


def _within(text: str, stack: list[tuple[str, list[str]]]) -> str:
    """Tell what a block's rules select: its selectors under those it is nested in."""
    outer = next((s for s, _ in reversed(stack) if s != "@"), "")
    if outer == "@skip" or outer.startswith(_FRAME) or len(stack) >= MAX_NESTING:
        return "@skip"
    if outer.startswith(_FRAMES):
        return f"{_FRAME}{outer.removeprefix(_FRAMES)} {text.lower()}"
    if text.startswith("@"):
        name, _, condition = text[1:].lower().partition(" ")
        name, bracket, rest = name.partition("(")
        if name == "media" and not applies(bracket + rest + " " + condition):
            return "@skip"
        if name == "property":
            return _PROPERTY + condition.strip()
        if name.endswith("keyframes"):
            return _FRAMES + "".join(condition.split()).strip("\"'")
        return "@" if name in ("media", "supports", "layer", "container", "scope") else "@skip"
    if not outer or len(outer) > 2_000:
        return text
    under = f":is({outer})"
    return text.replace("&", under, 9) if "&" in text else f"{under} {text}"


def applies(query: str) -> bool:
    """Tell whether a media query holds on a wide screen in its usual state; unknown parts hold."""
    return any(map(_holds, " ".join(query.lower().split()).split(",")))


def _holds(query: str) -> bool:
    words = re.findall(r"[a-z-]+", query)
    kind = next((w for w in words if w in ("print", "speech", "screen", "all")), "all")
    if "not" in words:
        return kind in ("print", "speech") or kind not in words
    if kind in ("print", "speech"):
        return False
    for limit, number, unit in re.findall(r"(m(?:in|ax))-width ?: ?(\d+\.?\d*)(\w*)", query):
        pixels = float(number) * PIXELS.get(unit, 1.0)
        if (pixels > _SCREEN_PX) if limit == "min" else (pixels < _SCREEN_PX):
            return False
    return "dark" not in words and "reduce" not in words


def weight(selector: str) -> tuple[int, int, int]:
    """Return a selector's specificity, roughly: ids, classes, element names."""
    classes = len(re.findall(r"[.\[]|(?<!:):(?!is|where|not|:)", selector))
    return selector.count("#"), classes, len(re.findall(r"(?:^|[\s>+~(,])[a-z]", selector, re.I))
