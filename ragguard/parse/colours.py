"""Read colours of CSS as red, green and blue: to tell whether text differs from its ground.

Sources: CSS Color Level 4 and 5. Wide gamuts count as sRGB, and colours are mixed in it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from tinycss2 import color5, parse_component_value_list, parse_one_component_value

Colour = tuple[float, float, float] | str | None  # None: unknown, such as an image

SAME = 20 / 255  # colours nearer than this in every channel cannot be told apart
_LONGEST = 300  # characters; of a colour that is longer nothing is known
_DEEPEST = 8  # functions in functions
_SYSTEM = {
    "canvas": 255, "field": 255, "canvastext": 0, "fieldtext": 0, "buttontext": 0,
    "buttonface": 239, "highlighttext": 0, "infobackground": 255, "window": 255, "windowtext": 0,
    "menu": 255, "menutext": 0, "graytext": 128,
}  # fmt: skip
_FROM_XYZ = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)  # of D65, to linear sRGB


@lru_cache(maxsize=4096)
def colour(value: str) -> tuple[Colour, float]:
    """Return a colour and its alpha; `(None, 1)` when it is none that can be computed.

    Args:
        value: A value in lower case.
    """
    value = value.strip()
    if not value or len(value) > _LONGEST or value.count("(") > _DEEPEST:
        return None, 1.0
    try:
        rgba = _computed(parse_one_component_value(value, skip_comments=True))
    except (ValueError, TypeError, AttributeError, IndexError, ArithmeticError):
        return None, 1.0  # no colour, though it begins like one
    if rgba is not None:
        return rgba[:3], rgba[3]
    if value.isalpha() and value not in ("inherit", "initial", "unset", "revert", "currentcolor"):
        return value, 1.0
    return None, 1.0


def _computed(token: Any) -> tuple[float, float, float, float] | None:
    """Red, green, blue and alpha of a component value."""
    if token.type == "ident" and token.lower_value in _SYSTEM:
        shade = _SYSTEM[token.lower_value] / 255
        return shade, shade, shade, 1.0
    if token.type == "function" and token.lower_name == "color-mix":
        return _mixed(token.arguments)
    if token.type == "function" and token.lower_name == "light-dark":
        light = _parted(token.arguments)[0]
        return _computed(light[0])
    if token.type == "function" and (base := _base(token.arguments)) is not None:
        return base
    parsed = color5.parse_color(token)
    if parsed is None or isinstance(parsed, str):
        return None
    return (*_as_srgb(parsed), parsed.alpha)


def _as_srgb(parsed: Any) -> tuple[float, float, float]:
    space = parsed.space
    if space in ("hsl", "hwb"):
        parsed = parsed.to("srgb")
    elif space in ("lab", "lch"):
        parsed = parsed.to("xyz-d50")
    elif space in ("oklab", "oklch"):
        parsed = parsed.to("xyz-d65")
    values = [value or 0.0 for value in parsed.coordinates]
    if parsed.space == "xyz-d50":
        values = [v * d / e for v, d, e in zip(values, color5.D65, color5.D50, strict=True)]
    if parsed.space.startswith("xyz"):
        values = [sum(m * v for m, v in zip(row, values, strict=True)) for row in _FROM_XYZ]
    if parsed.space.startswith("xyz") or parsed.space == "srgb-linear":
        values = [_encoded(value) for value in values]
    if parsed.space == "device-cmyk":
        values = [(1 - value) * (1 - values[3]) for value in values[:3]]
    red, green, blue = (min(max(value, 0.0), 1.0) for value in values[:3])
    return red, green, blue


def _encoded(value: float) -> float:
    value = min(max(value, 0.0), 1.0)
    return float(12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055)


def _parted(tokens: list[Any]) -> list[list[Any]]:
    """Arguments between commas, without white space."""
    parts: list[list[Any]] = [[]]
    for piece in tokens:
        if piece == ",":
            parts.append([])
        elif piece.type not in ("whitespace", "comment"):
            parts[-1].append(piece)
    return parts


def _base(tokens: list[Any]) -> tuple[float, float, float, float] | None:
    """Return the colour that a relative one is made from, where no channel is changed."""
    first = _parted(tokens)[0]
    if len(first) < 2 or first[0].type != "ident" or first[0].lower_value != "from":
        return None
    base = _computed(first[1])
    rest = [t for t in first[2:] if t.type != "ident"]
    if base is None or len(rest) > 2 or any(t.type == "function" for t in rest):
        return None
    shares = [_share(t) for t in rest if t.type in ("number", "percentage")]
    return (*base[:3], shares[-1]) if "/" in [t.value for t in rest] and shares else base


def _mixed(tokens: list[Any]) -> tuple[float, float, float, float] | None:
    colours, shares = [], []
    for part in _parted(tokens)[1:]:
        share = next((_share(t) for t in part if t.type == "percentage"), None)
        rgba = next((c for t in part if t.type != "percentage" and (c := _computed(t))), None)
        if rgba is None:
            return None
        colours.append(rgba)
        shares.append(share)
    if len(colours) != 2:
        return None
    one, other = shares
    if one is None:
        one = 0.5 if other is None else 1 - other
    other = 1 - one if other is None else other
    total = one + other
    if total <= 0:
        return None
    a, b = one / total, other / total
    alpha = a * colours[0][3] + b * colours[1][3]
    if alpha <= 0:
        return (*colours[0][:3], 0.0)
    red, green, blue = (
        (a * x * colours[0][3] + b * y * colours[1][3]) / alpha
        for x, y in zip(colours[0][:3], colours[1][:3], strict=True)
    )
    return red, green, blue, alpha * min(total, 1.0)


def _share(token: Any) -> float:
    return float(token.value) / (100 if token.type == "percentage" else 1)


@lru_cache(maxsize=4096)
def stops(value: str) -> tuple[tuple[Colour, float], ...]:
    """Colours and alphas of the gradients in a value, those that can be computed.

    Args:
        value: A value in lower case.
    """
    if "gradient(" not in value or len(value) > 10 * _LONGEST or value.count("(") > 50:
        return ()
    colour_stops: list[tuple[Colour, float]] = []
    for token in parse_component_value_list(value, skip_comments=True):
        if token.type != "function" or not token.lower_name.endswith("gradient"):
            continue
        for part in _parted(token.arguments):
            for argument in part:
                computed = None
                with suppress(ValueError, TypeError, AttributeError, IndexError, ArithmeticError):
                    computed = _computed(argument)
                if computed is not None:
                    colour_stops.append((computed[:3], computed[3]))
    return tuple(colour_stops)


@lru_cache(maxsize=4096)
def first(value: str) -> tuple[Colour, float]:
    """Return the first colour among a property's values, and its alpha; `(None, 1)` without any.

    Args:
        value: A value in lower case.
    """
    if len(value) > 10 * _LONGEST or value.count("(") > 50:
        return None, 1.0
    for token in parse_component_value_list(value, skip_comments=True):
        with suppress(ValueError, TypeError, AttributeError, IndexError, ArithmeticError):
            if (rgba := _computed(token)) is not None:
                return rgba[:3], rgba[3]
    return None, 1.0


def over(fore: Colour, alpha: float, ground: Colour) -> Colour:
    """Lay a colour of some opacity (alpha, 0 to 1) over a ground."""
    if alpha >= 1 or not isinstance(fore, tuple) or not isinstance(ground, tuple):
        return fore
    r, g, b = (alpha * a + (1 - alpha) * c for a, c in zip(fore, ground, strict=True))
    return r, g, b


def blended(mode: str, fore: Colour, ground: Colour) -> Colour:
    """Blend a colour into a ground, under a blend mode; of some modes, the colour itself."""
    if mode not in _BLENDS or not isinstance(fore, tuple) or not isinstance(ground, tuple):
        return fore
    red, green, blue = (_BLENDS[mode](f, g) for f, g in zip(fore, ground, strict=True))
    return red, green, blue


_BLENDS: dict[str, Callable[[float, float], float]] = {
    "multiply": lambda f, g: f * g,
    "screen": lambda f, g: f + g - f * g,
    "darken": min,
    "lighten": max,
    "difference": lambda f, g: abs(f - g),
    "exclusion": lambda f, g: f + g - 2 * f * g,
    "plus-lighter": lambda f, g: min(1.0, f + g),
    "color-dodge": lambda f, g: 0.0 if not g else 1.0 if f >= 1 else min(1.0, g / (1 - f)),
    "color-burn": lambda f, g: 1.0 if g >= 1 else 0.0 if not f else 1 - min(1.0, (1 - g) / f),
    "hard-light": lambda f, g: 2 * f * g if f <= 0.5 else 1 - 2 * (1 - f) * (1 - g),
    "overlay": lambda f, g: 2 * f * g if g <= 0.5 else 1 - 2 * (1 - f) * (1 - g),
    "soft-light": lambda f, g: g - (1 - 2 * f) * g * (1 - g) if f <= 0.5 else g,
}


def changed(shade: Colour, change: Callable[[float, float], float], share: float) -> Colour:
    """Apply a filter's function, of a channel in [0, 1] and the filter's share, to each channel."""
    if not isinstance(shade, tuple):
        return shade
    red, green, blue = (change(channel, share) for channel in shade)
    return red, green, blue


def gradient(value: str, ground: Colour) -> Colour:
    """Return the ground that gradients make: their one colour, else unknown."""
    shades = [over(shade, alpha, ground) for shade, alpha in stops(value)]
    known = [shade for shade in shades if isinstance(shade, tuple)]
    if not known or "url(" in value or len(known) < len(shades):
        return None
    spread = max(max(column) - min(column) for column in zip(*known, strict=True))
    return known[0] if spread < SAME else None


def ground_of(value: str, fore: Colour, parent: Colour) -> Colour:
    """Tell the ground that a `background` in lower case makes over its parent's."""
    if value in ("none", "inherit", "initial", "unset", "0", "0 0"):
        return parent
    if value == "currentcolor":
        return fore
    if "gradient(" in value:
        return gradient(value, parent)
    if "url(" in value:
        return None
    shade, alpha = colour(value)
    if shade is not None:
        return over(shade, alpha, parent)
    shade, alpha = first(value)
    return None if shade is None else over(shade, alpha, parent)
