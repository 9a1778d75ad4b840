"""`ragguard key`."""

from __future__ import annotations

from pathlib import Path

import click

from ragguard.cli.context import FOLDER, NEW_FOLDER, passphrase, passphrase_option, workspace_folder
from ragguard.cli.output import emit, format_option, say, short, table


@click.group()
def key() -> None:
    """Make and list key pairs."""


@key.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=NEW_FOLDER,
    help="Folder for the two files; else keys/ of the workspace, or the current folder.",
)
@passphrase_option
@click.pass_context
def generate(ctx: click.Context, name: str, output: Path | None, ask: bool) -> None:
    """Make an Ed25519 key pair for a person or service NAME.

    NAME.key is private (mode 0600, never overwritten; under a passphrase with --passphrase or
    RAGGUARD_PASSPHRASE_FILE), NAME.pub is public.

    \b
    Example:
      ragguard key generate alice
    """
    from ragguard.errors import KeyFileError, WorkspaceError
    from ragguard.trust import files, keys

    pair = keys.generate(name)
    if output is None:
        try:
            output = workspace_folder(ctx) / "keys"
        except WorkspaceError:
            output = Path()
    if (output / f"{name}.pub").exists():
        raise KeyFileError(
            f"{output / name}.pub: exists, and keys are never overwritten",
            hint="Choose another name, or move the old key away yourself.",
        )
    secret = passphrase(ask, confirm=True)
    files.write_private(output / f"{name}.key", keys.dump_private(pair, secret))
    files.replace_file(output / f"{name}.pub", keys.dump_public(pair.public))
    under = "under a passphrase" if secret is not None else "without a passphrase"
    private, public = short(output / f"{name}.key"), short(output / f"{name}.pub")
    say(f"{private}  private, 0600, {under}")
    say(f"{public}  public, key id {pair.public.keyid[:16]}…")
    say(f"next: ragguard trust add {public} --source SOURCE   (or --role reviewer)")


@key.command("list")
@click.argument("folder", type=FOLDER, required=False)
@format_option
@click.pass_context
def list_keys(ctx: click.Context, folder: Path | None, fmt: str) -> None:
    """List the key files of a folder (keys/ of the workspace).

    \b
    Example:
      ragguard key list
    """
    from ragguard.errors import KeyFileError
    from ragguard.trust import keys

    folder = folder or workspace_folder(ctx) / "keys"
    rows = []
    for path in sorted(folder.glob("*.pub")):
        private = path.with_suffix(".key")
        try:
            public_key = keys.load_public(path.read_bytes())
            kept = "no private key here"
            if private.exists():
                encrypted = keys.is_encrypted(private.read_bytes())
                kept = "private key, passphrase" if encrypted else "private key, no passphrase"
            rows.append(
                {
                    "file": path.name,
                    "principal": public_key.principal,
                    "keyid": public_key.keyid,
                    "private": kept,
                }
            )
        except (KeyFileError, OSError) as error:
            rows.append(
                {"file": path.name, "principal": "", "keyid": "", "private": f"unreadable: {error}"}
            )
    if fmt != "table":
        emit(fmt, rows)
        return
    table(
        ["file", "principal", "key id", "private half"],
        [[r["file"], r["principal"], r["keyid"][:16], r["private"]] for r in rows],
    )
