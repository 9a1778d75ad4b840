"""Copies of workspaces, holes of files staying holes.

The engine makes files of 32 MiB that are mostly holes: a plain copy of a small workspace writes
300 MB of zeros.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ragguard.store.copies import copy_file


def copy_folder(source: Path, target: Path, *, into: bool = False) -> Path:
    """Copy a folder with its files' modes and times.

    Args:
        source: What to copy.
        target: Where to.
        into: It may be there already, without these files.

    Returns:
        The target.
    """
    return Path(shutil.copytree(source, target, copy_function=_copy_file, dirs_exist_ok=into))


def _copy_file(source: str, target: str) -> None:
    copy_file(Path(source), Path(target))
    shutil.copystat(source, target)
