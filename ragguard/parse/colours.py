"""Colours of CSS as red, green and blue, roughly: to tell whether text differs from its ground.

Sources: CSS Color Level 4 and 5. Wide gamuts count as sRGB, and colours are mixed in it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

from tinycss2 import color5, parse_component_value_list, parse_one_component_value

Colour = tuple[float, float, float] | str | None  # None: unknown, such as an image

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
    """A colour and its alpha; `(None, 1)` when it is none that can be computed.

    Args:
        value: A value in lower case.
    """
    value = value.strip()
    if not value or len(value) > _LONGEST or value.count("(") > _DEEPEST:
        return None, 1.0
    try:
        found = _computed(parse_one_component_value(value, skip_comments=True))
    except (ValueError, TypeError, AttributeError, IndexError, ArithmeticError):
        return None, 1.0  # no colour, though it begins like one
    if found is not None:
        return found[:3], found[3]
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
    for one in tokens:
        if one == ",":
            parts.append([])
        elif one.type not in ("whitespace", "comment"):
            parts[-1].append(one)
    return parts


def _base(tokens: list[Any]) -> tuple[float, float, float, float] | None:
    """The colour that a relative one is made from, where no channel is changed."""
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
        found = next((c for t in part if t.type != "percentage" and (c := _computed(t))), None)
        if found is None:
            return None
        colours.append(found)
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
    found: list[tuple[Colour, float]] = []
    for token in parse_component_value_list(value, skip_comments=True):
        if token.type != "function" or not token.lower_name.endswith("gradient"):
            continue
        for part in _parted(token.arguments):
            for one in part:
                computed = None
                with suppress(ValueError, TypeError, AttributeError, IndexError, ArithmeticError):
                    computed = _computed(one)
                if computed is not None:
                    found.append((computed[:3], computed[3]))
    return tuple(found)


@lru_cache(maxsize=4096)
def first(value: str) -> tuple[Colour, float]:
    """The first colour among the values of a property, and its alpha; `(None, 1)` without any.

    Args:
        value: A value in lower case.
    """
    if len(value) > 10 * _LONGEST or value.count("(") > 50:
        return None, 1.0
    for token in parse_component_value_list(value, skip_comments=True):
        with suppress(ValueError, TypeError, AttributeError, IndexError, ArithmeticError):
            if (found := _computed(token)) is not None:
                return found[:3], found[3]
    return None, 1.0
