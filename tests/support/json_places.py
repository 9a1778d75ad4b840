"""Places in a JSON value, and the value with another one there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

Path = Sequence[str | int]


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a value, the whole of it first."""
    yield path
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        yield from places(child, (*path, key))


def holder(value: Any, path: Path) -> Any:
    """The object or list that holds a place."""
    for key in path[:-1]:
        value = value[key]
    return value


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy with something else at a place."""
    if not path:
        return new
    made = deepcopy(value)
    holder(made, path)[path[-1]] = new
    return made


def without(value: Any, path: Path) -> Any:
    """A copy without what is at a place."""
    made = deepcopy(value)
    del holder(made, path)[path[-1]]
    return made
