"""Create a workspace: keys of the service, the first trust root, an empty ledger, its settings.

`ragguard.toml` is written last: a folder without it is no workspace, whatever was left in it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ragguard import config
from ragguard.config import Settings
from ragguard.errors import WorkspaceError
from ragguard.ledger import commits
from ragguard.ledger.tables import Ledger, set_meta
from ragguard.ledger.writer import append_entry
from ragguard.trust import dsse, keys, root
from ragguard.trust.canonical import digest_bytes, format_time
from ragguard.trust.files import make_folder, replace_file, write_private

ROOT_FILE = "trust/root.json"


def create(
    folder: Path,
    root_key: keys.KeyPair,
    envelope: bytes,
    now: datetime,
    *,
    settings: str = config.TEMPLATE,
) -> None:
    """Make a workspace.

    Args:
        folder: Made when missing; it must not be a workspace already.
        root_key: Signed the first trust root.
        envelope: The first trust root.
        settings: Text of its ragguard.toml.

    Raises:
        WorkspaceError: It is a workspace already.
    """
    root.verify_root(envelope, None, keys={root_key.public.keyid: root_key.public})
    found(folder, envelope, now, settings=settings)


def found(
    folder: Path,
    envelope: bytes,
    now: datetime,
    *,
    acts: Sequence[Mapping[str, Any]] = (),
    settings: str = config.TEMPLATE,
) -> None:
    """Make a workspace on a trust root that the caller has verified; no root key is needed.

    Args:
        folder: Made when missing; it must not be a workspace already.
        envelope: The first trust root.
        acts: What the log says right after its first entry.
        settings: Text of its ragguard.toml.

    Raises:
        WorkspaceError: It is a workspace already.
    """
    if (folder / config.FILE).exists():
        raise WorkspaceError(
            f"{folder}: is a workspace already", hint="Work in it, or choose another folder."
        )
    make_folder(folder)
    checkpoint = keys.generate("checkpoint")
    write_private(folder / "keys/checkpoint.key", keys.dump_private(checkpoint, None))
    replace_file(folder / "keys/checkpoint.pub", keys.dump_public(checkpoint.public))
    write_private(folder / "keys/seal.key", secrets.token_hex(32).encode() + b"\n")
    replace_file(folder / ROOT_FILE, envelope)
    origin = f"ragguard.local/{hashlib.sha256(checkpoint.public.public).hexdigest()[:16]}"
    ledger = Ledger(ledger_url(folder, Settings().ledger.url), create=True)
    try:
        with ledger.writing() as conn:
            set_meta(conn, "origin", origin)
            commits.add_root(conn, 1, envelope, digest_bytes(envelope))
            first = {"act": "init", "at": format_time(now), "trust_root": digest_bytes(envelope)}
            for body in (first, *acts):
                append_entry(
                    conn,
                    body,
                    origin,
                    lambda text: dsse.sign_note(text, origin, checkpoint.signing_key),
                )
    finally:
        ledger.close()
    replace_file(folder / config.FILE, settings.encode())


def ledger_url(folder: Path, url: str) -> str:
    """Return a ledger's URL; a relative SQLite path is one below the workspace."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith("sqlite:////"):
        return f"{prefix}{folder.absolute() / url.removeprefix(prefix)}"
    return url
