"""CSS as far as it decides whether a reader sees a text.

Read are style attributes and the style sheets inside a page, as a wide screen in its usual light
state would apply them. Where a rule may or may not apply, it counts when it hides: a text wrongly
taken for hidden is looked at by a person, one wrongly taken for visible is served. Sheets elsewhere
are not fetched, so what they hide is not known.
Sources: CSS Cascading Level 4, Values Level 4, Color Level 4, Media Queries Level 4, Nesting.
"""

from __future__ import annotations

import colorsys
import re
from dataclasses import dataclass, replace
from itertools import chain

Declarations = list[tuple[str, str, bool]]  # name, value, whether important
Colour = tuple[float, float, float] | str | None  # None: unknown, such as an image

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.IGNORECASE)
_PIECE = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|[{};]|[^\"'{};]+", re.DOTALL)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(%|[a-z]*)")
_VARIABLE = re.compile(r"var\(\s*(--[\w-]+)\s*(?:,([^()]*))?\)")
_FUNCTION = re.compile(r"(?<![\w-])([\w-]+)\(([^()]*)\)")
_URL = re.compile(r"url\([^\"'()]*\)", re.IGNORECASE)
_OFFSETS = re.compile(r"(?:left|top|right|bottom|inset|text-indent|margin|translate)(?:-|$)")
_PIXELS = {
    "px": 1.0, "": 1.0, "pt": 1.33, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.94,
    "em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0, "lh": 20.0, "vw": 12.8, "vh": 8.0, "%": 0.16,
    "vmin": 8.0, "vmax": 12.8, "deg": 0.0, "turn": 0.0, "rad": 0.0,
}  # fmt: skip
_NAMES = {
    "white": "ffffff", "snow": "fffafa", "ghostwhite": "f8f8ff", "whitesmoke": "f5f5f5",
    "ivory": "fffff0", "floralwhite": "fffaf0", "azure": "f0ffff", "mintcream": "f5fffa",
    "aliceblue": "f0f8ff", "seashell": "fff5ee", "honeydew": "f0fff0", "canvas": "ffffff",
    "canvastext": "000000", "black": "000000", "navy": "000080", "midnightblue": "191970",
    "gray": "808080", "grey": "808080", "silver": "c0c0c0", "red": "ff0000", "maroon": "800000",
    "green": "008000", "lime": "00ff00", "blue": "0000ff", "darkblue": "00008b", "teal": "008080",
    "purple": "800080", "yellow": "ffff00", "orange": "ffa500", "darkgray": "a9a9a9",
    "darkslategray": "2f4f4f", "dimgray": "696969", "lightgray": "d3d3d3", "lavender": "e6e6fa",
}  # fmt: skip
LOOKS = frozenset(  # what `Look` follows
    {"color", "-webkit-text-fill-color", "background", "background-color", "font-size", "font",
     "visibility", "opacity", "filter", "fill", "fill-opacity"}
)  # fmt: skip
_SAME = 20 / 255  # colours nearer than this in every channel cannot be told apart
_FAINT = 0.1
_SMALLEST_PX = 3.0
_FAR_PX = 900.0
_MAX_NESTING = 8
_SCREEN_PX = 1280.0


@dataclass(frozen=True)
class Look:
    """How text looks where it stands; what children inherit."""

    fore: Colour = (0.0, 0.0, 0.0)
    ground: Colour = (1.0, 1.0, 1.0)
    alpha: float = 1.0
    size: float = 16.0
    opacity: float = 1.0
    shown: bool = True

    def hides(self) -> str:
        """How it hides text; empty when it does not."""
        if not self.shown:
            return "css-visibility"
        if self.opacity < _FAINT:
            return "css-opacity"
        if self.size < _SMALLEST_PX:
            return "css-size"
        fore = _over(self.fore, self.alpha, self.ground)
        same = fore is not None and fore == self.ground
        if isinstance(fore, tuple) and isinstance(self.ground, tuple):
            same = max(abs(a - b) for a, b in zip(fore, self.ground, strict=True)) < _SAME
        return "css-colour" if same or self.alpha < _FAINT else ""

    def under(self, declared: Declarations) -> Look:
        """The look of an element with these declarations, in the order they are applied."""
        look = self
        for name, value, _ in declared:
            if name in ("color", "-webkit-text-fill-color"):
                fore, alpha = colour(value)
                if fore is not None:
                    look = replace(look, fore=fore, alpha=alpha)
            elif name in ("background", "background-color"):
                look = replace(look, ground=_ground(value, look.fore, self.ground))
            elif name in ("font-size", "font"):
                look = replace(look, size=_font_size(name, value, self.size))
            elif name == "visibility":
                look = replace(look, shown=value not in ("hidden", "collapse"))
            elif name == "opacity":
                look = replace(look, opacity=self.opacity * _share(value))
            elif name == "filter":
                for function, inside in _FUNCTION.findall(value):
                    if function == "opacity":
                        look = replace(look, opacity=self.opacity * _share(inside))
        return look


def declarations(style: str, variables: dict[str, str] | None = None) -> Declarations:
    """Properties and values of a style attribute or of a rule's body, in lower case.

    Args:
        style: As written.
        variables: Custom properties by name.
    """
    found: Declarations = []
    for part in _split(style):
        name, colon, value = " ".join(_plain(part).lower().split()).partition(":")
        value, urgent, _ = value.partition("!")
        value = value.strip()
        if not colon or not value:
            continue
        for _ in range(3):  # a variable may be defined by another
            if "var(" not in value or len(value) > 2_000:
                break
            value = _VARIABLE.sub(
                lambda m: (variables or {}).get(m[1], (m[2] or "").strip()), value
            )
        found.append((name.strip(), value, bool(urgent)))
    return found


def _split(style: str) -> list[str]:
    """Declarations as written; a semicolon inside a string or an address ends none."""
    parts: list[list[str]] = [[]]
    for piece in _PIECE.findall(_URL.sub("url()", _COMMENT.sub("", style))):
        if piece == ";":
            parts.append([])
        else:
            parts[-1].append(piece)
    return ["".join(part) for part in parts]


def removes(declared: Declarations) -> str:
    """How declarations hide an element with all that is in it; empty when they do not."""
    values: dict[str, list[str]] = {}
    for name, value, _ in declared:
        values.setdefault(name, []).append(value)
    clipped = any(
        part in value
        for name in ("overflow", "overflow-x", "overflow-y")
        for value in values.get(name, [])
        for part in ("hidden", "clip")
    )
    for name, value, _ in declared:
        kind = _removes(name, value, clipped)
        if kind:
            return kind
    return ""


def _removes(name: str, value: str, clipped: bool) -> str:
    if name == "display" and value == "none":
        return "css-display"
    if (name == "content-visibility" and value == "hidden") or name == "mso-hide":
        return "css-visibility"
    if name.removeprefix("max-") in ("height", "width", "block-size", "inline-size"):
        pixels = lengths(value)
        most = 2.0 if clipped else 0.0
        return "css-size" if pixels and max(map(abs, pixels)) <= most else ""
    if name == "line-height" and clipped and lengths(value) == [0.0]:
        return "css-size"
    if name == "z-index":
        return "css-offscreen" if value.startswith("-") else ""
    if _OFFSETS.match(name):
        return "css-offscreen" if _far(value) else ""
    if name in ("clip", "clip-path"):
        return "css-clip" if any(_clips(*f) for f in _FUNCTION.findall(value)) else ""
    if name in ("scale", "zoom"):
        shares = [_share(part) for part in value.split() if _NUMBER.match(part)]
        return "css-scale" if any(s < _FAINT for s in shares) else ""
    if name == "transform":
        for function, inside in _FUNCTION.findall(value):
            if function.startswith("scale") and min(map(_share, inside.split(","))) < _FAINT:
                return "css-scale"
            if function.startswith("rotate") and re.search(r"\b(?:90|270)deg", inside):
                return "css-scale" if function in ("rotatex", "rotatey") else ""
            if function.startswith("translate") and _far(inside):
                return "css-offscreen"
    return ""


def _far(value: str) -> bool:
    for number, unit in _NUMBER.findall(value):
        pixels = float(number) * _PIXELS.get(unit, 1.0)
        if float(number) <= -100 or pixels <= -_FAR_PX or pixels >= 3 * _FAR_PX:
            return True
    return False


def _clips(function: str, inside: str) -> bool:
    numbers = [(float(n), unit) for n, unit in _NUMBER.findall(inside)]
    if not numbers:
        return False
    if function == "inset":
        return any(unit == "%" and n >= 50 for n, unit in numbers)
    if function in ("circle", "ellipse"):
        return numbers[0][0] == 0
    if function == "polygon":
        return all(n == numbers[0][0] for n, _ in numbers)
    return function == "rect" and all(abs(n) <= 2 for n, _ in numbers)


def lengths(value: str) -> list[float]:
    """All lengths in a value in pixels, roughly: relative units as on a wide screen."""
    if not re.match(r"[\d.+-]|calc\(|min\(|max\(|clamp\(", value):
        return []
    return [
        float(number) * (12.8 if unit == "%" else _PIXELS.get(unit, 1.0))
        for number, unit in _NUMBER.findall(value)
    ]


def _share(value: str) -> float:
    match = _NUMBER.match(value.strip())
    if match is None:
        return 1.0
    return max(0.0, float(match[1]) / (100 if match[2] == "%" else 1))


def _font_size(name: str, value: str, parent: float) -> float:
    if name == "font":  # a shorthand: its size is the first length, a line height follows a slash
        sizes = [
            part
            for part in re.sub(r" ?/ ?[^ ]+", " ", value).split()
            if (found := _NUMBER.fullmatch(part)) and (found[2] or float(found[1]) == 0)
        ]
        value = sizes[0] if sizes else ""
    pixels = [
        float(number)
        * (parent * scale if (scale := _OF_PARENT.get(unit)) else _PIXELS.get(unit, 1))
        for number, unit in _NUMBER.findall(value)
    ]
    return max(map(abs, pixels)) if pixels else parent


_OF_PARENT = {"em": 1.0, "%": 0.01, "ex": 0.5, "ch": 0.5}


def colour(value: str) -> tuple[Colour, float]:
    """A colour and its alpha; `(None, 1)` when it is none that can be computed.

    Args:
        value: A value in lower case.
    """
    value = value.strip()
    if value == "transparent":
        return (1.0, 1.0, 1.0), 0.0
    value = "#" + _NAMES[value] if value in _NAMES else value
    if match := re.fullmatch(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", value):
        digits = match[1] if len(match[1]) > 4 else "".join(c * 2 for c in match[1])
        parts = [int(digits[i : i + 2], 16) / 255 for i in range(0, len(digits), 2)]
        return (parts[0], parts[1], parts[2]), parts[3] if len(parts) == 4 else 1.0
    function = _FUNCTION.match(value)
    if function and function[1] in ("rgb", "rgba", "hsl", "hsla"):
        numbers = [(float(n), unit) for n, unit in _NUMBER.findall(function[2])]
        if len(numbers) < 3:
            return None, 1.0
        last, unit = numbers[3] if len(numbers) > 3 else (1.0, "")
        alpha = last / 100 if unit == "%" else last
        (a, of), (b, _), (c, _) = numbers[:3]
        if function[1].startswith("hsl"):
            made = colorsys.hls_to_rgb(a / 360 % 1, min(c / 100, 1), min(b / 100, 1))
            return made, alpha
        full = 100 if of == "%" else 255
        return (min(a / full, 1), min(b / full, 1), min(c / full, 1)), alpha
    if re.fullmatch(r"[a-z]+", value) and value not in ("inherit", "initial", "currentcolor"):
        return value, 1.0
    return None, 1.0


def _over(fore: Colour, alpha: float, ground: Colour) -> Colour:
    if alpha >= 1 or not isinstance(fore, tuple) or not isinstance(ground, tuple):
        return fore
    r, g, b = (alpha * a + (1 - alpha) * c for a, c in zip(fore, ground, strict=True))
    return r, g, b


def _ground(value: str, fore: Colour, parent: Colour) -> Colour:
    if value in ("none", "inherit", "initial", "unset", "0", "0 0"):
        return parent
    if value == "currentcolor":
        return fore
    for part in re.findall(
        r"#[0-9a-f]+|(?:rgb|hsl)a?\([^()]*\)|(?<![\w(-])[a-z]+(?![\w(-])", value
    ):
        found, alpha = colour(part)
        if isinstance(found, tuple) or found == value:
            return _over(found, alpha, parent)
    return None


# --- sheets ---------------------------------------------------------------------------------------


def rules(sheet: str) -> list[tuple[str, str]]:
    """Selectors and bodies of the rules that apply on a screen, in order; in linear time.

    Args:
        sheet: A style sheet, perhaps cut off or wrong.
    """
    found: list[tuple[str, str]] = []
    stack: list[tuple[str, list[str]]] = []  # selectors, or "@" and the name; declarations
    held: list[str] = []
    pieces = _PIECE.findall(_COMMENT.sub("", sheet))
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
            if body and selectors.startswith("@") and stack:  # declarations of a nested @media
                stack[-1][1].extend(body if selectors == "@" else [])
            elif body and not selectors.startswith("@"):
                found.append((selectors, ";".join(body)))
    return found


def _within(text: str, stack: list[tuple[str, list[str]]]) -> str:
    """What a block's rules select: its selectors under those it is nested in."""
    outer = next((s for s, _ in reversed(stack) if s != "@"), "")
    if outer == "@skip" or len(stack) >= _MAX_NESTING:
        return "@skip"
    if text.startswith("@"):
        name, _, condition = text[1:].lower().partition(" ")
        name, bracket, rest = name.partition("(")
        if name == "media" and not applies(bracket + rest + " " + condition):
            return "@skip"
        return "@" if name in ("media", "supports", "layer", "container", "scope") else "@skip"
    if not outer or len(outer) > 2_000:
        return text
    under = f":is({outer})"
    return text.replace("&", under, 9) if "&" in text else f"{under} {text}"


def applies(query: str) -> bool:
    """Whether a media query holds on a wide screen in its usual state; unknown parts hold."""
    return any(map(_holds, " ".join(query.lower().split()).split(",")))


def _holds(query: str) -> bool:
    words = re.findall(r"[a-z-]+", query)
    kind = next((w for w in words if w in ("print", "speech", "screen", "all")), "all")
    if "not" in words:
        return kind in ("print", "speech") or kind not in words
    if kind in ("print", "speech"):
        return False
    for limit, number, unit in re.findall(r"(m(?:in|ax))-width ?: ?(\d+\.?\d*)(\w*)", query):
        pixels = float(number) * _PIXELS.get(unit, 1.0)
        if (pixels > _SCREEN_PX) if limit == "min" else (pixels < _SCREEN_PX):
            return False
    return "dark" not in words and "reduce" not in words


def weight(selector: str) -> tuple[int, int, int]:
    """A selector's specificity, roughly: ids, classes, element names."""
    classes = len(re.findall(r"[.\[]|(?<!:):(?!is|where|not|:)", selector))
    return selector.count("#"), classes, len(re.findall(r"(?:^|[\s>+~(,])[a-z]", selector, re.I))


def _plain(text: str) -> str:
    """Text without backslash escapes."""
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1] or "0", 16)
    return chr(code) if 0 < code < 0x110000 else match[2] or ""
