"""Matrices, boxes and colours of a PDF page.

A matrix is the six numbers of ISO 32000-1, section 8.3.3; a box is left, bottom, right, top; a
colour is red, green, blue from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Matrix = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]
Colour = tuple[float, float, float] | None  # None: not known
ONE: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
BLACK: Colour = (0.0, 0.0, 0.0)
WHITE: Colour = (1.0, 1.0, 1.0)
_SAME = 0.08  # colours nearer than this in every channel cannot be told apart


def times(a: Matrix, b: Matrix) -> Matrix:
    """First `a`, then `b`."""
    return (
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    )


def as_matrix(values: Any) -> Matrix:
    """Six numbers as a matrix."""
    a, b, c, d, e, f = (float(v) for v in values)
    return a, b, c, d, e, f


def moved(points: Iterable[tuple[float, float]], by: Matrix) -> Box:
    """The box around points in another space."""
    xs, ys = [], []
    for x, y in points:
        xs.append(x * by[0] + y * by[2] + by[4])
        ys.append(x * by[1] + y * by[3] + by[5])
    return min(xs), min(ys), max(xs), max(ys)


def both(a: Box, b: Box) -> Box:
    """What two boxes share; turned inside out when that is nothing."""
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def corners(values: Any) -> list[tuple[float, float]]:
    """Corners of a PDF rectangle."""
    a, b, c, d = (float(resolved(v)) for v in values)
    return [(a, b), (c, b), (a, d), (c, d)]


def as_colour(values: list[Any]) -> Colour:
    """A colour of 1, 3 or 4 components, which are gray, RGB and CMYK."""
    parts = [float(v) for v in values]
    if len(parts) == 1:
        return parts[0], parts[0], parts[0]
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    if len(parts) == 4:
        c, m, y, k = ((1 - p) for p in parts)
        return c * k, m * k, y * k
    return None


def alike(a: Colour, b: Colour) -> bool:
    """Whether a reader cannot tell two colours apart; an unknown one is like no other."""
    if a is None or b is None:
        return False
    return max(abs(p - q) for p, q in zip(a, b, strict=True)) < _SAME


def resolved(thing: Any) -> Any:
    """What a reference points to; anything else as it is."""
    return thing.get_object() if hasattr(thing, "get_object") else thing


def shown_bytes(operands: Any) -> int:
    """Bytes an operator of ISO 32000-1, section 9.4.3, shows; white space alone is nothing."""
    total = 0
    for operand in operands:
        if isinstance(operand, list):
            total += shown_bytes(operand)
        elif isinstance(operand, str | bytes) and operand.strip():
            total += len(operand)
    return total
