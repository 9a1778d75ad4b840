"""`ragguard quarantine spot-check`: draw, list, show, say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ragguard.cli.context import FILE, open_workspace, passphrase_option, read_key
from ragguard.cli.output import emit, format_option, line, say, table

if TYPE_CHECKING:
    from ragguard.quarantine.spot_check import Draw, DrawItemView


@click.group("spot-check")
def spot_check() -> None:
    """Judge a random sample of served documents, blind among held ones.

    `quarantine stats` tells what follows: how much bad is in, how many honest documents are held.
    """


@spot_check.command()
@click.option(
    "--size",
    type=click.IntRange(1, 1_000),
    default=20,
    show_default=True,
    help="Served documents to draw, and as many held ones.",
)
@format_option
@click.pass_context
def draw(ctx: click.Context, size: int, fmt: str) -> None:
    """Draw a sample; for cron, once a week.

    The log has the digest of the seed since the draw before, so that nobody chooses the sample: the
    first call only commits to one.

    \b
    Example:
      ragguard quarantine spot-check draw --size 30
    """
    from ragguard.quarantine import spot_check as job

    with open_workspace(ctx) as workspace:
        drawn = job.draw(workspace, size)
    if fmt != "table":
        body: dict[str, int | None] = dict.fromkeys(("draw", "items", "admitted", "held"))
        if drawn is not None:
            items = len(drawn.items)
            body = {"draw": drawn.number, "items": items}
            body |= {"admitted": drawn.admitted, "held": drawn.held}
        emit(fmt, body)
        return
    if drawn is None:
        say("nothing is drawn yet: the log has the digest of the first seed now")
        say("next: the same again, once documents came in under it (in a week)")
        return
    say(
        f"draw {drawn.number}: {len(drawn.items)} documents, out of {drawn.admitted} that were let "
        f"in and {drawn.held} that are held"
    )
    say("next: ragguard quarantine spot-check list")


@spot_check.command("list")
@format_option
@click.pass_context
def list_items(ctx: click.Context, fmt: str) -> None:
    """List the documents of the last draw; which are served is told once a word was given.

    \b
    Example:
      ragguard quarantine spot-check list
    """
    from ragguard.quarantine import spot_check as job

    with open_workspace(ctx, exclusive=False) as workspace:
        drawn, rows = job.latest(workspace)
    if fmt != "table":
        emit(fmt, [job.body_of(row) for row in rows])
        return
    if drawn is None:
        say("nothing was drawn yet")
        say("next: ragguard quarantine spot-check draw")
        return
    _list(drawn, rows)


def _list(drawn: Draw, rows: list[DrawItemView]) -> None:
    from ragguard.quarantine.spot_check import body_of

    bodies = [body_of(row) for row in rows]
    table(
        ["item", "document", "word", "reviewer", "it was"],
        [
            [b["item"], b["document"], b["word"] or "", b["reviewer"] or "", b["was"] or ""]
            for b in bodies
        ],
    )
    left = [b["item"] for b in bodies if b["word"] is None]
    say(f"draw {drawn.number} of {drawn.at}: {len(left)} of {len(rows)} without a word")
    if left:
        say(f"next: ragguard quarantine spot-check show {left[0]}")


@spot_check.command()
@click.argument("item")
@format_option
@click.pass_context
def show(ctx: click.Context, item: str, fmt: str) -> None:
    """Show a document of the last draw, without what the checks say.

    \b
    Example:
      ragguard quarantine spot-check show 2-7
    """
    from ragguard.quarantine import spot_check as job

    with open_workspace(ctx, exclusive=False) as workspace:
        body = job.body_of(job.show(workspace, item))
    if fmt != "table":
        emit(fmt, body)
        return
    say(f"spot check {body['item']}: {line(body['document'])}")
    say(f"  signed by   {', '.join(map(line, body['signed_by'])) or 'nobody'}")
    say(f"  claims      {line('; '.join(f'{k} = {v}' for k, v in body['metadata'].items()))}")
    for text in body["texts"]:
        say()
        for row in text.splitlines():
            say(line(row))
    say()
    if body["word"] is None:
        say(f"next: ragguard quarantine spot-check say {item} good|bad --key FILE --reason TEXT")
    else:
        say(f"{line(body['reviewer'])} said {body['word']}; it was {body['was']}")


@spot_check.command("say")
@click.argument("item")
@click.argument("word", type=click.Choice(["good", "bad"]))
@click.option("--key", type=FILE, required=True, help="Private key of the reviewer.")
@click.option("--reason", required=True, help="Why, in your words; signed and logged.")
@passphrase_option
@format_option
@click.pass_context
def say_word(
    ctx: click.Context,
    item: str,
    word: Literal["good", "bad"],
    key: Path,
    reason: str,
    ask: bool,
    fmt: str,
) -> None:
    """Say whether a document of the last draw is good or bad.

    A bad one that is served is taken out at once and waits as a case; a good one that is held stays
    one. Then it is told which it was.

    \b
    Example:
      ragguard quarantine spot-check say 2-7 good --key bob.key --reason "ours"
    """
    from ragguard.quarantine import spot_check as job

    pair = read_key(key, ask)
    with open_workspace(ctx) as workspace:
        commit = job.say(workspace, item, word, pair, reason)
        body: dict[str, Any] = job.body_of(job.show(workspace, item, texts=False))
    if fmt != "table":
        emit(fmt, {**body, "commit": commit})
        return
    say(f"spot check {item}: {word}; it was {body['was']}")
    if commit is not None:
        say(f"taken out of the index, commit {commit}; it waits as a case")
    say("next: ragguard quarantine spot-check list")
