"""`ragguard web`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragguard.cli import context
from ragguard.cli.context import FILE, duration, passphrase_option, read_key, workspace_folder
from ragguard.cli.output import emit, format_option, note, say, table

if TYPE_CHECKING:
    from ragguard.integrations.web.desk import Desk
    from ragguard.integrations.web.sessions import Visitor
    from ragguard.integrations.web.tokens import Row

ROLES = ("viewer", "reviewer", "operator")


@click.group(invoke_without_command=True)
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
    type=FILE,
    help="Sign decisions in this process with this private key, instead of in browsers.",
)
@click.option("--log-json", is_flag=True, help="A JSON line for each request, on standard error.")
@passphrase_option
@click.pass_context
def web(
    ctx: click.Context,
    port: int,
    names: tuple[str, ...],
    key: Path | None,
    log_json: bool,
    ask: bool,
) -> None:
    """Review the quarantine in a browser: a page on this machine, and the same as JSON.

    It prints a link that works once, and serves on the loopback address until it is interrupted.
    Reviewers open their key file in the page; the key never reaches this process, only what it
    signed. With --key whoever has a reviewer's session decides with that key. Operators start an
    ingest that [web.ingest] names, or an audit, and watch it. Needs the extra:
    pip install 'ragguard[web]'.

    \b
    Example:
      ragguard web
      ragguard web --link bob --link carol
    """
    if ctx.invoked_subcommand is not None:
        return
    desk = _desk(ctx, key, ask)
    from ragguard.integrations.web.serve import serve

    if desk.signer is not None:
        note(
            f"decisions are signed in this process with the key of {desk.signer.public.principal}: "
            "whoever has a reviewer's session decides in that name"
        )

    def tell(visitor: Visitor, link: str) -> None:
        who = f"{visitor.principal} ({visitor.role}): " if visitor.principal else ""
        say(f"{who}{link}")

    if sent := context.telemetry(ctx):
        sent.watch(desk.folder, desk.settings)
        sent.serve()
    with suppress(KeyboardInterrupt):  # how it ends
        serve(desk, port, names, tell, _to_stderr if log_json else None)


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


def _desk(ctx: click.Context, key: Path | None = None, ask: bool = False) -> Desk:
    """Return the workspace as the page has it.

    Raises:
        UsageError: The extra is not installed.
    """
    from ragguard.errors import UsageError
    from ragguard.workspace import meant

    try:
        from ragguard.integrations.web import serve
        from ragguard.integrations.web.desk import Desk
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise UsageError(
            f"the review page needs {error.name}, which is not installed",
            hint="pip install 'ragguard[web]'",
        ) from None
    _ = serve
    folder = workspace_folder(ctx)
    signer = read_key(key, ask) if key is not None else None
    return Desk(folder, meant.settings(folder), context.now, signer)


@web.group()
def token() -> None:
    """Tokens by which programs ask the API and /metrics, instead of a browser's link.

    \b
    Example:
      ragguard web token add grafana
      ragguard web token add acme-desk --scope tenant=acme --expires 30d
      ragguard web token list
      ragguard web token revoke grafana
    """


@token.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="viewer",
    show_default=True,
    help="What its holder may do.",
)
@click.option(
    "--scope",
    "scope",
    multiple=True,
    metavar="KEY=VALUE",
    help="Show documents of this access scope only; may be repeated. Viewers only.",
)
@click.option("--expires", default="90d", show_default=True, help="How long it is good.")
@format_option
@click.pass_context
def add(
    ctx: click.Context, name: str, role: str, scope: tuple[str, ...], expires: str, fmt: str
) -> None:
    """Make a token and print it, once; only its digest is kept.

    A viewer looks, an operator also starts jobs and revokes tokens, a reviewer sends signed
    decisions: a reviewer's NAME is a principal of the trust root.

    \b
    Example:
      ragguard web token add bob --role reviewer
    """
    from typing import cast

    from ragguard.integrations.web.sessions import Role

    desk = _desk(ctx)
    issued = desk.add_token(name, cast(Role, role), _values(scope), duration(expires))
    if fmt != "table":
        emit(fmt, {**_body(issued.row), "token": issued.token})
        return
    note(f"{issued.row.id}: {role} {name}, good until {issued.row.expires}. It is shown only now:")
    say(issued.token)


@token.command("list")
@format_option
@click.pass_context
def list_tokens(ctx: click.Context, fmt: str) -> None:
    """List tokens: who, in which role, of which scope, until when.

    \b
    Example:
      ragguard web token list --format json
    """
    desk = _desk(ctx)
    rows, now = desk.tokens.rows(), desk.now()
    if fmt != "table":
        emit(fmt, [{**_body(row), "over": row.is_over(now)} for row in rows])
        return
    table(
        ["id", "name", "role", "scope", "until"],
        [
            [
                row.id,
                row.name,
                row.role,
                "all documents" if row.scope is None else _spelt(row.scope),
                f"{row.expires} (over)" if row.is_over(now) else row.expires,
            ]
            for row in rows
        ],
    )


@token.command()
@click.argument("named", metavar="ID|NAME")
@click.pass_context
def revoke(ctx: click.Context, named: str) -> None:
    """Revoke the token of an id, or all of a name; a server that runs refuses it from then on.

    \b
    Example:
      ragguard web token revoke grafana
    """
    for row in _desk(ctx).tokens.revoke(named):
        say(f"revoked {row.id}: {row.role} {row.name}")


def _values(scope: tuple[str, ...]) -> dict[str, list[str]] | None:
    from ragguard.errors import UsageError

    values: dict[str, list[str]] = {}
    for given in scope:
        key, separator, value = given.partition("=")
        if not separator:
            raise UsageError(f"--scope {given[:60]!r}: expected KEY=VALUE")
        values.setdefault(key, []).append(value)
    return values if scope else None


def _spelt(scope: dict[str, list[str]]) -> str:
    return ", ".join(f"{key}={value}" for key, values in scope.items() for value in values)


def _body(row: Row) -> dict[str, object]:
    """Return a token as JSON, without its digest."""
    return {k: v for k, v in row.model_dump().items() if k != "sha256"}
