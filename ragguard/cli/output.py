"""Print to the terminal. Document text is hostile: it passes `plain` before it is shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from ragguard.text.safe_display import line as line
from ragguard.text.safe_display import plain as plain

F = TypeVar("F", bound=Callable[..., Any])
NARROW = 24  # columns of a table up to this width are never shortened
# How to stop what is being drawn on the terminal, bars of progress: done before anything is said.
drawing: list[Callable[[], None]] = []


def _formats(*names: str) -> Callable[[F], F]:
    return click.option(
        "--format",
        "fmt",
        type=click.Choice(names),
        default="table",
        show_default=True,
        help="Output format.",
    )


format_option = _formats("table", "json", "jsonl")
format_of_one_option = _formats("table", "json")  # of commands whose result is no list
quiet_option = click.option("--quiet", is_flag=True, help="No progress on standard error.")


def short(path: Path) -> str:
    """Return a path as a person would type it: relative to here if that is shorter."""
    relative = os.path.relpath(path)
    return min(relative, str(path), key=len)


def emit(fmt: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print JSON: one object, or a line for each of a list."""
    _still()
    if fmt == "jsonl":
        rows = body if isinstance(body, Sequence) else [body]
        for row in rows:
            click.echo(json.dumps(row))
    else:
        click.echo(json.dumps(body, indent=2))


def _still() -> None:
    for stop in tuple(drawing):
        stop()


class Result(Protocol):
    """What a job says of itself."""

    @property
    def exit_code(self) -> int:
        """See docs/cli.md."""

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object."""


def answer(
    fmt: str,
    made: Result,
    show: Callable[[], None],
    *,
    rows: str = "",
    exit_zero: bool = False,
) -> int:
    """Print what a job did; returns the exit code of the command.

    Args:
        fmt: `table`, `json` or `jsonl`.
        show: Tells it to a person.
        rows: Key of what `jsonl` prints line by line instead of the whole.
        exit_zero: Exit 0 where it would be 1.
    """
    if fmt == "table":
        show()
    else:
        body = made.as_dict()
        emit(fmt, body[rows] if rows and fmt == "jsonl" else body)
    return 0 if exit_zero and made.exit_code == 1 else made.exit_code


def say(text: str = "") -> None:
    """Print a line of prose for a person, on standard output."""
    _still()
    click.echo(plain(text))


def note(text: str) -> None:
    """Print a line about the run, on standard error."""
    _still()
    click.echo(plain(text), err=True)


def say_rest(left: int) -> None:
    """Say how many rows of a list were left out, if any, and where they are."""
    if left > 0:
        say(f"… and {left} more (--format json lists all)")


def percent(share: float, digits: int = 1) -> str:
    """Return a share in percent, without the sign."""
    return f"{100 * share:.{digits}f}"


def console(stderr: bool = False) -> Any:
    """Return a rich console; 100 columns and no colour when the output is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 100
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[str] = frozenset()
) -> None:
    """Print a table that fits the terminal: narrow columns keep their width, wide ones wrap.

    A name as long as a screen, which whoever writes documents may choose, takes no room from case
    numbers, verdicts and reasons.

    Args:
        rows: Cells; they are made plain here.
        right: Headings of columns set to the right.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    shown = [[line(cell) for cell in row] for row in rows]
    for number, name in enumerate(columns):
        widest = max([cell_len(name), *(cell_len(row[number]) for row in shown)])
        grid.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=widest <= NARROW and number < len(columns) - 1,
            overflow="fold",
        )
    for row in shown:
        grid.add_row(*(Text(cell) for cell in row))
    _still()
    console().print(grid)
