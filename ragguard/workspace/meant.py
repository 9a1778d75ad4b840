"""Find the workspace a caller means and its settings, alike for command line and Python."""

from __future__ import annotations

import os
from pathlib import Path

from ragguard import config
from ragguard.config import Settings
from ragguard.errors import UsageError
from ragguard.workspace import find


def folder(named: str | os.PathLike[str] | None) -> Path:
    """Return the workspace folder a caller means.

    Args:
        named: The folder; else the one `RAGGUARD_WORKSPACE` names, else the one the current folder
            is in.

    Raises:
        UsageError: The folder named is no workspace.
        WorkspaceError: See `find`.
    """
    named = named or os.environ.get("RAGGUARD_WORKSPACE")
    if not named:
        return find(Path.cwd())
    start = Path(named)
    if not (start / config.FILE).exists():
        raise UsageError(
            f"{start}: not a ragguard workspace (no {config.FILE} in it)",
            hint=f"Make one with `ragguard init {start}`.",
        )
    return find(start, named=True)


def settings(folder: Path) -> Settings:
    """Read the settings of a workspace: `RAGGUARD_*` variables before its file.

    Raises:
        ConfigError: See `config.load`.
    """
    return config.load(folder / config.FILE, os.environ)
