"""Convert lengths of CSS to pixels, roughly: relative units as on a wide screen.

Source: CSS Values Level 4.
"""

from __future__ import annotations

import re

NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(%|[a-z]*)")
_COMPARED = re.compile(r"(?<![\w-])(calc|min|max|clamp|)\(([^()]*)\)")
PIXELS = {
    "px": 1.0, "": 1.0, "pt": 1.33, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.94,
    "em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0, "lh": 20.0, "vw": 12.8, "vh": 8.0, "%": 0.16,
    "vmin": 8.0, "vmax": 12.8, "deg": 0.0, "turn": 0.0, "rad": 0.0,
}  # fmt: skip
MAX_NESTING = 8


def lengths(value: str) -> list[float]:
    """List all lengths in a value in pixels, roughly: relative units as on a wide screen."""
    if not re.match(r"[\d.+-]|calc\(|min\(|max\(|clamp\(", value):
        return []
    return [
        float(number) * (12.8 if unit == "%" else PIXELS.get(unit, 1.0))
        for number, unit in NUMBER.findall(computed(value, 12.8))
    ]


def computed(value: str, percent: float) -> str:
    """Compute `calc`, `min`, `max` and `clamp` in a value as far as they can be, in pixels."""
    for _ in range(MAX_NESTING):
        match = _COMPARED.search(value)
        if match is None:
            return value
        results = [_sum(part, percent) for part in match[2].split(",")]
        name, pixels = match[1], results[0]
        if name == "clamp" and len(results) == 3:
            pixels = max(results[0], min(results[1], results[2]))
        elif name in ("min", "max"):
            pixels = min(results) if name == "min" else max(results)
        unit = "px" if re.search(r"\d(?:[a-z]|%)", match[2]) else ""
        value = f"{value[: match.start()]}{pixels:.4f}{unit}{value[match.end() :]}"
    return value


def _sum(text: str, percent: float) -> float:
    """Return a sum of products of lengths in pixels; what cannot be read is left out."""
    total, product, sign, divides = 0.0, 0.0, 1.0, None
    for word in text.replace("*", " * ").replace("/", " / ").split():
        if word in ("*", "/"):
            divides = word == "/"
        elif word in ("+", "-"):
            total += sign * product
            product, sign = 0.0, 1.0 if word == "+" else -1.0
        elif number := NUMBER.fullmatch(word):
            scale = percent if number[2] == "%" else PIXELS.get(number[2], 1.0)
            length = float(number[1]) * scale
            if divides is None:
                product = length
            elif divides:
                product = product / length if length else 0.0
            else:
                product *= length
            divides = None
    return total + sign * product
