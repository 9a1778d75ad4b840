"""Evaluate CSS as far as it decides whether a reader sees a text.

Read are style attributes and the style sheets inside a page, as a wide screen in its usual light
state would apply them. Where a rule may or may not apply, it counts when it hides: a text wrongly
taken for hidden is looked at by a person, one wrongly taken for visible is served. Sheets elsewhere
are not fetched, so what they hide is not known.
Sources: CSS Cascading Level 4, Values Level 4, Color Level 4, Media Queries Level 4, Nesting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from ragguard.parse.colours import (
    SAME,
    Colour,
    blended,
    changed,
    colour,
    gradient,
    ground_of,
    over,
    stops,
)
from ragguard.parse.lengths import NUMBER, PIXELS, computed, lengths

Declarations = list[tuple[str, str, bool]]  # name, value, whether important

COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.IGNORECASE)
PIECE = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|[{};]|[^\"'{};]+", re.DOTALL)
_VARIABLE = re.compile(r"var\(\s*(--[\w-]+)\s*(?:,([^()]*))?\)")
_FUNCTION = re.compile(r"(?<![\w-])([\w-]+)\(([^()]*)\)")
_URL = re.compile(r"url\([^\"'()]*\)", re.IGNORECASE)
_OFFSETS = re.compile(
    r"(?:left|top|right|bottom|inset|text-indent|margin|padding|translate|offset)(?:-|$)"
)
_DOWN = re.compile(r"top|bottom|block|^inset$|^margin$|^padding$")
LOOKS = frozenset(  # what `ComputedStyle` follows
    {"color", "-webkit-text-fill-color", "background", "background-color", "font-size", "font",
     "background-image", "-webkit-background-clip", "background-clip", "visibility", "opacity",
     "filter", "mix-blend-mode", "font-size-adjust", "letter-spacing", "word-spacing",
     "fill", "fill-opacity"}
)  # fmt: skip
_DECIDING = LOOKS | {"display", "height", "max-height", "width", "max-width", "scale", "zoom"}
_ASKED = re.compile(r"(?<![\w-])(?:if|attr)\(")
_ZERO = re.compile(r"0(?:\.0*)?(?:px|fr|%|em|rem)?")
_FAINT = 0.1
_SMALLEST_PX = 3.0
_FAR_PX = 900.0
_SCREEN_HIGH = 800.0  # pixels; a fixed element lower than that is not scrolled to
_LOW = 8.0  # pixels of height, in which no line is read
_NARROW = 24.0  # pixels of width, in which no word is read
_SLIVER = 3.0  # pixels
_CUT_PX = 30.0  # cut off a line that may have no more
_BLURRED = 2.0  # pixels
_HEAP = 0.35  # of the size of letters, by which they are pushed together
_VARIABLES = 10
HIDES = "-ragguard-hides"  # a property of our own: what else hides the element, by its kind


@dataclass(frozen=True)
class ComputedStyle:
    """How text looks where it stands; what children inherit."""

    fore: Colour = (0.0, 0.0, 0.0)
    ground: Colour = (1.0, 1.0, 1.0)
    alpha: float = 1.0
    size: float = 16.0
    opacity: float = 1.0
    shown: bool = True
    spacing: float = 0.0
    blend: str = ""

    def hides(self) -> str:
        """Tell how it hides text; empty when it does not."""
        if not self.shown:
            return "css-visibility"
        if self.opacity < _FAINT:
            return "css-opacity"
        if self.size < _SMALLEST_PX:
            return "css-size"
        if self.spacing < -_HEAP * self.size:
            return "css-size"
        fore = over(self.fore, self.alpha, self.ground)
        fore = blended(self.blend, fore, self.ground)
        same = fore is not None and fore == self.ground
        if isinstance(fore, tuple) and isinstance(self.ground, tuple):
            same = max(abs(a - b) for a, b in zip(fore, self.ground, strict=True)) < SAME
        return "css-colour" if same or self.alpha < _FAINT else ""

    def under(self, declared: Declarations) -> ComputedStyle:
        """Return the look of an element with these declarations, in the order they are applied."""
        look = self
        clipped = False
        for name, value, _ in declared:
            if name in ("color", "-webkit-text-fill-color"):
                fore, alpha = colour(value)
                if fore is not None:
                    look = replace(look, fore=fore, alpha=alpha)
            elif name in ("background", "background-color"):
                look = replace(look, ground=ground_of(value, look.fore, self.ground))
            elif name == "background-image" and value != "none":
                look = replace(look, ground=gradient(value, look.ground))
            elif name in ("font-size", "font"):
                look = replace(look, size=_font_size(name, value, self.size))
            elif name == "font-size-adjust":
                shares = [float(n) for n, _ in NUMBER.findall(value.replace("-", " "))]
                if shares and shares[-1] < _FAINT:
                    look = replace(look, size=0.0)
            elif name == "letter-spacing":
                look = replace(look, spacing=_font_size(name, value, look.size, least=True))
            elif name == "word-spacing":
                if _font_size(name, value, look.size, least=True) < -look.size:
                    look = replace(look, size=0.0)  # words lie on one another
            elif name == "visibility":
                look = replace(look, shown=value not in ("hidden", "collapse"))
            elif name == "opacity":
                look = replace(look, opacity=self.opacity * _share(value))
            elif name == "mix-blend-mode":
                look = replace(look, blend=value)
            if name.endswith("background-clip") or name == "background":
                clipped = "text" in value.split() or (clipped and name == "background")
        for value in [value for name, value, _ in declared if name == "filter"][-1:]:
            look = _filtered(look, value, own=look.ground != self.ground)
        if clipped and look.alpha < _FAINT:  # the ground is seen through the letters
            look = replace(look, fore=look.ground, alpha=1.0, ground=self.ground)
        return look


def declarations(style: str, variables: dict[str, str] | None = None) -> Declarations:
    """Properties and values of a style attribute or of a rule's body, in lower case.

    Args:
        style: As written.
        variables: Custom properties by name; `None` leaves them as they are.
    """
    declared: Declarations = []
    for part in _split(style):
        name, colon, value = " ".join(_plain(part).lower().split()).partition(":")
        value, urgent, _ = value.partition("!")
        value = value.strip()
        if not colon or not value:
            continue
        for _ in range(_VARIABLES):  # a variable may be defined by another
            if variables is None or "var(" not in value or len(value) > 2_000:
                break
            value = _VARIABLE.sub(lambda m: variables.get(m[1], (m[2] or "").strip()), value)
        declared.append((name.strip(), value, bool(urgent)))
    return declared


def _split(style: str) -> list[str]:
    """Declarations as written; a semicolon inside a string or an address ends none."""
    parts: list[list[str]] = [[]]
    for piece in PIECE.findall(_URL.sub("url()", COMMENT.sub("", style))):
        if piece == ";":
            parts.append([])
        else:
            parts[-1].append(piece)
    return ["".join(part) for part in parts]


def removes(declared: Declarations) -> str:
    """Tell how declarations hide an element with all that is in it; empty when they do not."""
    last = {name: value for name, value, _ in declared}
    values: dict[str, list[str]] = {}
    for name, value, _ in declared:
        values.setdefault(name, []).append(value)
    clipped = any(
        part in value
        for name in ("overflow", "overflow-x", "overflow-y")
        for value in values.get(name, [])
        for part in ("hidden", "clip", "scroll", "auto")
    )
    for name, value, _ in declared:
        kind = _removes(name, value, clipped) or _masks(name, value, last)
        if kind:
            return kind
    if _squeezed(last, clipped):
        return "css-size"
    if "backface-visibility" in last and last["backface-visibility"] == "hidden":
        turned = _FUNCTION.findall(last.get("transform", ""))
        if any(f in ("rotatex", "rotatey") and _cosine(i) < 0 for f, i in turned):
            return "css-scale"
    fixed = last.get("position") == "fixed"
    if fixed and any(max(lengths(last.get(n, "")), default=0) >= _SCREEN_HIGH for n in _EDGES):
        return "css-offscreen"
    return ""


_EDGES = (*("top", "bottom", "inset", "inset-block", "inset-block-start", "inset-block-end"),)
_HIGH = ("height", "min-height", "block-size", "min-block-size")
_SIZES = frozenset({"height", "block-size"})
_WIDTHS = frozenset({"width", "inline-size"})


def _squeezed(last: dict[str, str], clipped: bool) -> bool:
    """Tell whether the way an element is laid out leaves its content no room."""
    contained = last.get("contain", "").split()
    if "strict" in contained or ("size" in contained and clipped):
        return not any(max(lengths(last.get(n, "")), default=0) > _LOW for n in _HIGH)
    for name in ("grid-template-rows", "grid-template-columns"):
        if (tracks := last.get(name, "").split()) and all(map(_ZERO.fullmatch, tracks)):
            return True
    grow, basis = last.get("flex-grow", "0"), last.get("flex-basis", "auto")
    if len(parts := last.get("flex", "").split()) == 3:
        grow, _, basis = parts
    return clipped and bool(_ZERO.fullmatch(grow) and _ZERO.fullmatch(basis))


def _removes(name: str, value: str, clipped: bool) -> str:
    if name == HIDES:
        return value
    if name == "display" and value == "none":
        return "css-display"
    if name in _DECIDING and _ASKED.search(value):  # of attributes and conditions: it may hide
        return "css-visibility"
    if (name == "content-visibility" and value == "hidden") or name == "mso-hide":
        return "css-visibility"
    if name.endswith("text-security") and value in ("disc", "circle", "square"):
        return "css-visibility"
    if name == "content" and value.startswith("url("):
        return "css-visibility"
    if (plain := name.removeprefix("max-")) in _SIZES | _WIDTHS:
        pixels = lengths(value)
        most = (_LOW if plain in _SIZES else _NARROW) if clipped else 0.0
        return "css-size" if pixels and max(map(abs, pixels)) <= most else ""
    if name == "line-height" and clipped and lengths(value) == [0.0]:
        return "css-size"
    if name.startswith("border-left"):
        wide = [float(n) for n, unit in NUMBER.findall(value) if unit == "px"]
        return "css-offscreen" if wide and max(wide) >= _FAR_PX else ""
    if name == "z-index":
        return "css-offscreen" if value.startswith("-") else ""
    if _OFFSETS.match(name):
        if re.search(r"path\([^()]*$", value):
            return "css-offscreen"
        across = not _DOWN.search(name)
        return "css-offscreen" if _far(value, across) or _pushed(name, value, clipped) else ""
    if name in ("clip", "clip-path", "-webkit-clip-path"):
        unreadable = re.search(r"(?:url|calc|min|max)\(|(?:path|shape)\([^()]*$", value)
        if unreadable and name != "clip":
            return "css-clip"
        return "css-clip" if any(_clips(*f) for f in _FUNCTION.findall(value)) else ""
    if name in ("scale", "zoom"):
        shares = [_share(part) for part in computed(value, 0.01).split() if NUMBER.match(part)]
        return "css-scale" if any(s < _FAINT for s in shares) else ""
    if name == "rotate":
        axis = re.match(r"(?:x|y|[^ ]+ [^ ]+ [^ ]+) ", value)
        on_edge = axis and not axis[0].startswith("0 0 ") and abs(_cosine(value)) < _FAINT
        return "css-scale" if on_edge else ""
    if name == "transform":
        for function, inside in _FUNCTION.findall(value):
            if kind := _transforms(function, inside):
                return kind
    return ""


def _transforms(function: str, inside: str) -> str:
    numbers = [float(n) for n, _ in NUMBER.findall(inside)]
    if function.startswith("scale") and min(map(_share, inside.split(","))) < _FAINT:
        return "css-scale"
    if function in ("rotatex", "rotatey") and abs(_cosine(inside)) < _FAINT:
        return "css-scale"
    if function == "rotate3d" and any(numbers[:2]) and abs(_cosine(inside)) < _FAINT:
        return "css-scale"
    if function.startswith("skew") and abs(_cosine(inside)) < _FAINT:
        return "css-scale"
    if function == "matrix" and len(numbers) == 6:
        a, b, c, d, x, y = numbers
    elif function == "matrix3d" and len(numbers) == 16:
        a, b, c, d, x, y = (numbers[n] for n in (0, 1, 4, 5, 12, 13))
    else:
        return "css-offscreen" if function.startswith("translate") and _far(inside, True) else ""
    if abs(a * d - b * c) < _FAINT**2 or min(math.hypot(a, b), math.hypot(c, d)) < _FAINT:
        return "css-scale"
    return "css-offscreen" if min(x, y) <= -_FAR_PX or max(x, y) >= 3 * _FAR_PX else ""


def _cosine(value: str) -> float:
    """Of the last angle in a value; 1 where there is none."""
    angles = [(float(n), unit) for n, unit in NUMBER.findall(value) if unit in _TURNS]
    return math.cos(angles[-1][0] * _TURNS[angles[-1][1]]) if angles else 1.0


_TURNS = {"deg": math.pi / 180, "rad": 1.0, "grad": math.pi / 200, "turn": 2 * math.pi}


def _masks(name: str, value: str, last: dict[str, str]) -> str:
    """Tell how a mask leaves nothing of an element, or may."""
    plain = name.removeprefix("-webkit-")
    if plain in ("mask-size", "mask-position"):
        at = lengths(value)
        return (
            "css-clip"
            if at and (_far(value, True) or (plain[5:] == "size" and not any(at)))
            else ""
        )
    if plain not in ("mask", "mask-image", "mask-border", "mask-box-image") or value == "none":
        return ""
    if "url(" in value and "gradient(" not in value:
        return "css-clip"
    shades = stops(value)
    if shades and all(alpha < _FAINT for _, alpha in shades):
        return "css-clip"
    luminous = "luminance" in value or "luminance" in last.get("mask-mode", "")
    dark = all(isinstance(c, tuple) and max(c) * alpha < _FAINT for c, alpha in shades)
    return "css-clip" if shades and luminous and dark else ""


def covers(declared: Declarations) -> bool:
    """Whether an element lies over all of the one it stands in, and nothing is seen through it."""
    last = {name: value for name, value, _ in declared}
    if last.get("position") != "absolute" or last.get("z-index", "").startswith("-"):
        return False
    if removes(declared) or ComputedStyle().under(declared).hides() not in ("", "css-colour"):
        return False
    if "transform" in last or _share(last.get("opacity", "1")) < 1:
        return False
    whole = bool(last.get("inset")) and set(lengths(last["inset"])) == {0.0}
    for side, other, size in (("left", "right", "width"), ("top", "bottom", "height")):
        begins = whole or lengths(last.get(side, "")) == [0.0]
        ends = whole or lengths(last.get(other, "")) == [0.0] or last.get(size) == "100%"
        if not begins or not ends:
            return False
    shade = last.get("background-color") or last.get("background") or ""
    ground, alpha = colour(shade)
    return isinstance(ground, tuple) and alpha > 1 - _FAINT


def _pushed(name: str, value: str, clipped: bool) -> bool:
    """Tell whether text is pushed out of its box, which shows nothing beyond its edges."""
    if not clipped or not name.startswith(("text-indent", "padding")):
        return False
    return any(unit == "%" and float(n) >= 99 for n, unit in NUMBER.findall(value))


def _far(value: str, across: bool) -> bool:
    """Tell whether a distance leads off the page; down there it may be scrolled to."""
    for number, unit in NUMBER.findall(value):
        pixels = float(number) * PIXELS.get(unit, 1.0)
        if float(number) <= -100 or pixels <= -_FAR_PX or pixels >= 3 * _FAR_PX:
            return True
        if across and unit in ("vw", "vi") and float(number) >= 100:
            return True
    return False


def _clips(function: str, inside: str) -> bool:
    numbers = [(float(n), unit) for n, unit in NUMBER.findall(inside.split(" round ")[0])]
    if function in ("path", "shape"):  # strings are kept apart; see `declarations`
        return _extent([n for n, _ in numbers]) < _SLIVER
    if not numbers:
        return False
    if function == "inset":
        top, right, bottom, left = (numbers * 4)[:4] if len(numbers) == 1 else _sides(numbers)
        return _cut(top, bottom, _CUT_PX) or _cut(left, right, 10 * _CUT_PX)
    if function in ("circle", "ellipse"):
        radii, _, at = inside.partition("at ")
        own = [float(n) * PIXELS.get(u, 1.0) for n, u in NUMBER.findall(radii) if u != "%"]
        share = [float(n) for n, u in NUMBER.findall(radii) if u == "%"]
        small = any(r < _SLIVER for r in own) or any(s < 2 for s in share)
        return small or any(float(n) <= -50 or float(n) >= 150 for n, _ in NUMBER.findall(at))
    if function == "polygon":
        return _extent([n for n, _ in numbers]) < _SLIVER
    if function == "xywh":
        return any(n < _SLIVER for n, _ in numbers[2:4])
    if function == "rect" and len(numbers) >= 4:
        sides = [n for n, _ in numbers[:4]]
        return sides[2] - sides[0] < _SLIVER or sides[1] - sides[3] < _SLIVER
    return function == "rect" and all(abs(n) <= 2 for n, _ in numbers)


def _sides(numbers: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Top, right, bottom and left of two, three or four values."""
    top, right, *rest = numbers[:4]
    bottom = rest[0] if rest else top
    return [top, right, bottom, rest[1] if len(rest) > 1 else right]


def _cut(side: tuple[float, str], other: tuple[float, str], most: float) -> bool:
    """Tell whether two sides that are cut off leave nothing, or may."""
    share = sum(n for n, unit in (side, other) if unit == "%")
    pixels = sum(n * PIXELS.get(unit, 1.0) for n, unit in (side, other) if unit != "%")
    return share > 90 or pixels >= most


def _extent(numbers: list[float]) -> float:
    """Return the lesser of width and height of the points that alternate in a list."""
    xs, ys = numbers[::2], numbers[1::2]
    if not xs or not ys:
        return 0.0
    return min(max(xs) - min(xs), max(ys) - min(ys))


def _share(value: str) -> float:
    match = NUMBER.match(computed(value.strip(), 0.01))
    if match is None:
        return 1.0
    return max(0.0, float(match[1]) / (100 if match[2] == "%" else 1))


def _font_size(name: str, value: str, parent: float, least: bool = False) -> float:
    value = computed(value, parent / 100)
    if name == "font":  # a shorthand: its size is the first length, a line height follows a slash
        sizes = [
            part
            for part in re.sub(r" ?/ ?[^ ]+", " ", value).split()
            if (match := NUMBER.fullmatch(part)) and (match[2] or float(match[1]) == 0)
        ]
        value = sizes[0] if sizes else ""
    pixels = [
        float(number) * (parent * scale if (scale := _OF_PARENT.get(unit)) else PIXELS.get(unit, 1))
        for number, unit in NUMBER.findall(value)
    ]
    if least:
        return min(pixels, default=0.0)
    return max(map(abs, pixels)) if pixels else parent


_OF_PARENT = {"em": 1.0, "%": 0.01, "ex": 0.5, "ch": 0.5}


def _filtered(look: ComputedStyle, value: str, own: bool) -> ComputedStyle:
    """Return a look after its filters.

    Args:
        look: Before them.
        value: As declared.
        own: Whether the element has a ground of its own, which is filtered with the text.
    """
    if "url(" in value:
        return replace(look, opacity=0.0)
    for function, inside in _FUNCTION.findall(value):
        share = _share(inside) if inside.strip() else 1.0
        if function == "opacity":
            look = replace(look, opacity=look.opacity * share)
        elif function == "blur" and max(lengths(inside), default=0.0) >= _BLURRED:
            look = replace(look, opacity=0.0)
        elif function in _FILTERS:
            change = _FILTERS[function]
            look = replace(look, fore=changed(look.fore, change, share))
            if own:
                look = replace(look, ground=changed(look.ground, change, share))
    return look


_FILTERS: dict[str, Callable[[float, float], float]] = {
    "invert": lambda c, s: c * (1 - min(s, 1)) + (1 - c) * min(s, 1),
    "brightness": lambda c, s: min(1.0, c * s),
    "contrast": lambda c, s: min(1.0, max(0.0, (c - 0.5) * s + 0.5)),
}


def _plain(text: str) -> str:
    """Return the text without backslash escapes."""
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1] or "0", 16)
    return chr(code) if 0 < code < 0x110000 else match[2] or ""
