"""Draw a lineage as SVG: columns from what is served on the left to the checkpoint.

Only places and lines are made here; the template writes the text, which the page escapes. Nothing
is told by the drawing alone: the list beside it has every step in words.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ragguard.lineage.graph import Edge, Lineage, Step

COLUMNS = {
    "passage": 0,
    "point": 0,
    "receipt": 1,
    "seals": 1,
    "stay": 2,
    "version": 3,
    "bytes": 4,
    "case": 4,
    "manifest": 4,
    "decision": 5,
    "signer": 5,
    "reviewer": 6,
    "commit": 6,
    "entry": 7,
    "checkpoint": 8,
}
WIDTH, HEIGHT = 116, 40  # of a step
ACROSS, DOWN = 22, 14  # between two
MOST = 6  # steps of a column; those that do not hold come first


@dataclass(frozen=True)
class Box:
    """A step with its place; `more` is how many of its kind are not drawn."""

    step: Step
    x: int
    y: int


@dataclass(frozen=True)
class Line:
    """An edge as a path."""

    edge: Edge
    path: str


@dataclass(frozen=True)
class Drawing:
    """A lineage with places.

    Attributes:
        left_out: Steps that are in the list alone.
    """

    width: int
    height: int
    box: tuple[int, int]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    left_out: int


def draw(lineage: Lineage) -> Drawing:
    """Give the steps of a lineage places."""
    columns: dict[int, list[Step]] = defaultdict(list)
    for step in lineage.steps:
        columns[COLUMNS[step.kind]].append(step)
    boxes: dict[str, Box] = {}
    tallest = max(min(MOST, len(steps)) for steps in columns.values())
    for place, column in enumerate(sorted(columns)):
        steps = columns[column]
        if len(steps) > MOST:
            first = sorted(
                steps, key=lambda step: (step.id != lineage.focus, step.state != "wrong")
            )
            chosen = {step.id for step in first[:MOST]}
            steps = [step for step in steps if step.id in chosen]
        top = (tallest - len(steps)) * (HEIGHT + DOWN) // 2
        for row, step in enumerate(steps):
            x = place * (WIDTH + ACROSS) + 2
            boxes[step.id] = Box(step, x, top + row * (HEIGHT + DOWN) + 2)
    drawn = [e for e in lineage.edges if e.source in boxes and e.target in boxes]
    lines = tuple(Line(e, _path(boxes[e.source], boxes[e.target])) for e in drawn)
    return Drawing(
        len(columns) * (WIDTH + ACROSS) - ACROSS + 4,
        tallest * (HEIGHT + DOWN) - DOWN + 4,
        (WIDTH, HEIGHT),
        tuple(boxes.values()),
        lines,
        len(lineage.steps) - len(boxes),
    )


def _path(box: Box, other: Box) -> str:
    """Return a curve from the side of one box to that of another."""
    if box.x == other.x:  # in one column: around the left
        x, y, end = box.x, box.y + HEIGHT // 2, other.y + HEIGHT // 2
        return f"M{x} {y}C{x - ACROSS} {y} {x - ACROSS} {end} {x} {end}"
    left, right = (box, other) if box.x < other.x else (other, box)
    x, y = left.x + WIDTH, left.y + HEIGHT // 2
    end_x, end_y = right.x, right.y + HEIGHT // 2
    bend = (end_x - x) // 2
    return f"M{x} {y}C{x + bend} {y} {end_x - bend} {end_y} {end_x} {end_y}"
