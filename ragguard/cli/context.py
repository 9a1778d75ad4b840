"""Open the workspace, read keys and passphrases, and ask the clock, for all commands."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ragguard.errors import KeyFileError, UsageError, WorkspaceError
from ragguard.trust.canonical import now as now  # commands take the clock from here

if TYPE_CHECKING:
    from ragguard.corpus.places import Place
    from ragguard.embed.remote import Endpoint
    from ragguard.integrations.telemetry import Telemetry
    from ragguard.model import PublicKey
    from ragguard.serving.answer import Answer
    from ragguard.serving.retriever import Retriever
    from ragguard.trust.keys import KeyPair
    from ragguard.trust.scope import Wanted
    from ragguard.workspace import Workspace

    _Type = click.ParamType[Path | str, str | os.PathLike[str]]
else:
    _Type = click.ParamType  # older ones are not generic

F = TypeVar("F", bound=Callable[..., Any])
# Paths of options and arguments: what must be there, and what is made.
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)
LONGEST = timedelta(days=36_500)
passphrase_option = click.option(
    "--passphrase", "ask", is_flag=True, help="Ask for the passphrase of the key."
)
root_key_option = click.option(
    "--root-key",
    "root_keys",
    type=OUTPUT,
    multiple=True,
    help="Private root key; default keys/root.key; repeated for a threshold.",
)


def options(*each: Callable[[Any], Any]) -> Callable[[F], F]:
    """Give a command several options, in this order."""

    def given(command: F) -> F:
        for option in reversed(each):
            command = option(command)
        return command

    return given


def reader_options(what: str) -> Callable[[F], F]:
    """Give a command the options by which what was published is asked.

    Args:
        what: What the command does with it, a sentence.
    """
    return options(
        click.option("--published", type=FOLDER, help=what),
        click.option("--log-key", help="With --published: verifier key of the log."),
        click.option(
            "--url", default="", help="With --published: the Qdrant server the index is on."
        ),
        click.option(
            "--max-age",
            default="24h",
            show_default=True,
            help="With --published: how old its snapshot may be.",
        ),
    )


def published_retriever(
    published: Path | None, log_key: str | None, url: str, max_age: str, scope: Wanted | None
) -> Retriever | None:
    """Open the retriever over what was published; `None` where nothing published is asked.

    The key of a server is read from RAGGUARD_STORE__API_KEY; the endpoint of a model that is behind
    one from RAGGUARD_MODEL__URL, its key from RAGGUARD_MODEL__API_KEY.

    Raises:
        UsageError: Options that do not go together.
    """
    if published is None:
        if log_key or url:
            raise UsageError("--log-key and --url go with --published")
        return None
    if log_key is None:
        raise UsageError(
            "--published goes with --log-key",
            hint="`ragguard log checkpoint -o FILE` names the key where the workspace is.",
        )
    from ragguard.serving.reader import open_reader

    return open_reader(
        published,
        log_key,
        scope=scope,
        url=url,
        api_key=os.environ.get("RAGGUARD_STORE__API_KEY", ""),
        max_age=duration(max_age),
        endpoint=_endpoint(),
        clock=now,
    )


def _endpoint() -> Endpoint | None:
    from ragguard.embed.remote import Endpoint

    url = os.environ.get("RAGGUARD_MODEL__URL", "")
    return Endpoint(url, os.environ.get("RAGGUARD_MODEL__API_KEY", "")) if url else None


def workspace_folder(ctx: click.Context) -> Path:
    """Return the workspace folder the user means."""
    from ragguard.workspace import meant

    return meant.folder(ctx.obj.get("workspace"))


class PlaceType(_Type):
    """A folder that is there, or the URL of another place."""

    name = "directory or url"

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path | str:
        """Return the folder, or the URL as it is."""
        if isinstance(value, str) and "://" in value:
            return value
        return Path(os.fsdecode(FOLDER.convert(value, param, ctx)))


ROOT = PlaceType()


def place(ctx: click.Context, root: Path | str | None) -> Path | Place | None:
    """Open what `--root` names: a folder as it is, another place by its URL."""
    if not isinstance(root, str):
        return root
    from ragguard.corpus.places import open_place
    from ragguard.workspace import meant

    loaders: tuple[str, ...] = ()
    with suppress(WorkspaceError):
        loaders = meant.settings(workspace_folder(ctx)).plugins.loaders
    return open_place(root, loaders)


def open_workspace(ctx: click.Context, *, exclusive: bool = True) -> Workspace:
    """Open the workspace the user means."""
    from ragguard.workspace import Workspace, meant

    folder = workspace_folder(ctx)
    opened = Workspace(folder, meant.settings(folder), now(), exclusive=exclusive)
    if sent := telemetry(ctx):
        sent.watch(folder, opened.settings)
    return opened


def telemetry(ctx: click.Context) -> Telemetry | None:
    """Tell what sends spans and metrics of the command, where somebody asked for them."""
    sender: Telemetry | None = ctx.obj.get("telemetry")
    return sender


def on_answer(ctx: click.Context) -> Callable[[Answer], None] | None:
    """Count answers of the guarded retriever, where somebody asked for metrics."""
    sent = telemetry(ctx)
    if sent is None:
        return None
    from prometheus_client import CollectorRegistry

    from ragguard.serving.metrics import RetrievalMetrics

    registry = CollectorRegistry()
    sent.add(registry)
    return RetrievalMetrics(registry)


def passphrase(ask: bool, *, confirm: bool = False) -> bytes | None:
    """Return the passphrase: asked for, or from the file RAGGUARD_PASSPHRASE_FILE names."""
    if ask:
        text: str = click.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=confirm, err=True
        )
        return text.encode()
    named = os.environ.get("RAGGUARD_PASSPHRASE_FILE")
    if named:
        try:
            secret = Path(named).read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise KeyFileError(f"RAGGUARD_PASSPHRASE_FILE {named}: {error.strerror}") from None
        if not secret:
            raise KeyFileError(f"RAGGUARD_PASSPHRASE_FILE {named}: the file is empty")
        return secret
    return None


def read_key(path: Path, ask: bool) -> KeyPair:
    """Read a private key file."""
    from ragguard.trust import key_files

    return key_files.read_key(path, lambda: passphrase(ask))


def read_root_keys(folder: Path, given: tuple[Path, ...], ask: bool) -> list[KeyPair]:
    """Read the private root keys that were given, or the workspace's own."""
    return [read_key(path, ask) for path in (given or (folder / "keys/root.key",))]


def read_public(path: Path) -> PublicKey:
    """Read a public key file."""
    from ragguard.trust import key_files

    return key_files.read_public(path)


def duration(text: str) -> timedelta:
    """Read `90d`, `12h`, `30m` or `2w`."""
    match = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"{text!r}: expected a length of time such as 90d, 12h or 2w")
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[match[2]]
    length = timedelta(**{unit: int(match[1])})
    if length > LONGEST:
        raise UsageError(f"{text!r}: expected at most {LONGEST.days} days")
    return length


def moment(text: str) -> datetime:
    """Read a date or a time, both UTC; `Z` may be left away."""
    for pattern in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise UsageError(
        f"{text!r}: expected a date such as 2026-12-31, or a UTC time such as 2026-12-31T09:30:00Z"
    )
