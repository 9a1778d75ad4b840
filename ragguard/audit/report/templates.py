"""Render templates of pages: strict, escaped, every text of strangers made plain before.

One place for how pages are made, so that none is made with less care than another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ragguard.text.safe_display import cut, line, plain

LONGEST = 400  # characters of a text


def environment(
    package: str, filters: Mapping[str, Callable[..., Any]], *others: tuple[str, str]
) -> Environment:
    """Make the environment of a package's templates.

    Args:
        package: Where they are, `name` or `name/folder`.
        filters: By name; `shown` and `number` are there.
        others: Templates of other packages: name and package.
    """
    elsewhere = dict(others)

    def read(name: str) -> str:
        return read_text(elsewhere.get(name, package), name)

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
        loader=FunctionLoader(read),
    )
    environment.filters |= {"shown": shown, "number": number, **filters}
    return environment


def read_text(package: str, name: str) -> str:
    """Return a file of a package, or of a folder in it."""
    package, _, folder = package.partition("/")
    return files(package).joinpath(*filter(None, (folder, name))).read_text("utf-8")


def shown(value: Any, most: int = LONGEST) -> str:
    """One plain line of at most so many characters."""
    return cut(line(str(value)), most)


def number(value: float | None) -> str:
    """Render a number with three significant digits, a whole one with all; a dash for none."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def _finalize(value: Any) -> Any:
    """Tell what a template puts out, made plain; markup of ours stays."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
