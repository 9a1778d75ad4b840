"""What commands share: opening the workspace, reading keys and passphrases, the clock."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ragguard.errors import KeyFileError, UsageError
from ragguard.trust.canonical import now as now  # commands take the clock from here

if TYPE_CHECKING:
    from ragguard.model import PublicKey
    from ragguard.trust.keys import KeyPair
    from ragguard.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])
LONGEST = timedelta(days=36_500)
passphrase_option = click.option(
    "--passphrase", "ask", is_flag=True, help="Ask for the passphrase of the key."
)
root_key_option = click.option(
    "--root-key",
    "root_keys",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="Private root key; default keys/root.key; repeated for a threshold.",
)


def workspace_folder(ctx: click.Context) -> Path:
    """The workspace folder the user means."""
    from ragguard.workspace import meant

    return meant.folder(ctx.obj.get("workspace"))


def open_workspace(ctx: click.Context, *, exclusive: bool = True) -> Workspace:
    """Open the workspace the user means."""
    from ragguard.workspace import Workspace, meant

    folder = workspace_folder(ctx)
    return Workspace(folder, meant.settings(folder), now(), exclusive=exclusive)


def passphrase(ask: bool, *, confirm: bool = False) -> bytes | None:
    """The passphrase: asked for, or from the file RAGGUARD_PASSPHRASE_FILE names."""
    if ask:
        text: str = click.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=confirm, err=True
        )
        return text.encode()
    named = os.environ.get("RAGGUARD_PASSPHRASE_FILE")
    if named:
        try:
            found = Path(named).read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise KeyFileError(f"RAGGUARD_PASSPHRASE_FILE {named}: {error.strerror}") from None
        if not found:
            raise KeyFileError(f"RAGGUARD_PASSPHRASE_FILE {named}: the file is empty")
        return found
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
    """Read a date or a UTC time."""
    for pattern in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise UsageError(f"{text!r}: expected a date such as 2026-12-31")
