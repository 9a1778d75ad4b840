"""`ragguard init`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from ragguard.cli.context import NEW_FOLDER, now, passphrase, passphrase_option
from ragguard.cli.output import say

ROOT_LIFE = timedelta(days=365)


@click.command()
@click.argument("folder", type=NEW_FOLDER, default=".")
@passphrase_option
def init(folder: Path, ask: bool) -> None:
    """Make a workspace: settings, keys, trust root, ledger.

    \b
    Example:
      ragguard init w
    """
    from ragguard.errors import WorkspaceError
    from ragguard.model import Root
    from ragguard.trust import dsse, files, keys
    from ragguard.trust import root as roots
    from ragguard.workspace import create

    if (folder / "ragguard.toml").exists():
        raise WorkspaceError(f"{folder}: is a workspace already", hint="Choose another folder.")
    moment = now()
    key = keys.generate("root")
    root = Root(
        version=1,
        issued=moment,
        expires=moment + ROOT_LIFE,
        keys={key.public.keyid: key.public},
        root_keyids=(key.public.keyid,),
        root_threshold=1,
        reviewers=(),
        sources={},
        revoked={},
    )
    envelope = dsse.sign(
        roots.dump_root(root), roots.ROOT_TYPE, [(key.public.keyid, key.signing_key)]
    )
    private = keys.dump_private(key, passphrase(ask, confirm=True))
    files.make_folder(folder)
    files.write_private(folder / "keys/root.key", private)
    files.replace_file(folder / "keys/root.pub", keys.dump_public(key.public))
    create.create(folder, key, envelope, moment)
    say(f"workspace made in {folder}")
    say("  ragguard.toml        settings; every default stands in it")
    say(
        "  keys/root.key        signs the trust root: move it offline, it is needed to change trust"
    )
    say(
        "  keys/checkpoint.key  signs the log;  keys/seal.key  seals the index: keep both here, "
        "0600"
    )
    say(f"  trust/root.json      trust root, version 1, expires {root.expires:%Y-%m-%d}")
    where = "" if str(folder) == "." else f"cd {folder} && "
    say(f"next: {where}ragguard key generate alice")
