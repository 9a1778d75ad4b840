"""Draw the page's map of the embedding space, and sparklines.

Numbers only; the template writes the SVG, and autoescape what stands in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragguard.audit.findings import MapPoint

WIDTH, HEIGHT, MARGIN = 1000, 600, 26
COLOURS = 8  # sources with a colour of their own
MOST_DOTS = 3_000
MOST_MARKS = 400
NEAR = 30.0  # marks that share a label
MOST_LABELS = 60
GLYPH, TALL = 9.0, 18.0  # size of a character of a label
LINE_WIDTH, LINE_HEIGHT, LINE_MARGIN = 200.0, 48.0, 5.0


@dataclass(frozen=True)
class Dot:
    """A point of the map, in the drawing's units."""

    x: float
    y: float
    document: str
    source: str
    colour: int
    number: int = 0


@dataclass(frozen=True)
class Label:
    """Numbers of findings beside their marks."""

    x: float
    y: float
    text: str
    end: bool


@dataclass(frozen=True)
class Map:
    """The scatter.

    Attributes:
        legend: Colour, source and how many points of it are drawn; the last colour is all others.
        dots: Honest points.
        marks: Suspects; `number` is that of their finding on the page, 0 when it is not there.
        labels: Beside the marks.
    """

    legend: Sequence[tuple[int, str, int]]
    dots: Sequence[Dot]
    marks: Sequence[Dot]
    labels: Sequence[Label]
    left_out: int


@dataclass(frozen=True)
class Sparkline:
    """A sparkline.

    Attributes:
        points: `x,y` pairs of the polyline.
        dots: Each value: x, y, time, value.
        low: Smallest value.
        high: Largest value.
        last: Newest value.
        step: Newest less the one before; `None` for a single value.
    """

    points: str
    dots: Sequence[tuple[float, float, str, float]]
    low: float
    high: float
    last: float
    step: float | None


def scatter(places: Sequence[MapPoint], numbers: Mapping[str, int]) -> Map:
    """Lay the map out.

    Args:
        places: Points, x and y in [0, 1].
        numbers: Number of the finding on the page by document.
    """
    ranked = [source for source, _ in Counter(p.source for p in places).most_common()]
    colours = {source: min(i, COLOURS) for i, source in enumerate(ranked)}
    honest = [p for p in places if not p.suspect]
    suspects = [p for p in places if p.suspect]
    suspects.sort(key=lambda p: numbers.get(p.document) or len(places))
    step = max(1, -(-len(honest) // MOST_DOTS))
    dots = [_dot(p, colours[p.source]) for p in honest[::step]]
    marks = [_dot(p, colours[p.source], numbers.get(p.document, 0)) for p in suspects[:MOST_MARKS]]
    drawn = Counter(d.colour for d in (*dots, *marks))
    legend = [(i, source, drawn[i]) for i, source in enumerate(ranked[:COLOURS])]
    others = len(ranked) - COLOURS
    if others > 0:
        legend.append((COLOURS, f"{others} other sources", drawn[COLOURS]))
    left_out = len(places) - len(dots) - len(marks)
    return Map(legend, dots, marks, _labels(marks), left_out)


def spark(values: Sequence[tuple[str, float]]) -> Sparkline:
    """Lay a sparkline out; values are evenly spaced, oldest first, at least one."""
    numbers = [value for _, value in values]
    low, high = min(numbers), max(numbers)
    across = LINE_WIDTH - 2 * LINE_MARGIN
    tall = LINE_HEIGHT - 2 * LINE_MARGIN
    dots = []
    for i, (at, value) in enumerate(values):
        x = LINE_MARGIN + across * (i / (len(values) - 1) if len(values) > 1 else 1.0)
        share = (value - low) / (high - low) if high > low else 0.5
        dots.append((round(x, 1), round(LINE_MARGIN + tall * (1 - share), 1), at, value))
    points = " ".join(f"{x},{y}" for x, y, _, _ in dots)
    step = numbers[-1] - numbers[-2] if len(numbers) > 1 else None
    return Sparkline(points, dots, low, high, numbers[-1], step)


def _dot(place: MapPoint, colour: int, number: int = 0) -> Dot:
    x = MARGIN + (WIDTH - 2 * MARGIN) * min(max(place.x, 0.0), 1.0)
    y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * min(max(place.y, 0.0), 1.0)
    return Dot(round(x, 1), round(y, 1), place.document, place.source, colour, number)


def _labels(marks: Sequence[Dot]) -> list[Label]:
    """One label for marks that are near each other; what would lie on another is left out."""
    groups: list[list[Dot]] = []
    for mark in (m for m in marks if m.number):
        for group in groups:
            if abs(group[0].x - mark.x) < NEAR and abs(group[0].y - mark.y) < NEAR:
                group.append(mark)
                break
        else:
            groups.append([mark])
    labels: list[Label] = []
    for group in groups:
        if len(labels) == MOST_LABELS:
            break
        end = max(m.x for m in group) > WIDTH - 90
        x = min(m.x for m in group) - 10 if end else max(m.x for m in group) + 10
        y = sum(m.y for m in group) / len(group) + 4.5
        label = Label(round(x, 1), round(y, 1), _span([m.number for m in group]), end)
        if not any(_overlap(label, other) for other in labels):
            labels.append(label)
    return labels


def _overlap(one: Label, other: Label) -> bool:
    left, right = (
        (x - GLYPH * len(text) if end else x, x if end else x + GLYPH * len(text))
        for x, text, end in ((one.x, one.text, one.end), (other.x, other.text, other.end))
    )
    return abs(one.y - other.y) < TALL and left[0] < right[1] and right[0] < left[1]


def _span(numbers: Sequence[int]) -> str:
    """Such as `3`, `3-7` or `3 +4`."""
    distinct = sorted(set(numbers))
    if len(distinct) == 1:
        return str(distinct[0])
    if distinct[-1] - distinct[0] == len(distinct) - 1:
        return f"{distinct[0]}\N{EN DASH}{distinct[-1]}"
    return f"{distinct[0]} +{len(distinct) - 1}"
