"""`ragguard mcp`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragguard.cli import context
from ragguard.cli.context import open_workspace, published_retriever, reader_options
from ragguard.cli.serving.search import read_scope

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer


@click.command()
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Whom to answer, or `everything`; may be repeated. With one there is only search.",
)
@reader_options("Serve what was published there instead of a workspace; there is only search.")
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
    published_one = published_retriever(published, log_key, url, max_age, scope)
    counted = context.on_answer(ctx)
    if published_one is not None:
        with published_one as retriever:
            _serve(ctx, make_server(retriever, on_answer=counted))
        return 0
    from ragguard.serving.retriever import open_retriever

    with open_workspace(ctx) as workspace:
        retriever = open_retriever(workspace, scope=scope)
        whole = workspace if scope in (None, "everything") else None
        _serve(ctx, make_server(retriever, whole, context.now, counted))
    return 0


def _serve(ctx: click.Context, server: MCPServer[None]) -> None:
    if sent := context.telemetry(ctx):
        sent.serve()
    server.run("stdio")
