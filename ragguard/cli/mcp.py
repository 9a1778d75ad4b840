"""`ragguard mcp`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ragguard.cli import context
from ragguard.cli.context import duration, open_workspace
from ragguard.cli.search import read_scope
from ragguard.errors import UsageError


@click.command()
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Whom to answer, or `everything`; may be repeated. With one there is only search.",
)
@click.option(
    "--published",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Serve what was published there instead of a workspace; there is only search.",
)
@click.option("--log-key", help="With --published: verifier key of the log.")
@click.option("--url", default="", help="With --published: the Qdrant server the index is on.")
@click.option(
    "--max-age",
    default="24h",
    show_default=True,
    help="With --published: how old its snapshot may be.",
)
@click.pass_context
def mcp(
    ctx: click.Context,
    scopes: tuple[str, ...],
    published: Path | None,
    log_key: str | None,
    url: str,
    max_age: str,
) -> int:
    """Serve search, trace and what waits to a model's client (MCP), read-only.

    It speaks the Model Context Protocol over standard input and output until the client hangs up,
    and holds the workspace all the while; with --published it holds nothing. Passages are given as
    the guarded retriever gives them: proved, or not at all. No tool changes anything, but where
    `[retriever] hand_over` is on, a question without an answer becomes a case.

    \b
    Example:
      ragguard mcp
      ragguard mcp --published /srv/corpus --log-key "$(cat log.vkey)"
    """
    from ragguard.integrations.mcp import make_server

    scope = read_scope(scopes)
    if published is not None:
        if log_key is None:
            raise UsageError(
                "--published goes with --log-key",
                hint="`ragguard log checkpoint -o FILE` names the key where the workspace is.",
            )
        from ragguard.serving.reader import open_reader

        key = os.environ.get("RAGGUARD_STORE__API_KEY", "")
        with open_reader(
            published,
            log_key,
            scope=scope,
            url=url,
            api_key=key,
            max_age=duration(max_age),
            clock=context.now,
        ) as retriever:
            make_server(retriever).run("stdio")
        return 0
    if log_key or url:
        raise UsageError("--log-key and --url go with --published")
    from ragguard.serving.retriever import open_retriever

    with open_workspace(ctx) as workspace:
        retriever = open_retriever(workspace, scope=scope)
        whole = workspace if scope in (None, "everything") else None
        make_server(retriever, whole, context.now).run("stdio")
    return 0
