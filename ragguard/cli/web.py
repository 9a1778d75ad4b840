"""`ragguard web`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragguard.cli import context
from ragguard.cli.context import passphrase_option, read_key, workspace_folder
from ragguard.cli.output import note, say

if TYPE_CHECKING:
    from ragguard.web.sessions import Visitor


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8710,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes any.",
)
@click.option(
    "--link",
    "names",
    multiple=True,
    help="A one-time link for this PRINCIPAL of the trust root; may be repeated.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sign decisions in this process with this private key, instead of in browsers.",
)
@passphrase_option
@click.pass_context
def web(ctx: click.Context, port: int, names: tuple[str, ...], key: Path | None, ask: bool) -> None:
    """Review the quarantine in a browser: a page on this machine, and the same as JSON.

    It prints a link that works once, and serves on the loopback address until it is interrupted.
    Reviewers open their key file in the page; the key never reaches this process, only what it
    signed. With --key whoever has a reviewer's session decides with that key. Needs the extra:
    pip install 'ragguard[web]'.

    \b
    Example:
      ragguard web
      ragguard web --link bob --link carol
    """
    from ragguard.errors import UsageError
    from ragguard.workspace import meant

    try:
        from ragguard.web.desk import Desk
        from ragguard.web.serve import serve
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise UsageError(
            f"the review page needs {error.name}, which is not installed",
            hint="pip install 'ragguard[web]'",
        ) from None

    folder = workspace_folder(ctx)
    signer = read_key(key, ask) if key is not None else None
    desk = Desk(folder, meant.settings(folder), context.now, signer)
    if signer is not None:
        note(
            f"decisions are signed in this process with the key of {signer.public.principal}: "
            "whoever has a reviewer's session decides in that name"
        )

    def tell(visitor: Visitor, link: str) -> None:
        who = f"{visitor.principal} ({visitor.role}): " if visitor.principal else ""
        say(f"{who}{link}")

    with suppress(KeyboardInterrupt):  # how it ends
        serve(desk, port, names, tell)
