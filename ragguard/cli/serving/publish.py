"""`ragguard publish`."""

from __future__ import annotations

from pathlib import Path

import click

from ragguard.cli.context import NEW_FOLDER, open_workspace
from ragguard.cli.output import emit, format_option, say


@click.command()
@click.argument("folder", metavar="DIR", type=NEW_FOLDER)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="States to keep, the newest included.",
)
@format_option
@click.pass_context
def publish(ctx: click.Context, folder: Path, keep: int, fmt: str) -> None:
    """Publish a read-only copy of the serving index for readers in other processes.

    The copy goes into a folder of its own below DIR, then the alias in DIR/aliases.json moves to
    it. Beside it lies a signed snapshot of what is proved now: `ragguard search --published DIR`
    and `ragguard.serving.reader.open_reader` hold every passage against it. Publish at least as
    often as readers ask it to be fresh. Where the index is on a server only the snapshot is
    written, and readers ask the server.

    \b
    Example:
      ragguard publish /srv/corpus
    """
    from ragguard.serving.publish import publish as run

    with open_workspace(ctx) as workspace:
        copy = run(workspace, folder, keep=keep)
        key = workspace.log_key
    if fmt != "table":
        body = {
            "folder": str(copy.folder),
            "collection": copy.name,
            "alias": copy.alias,
            "commit": copy.commit,
            "points": copy.points,
            "bytes": copy.bytes,
            "fresh": copy.fresh,
            "removed": list(copy.removed),
            "proved": copy.proved,
            "refused": copy.refused,
            "planted": copy.planted,
            "log_key": key,
        }
        emit(fmt, body)
        return
    if copy.fresh:
        say(f"published commit {copy.commit}: {copy.points} points, {copy.bytes >> 20} MiB")
    else:
        say(f"commit {copy.commit} is published already")
    say(f"  {copy.alias!r} in {copy.folder} is {copy.name}")
    if copy.removed:
        say(f"  deleted {', '.join(copy.removed)}")
    say(f"  {copy.proved} of {copy.points} points are proved by its snapshot")
    if copy.refused:
        say(f"  {copy.refused} are not, and readers will refuse them: ragguard audit says why")
    if copy.planted:
        say(f"  {copy.planted} are planted (honeytokens): nobody is given them")
    say(f"next: ragguard search QUESTION --published {copy.folder} --log-key '{key}'")
