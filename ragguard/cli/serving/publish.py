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
        done = run(workspace, folder, keep=keep)
        key = workspace.log_key
    if fmt != "table":
        body = {
            "folder": str(done.folder),
            "collection": done.name,
            "alias": done.alias,
            "commit": done.commit,
            "points": done.points,
            "bytes": done.bytes,
            "fresh": done.fresh,
            "removed": list(done.removed),
            "proved": done.proved,
            "refused": done.refused,
            "planted": done.planted,
            "log_key": key,
        }
        emit(fmt, body)
        return
    if done.fresh:
        say(f"published commit {done.commit}: {done.points} points, {done.bytes >> 20} MiB")
    else:
        say(f"commit {done.commit} is published already")
    say(f"  {done.alias!r} in {done.folder} is {done.name}")
    if done.removed:
        say(f"  deleted {', '.join(done.removed)}")
    say(f"  {done.proved} of {done.points} points are proved by its snapshot")
    if done.refused:
        say(f"  {done.refused} are not, and readers will refuse them: ragguard audit says why")
    if done.planted:
        say(f"  {done.planted} are planted (honeytokens): nobody is given them")
    say(f"next: ragguard search QUESTION --published {done.folder} --log-key '{key}'")
