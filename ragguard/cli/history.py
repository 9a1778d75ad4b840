"""`ragguard history`."""

from __future__ import annotations

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, say, table


@click.command()
@click.option(
    "-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="Commits."
)
@format_option
@click.pass_context
def history(ctx: click.Context, limit: int, fmt: str) -> None:
    """List what changed the corpus, newest first.

    \b
    Example:
      ragguard history -n 5
    """
    from ragguard.ledger import commits

    with open_workspace(ctx, exclusive=False) as workspace, workspace.ledger.reading() as conn:
        rows = commits.listed(conn, limit=limit)
    if fmt != "table":
        emit(
            fmt,
            [
                {
                    "commit": r.id,
                    "kind": r.kind,
                    "at": r.at,
                    "actor": r.actor,
                    "source": r.source,
                    "manifest": r.manifest or None,
                    "corpus": r.corpus,
                    "log_index": r.log_index,
                    "counts": dict(r.counts),
                }
                for r in rows
            ],
        )
        return
    if not rows:
        say("no commits yet")
        return
    table(
        ["commit", "at", "what", "who", "source", "documents"],
        [
            [
                str(r.id),
                r.at,
                r.kind,
                r.actor,
                r.source,
                ", ".join(f"{n} {k}" for k, n in sorted(r.counts.items()) if n),
            ]
            for r in rows
        ],
        right=frozenset({"commit"}),
    )
