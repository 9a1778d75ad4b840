"""`ragguard quarantine hold`."""

from __future__ import annotations

import sys

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, say

MAX_NAMES = 1 << 24  # characters of names read from standard input


@click.command()
@click.argument("document", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why, in your words; stands in each case.")
@format_option
@click.pass_context
def hold(ctx: click.Context, document: tuple[str, ...], reason: str, fmt: str) -> int:
    """Take DOCUMENTs (source/document) out of the index, to wait for a reviewer.

    One commit, with a case each; `ragguard quarantine release --commit` undoes it. A single dash
    reads the names from standard input, one a line.

    \b
    Example:
      ragguard quarantine hold wiki/safe.md --reason "trace named it"
      ragguard quarantine hold - --reason "read, and wrong" < names.txt
    """
    from ragguard.quarantine.hold import hold as job

    names = list(document)
    if names == ["-"]:
        lines = sys.stdin.read(MAX_NAMES).splitlines()
        names = [name for text in lines if (name := text.strip())]
    with open_workspace(ctx) as workspace:
        held = job(workspace, names, reason)
    if fmt != "table":
        emit(fmt, {"commit": held.commit, "held": held.documents, "waiting": held.waiting})
        return 0
    for name in held.documents:
        say(f"held: {name}")
    for name in held.waiting:
        say(f"waits in quarantine already: {name}")
    if held.commit is not None:
        say(f"{len(held.documents)} out of the index, commit {held.commit}")
        say(f"to undo: ragguard quarantine release --commit {held.commit} --key FILE --reason TEXT")
    say("next: ragguard quarantine list")
    return 0
