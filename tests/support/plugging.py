"""Packages that offer plug-ins, installed into a folder as pip does: modules beside a dist-info."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/plug-ins.md"
KINDS = ("parsers", "checks", "encoders", "loaders")


def install(
    folder: Path,
    name: str,
    entries: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str],
    version: str = "1.2.0",
) -> Path:
    """Install a package.

    Args:
        folder: To be put on `sys.path`.
        name: Of the distribution.
        entries: Entry points by group, without `ragguard.`.
        modules: Source by path.
        version: Of the distribution.

    Returns:
        The folder.
    """
    for path, text in modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    there = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    there.mkdir(parents=True)
    (there / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for kind, points in entries.items():
        lines += [f"[ragguard.{kind}]", *(f"{n} = {where}" for n, where in points.items())]
    (there / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def install_example(folder: Path, version: str = "1.2.0") -> Path:
    """Install the package that the documentation shows, just as it stands there."""
    text = PAGE.read_text("utf-8")
    blocks = re.findall(r"```(toml|python)\n(.*?)```", text, re.DOTALL)
    project = next(tomllib.loads(b) for kind, b in blocks if kind == "toml" and "[project]" in b)
    points = project["project"]["entry-points"]
    modules = {"acme_ragguard/__init__.py": ""}
    for kind, block in blocks:
        if kind == "python" and (at := re.match(r'"""(acme_ragguard/\w+\.py): ', block)):
            modules[at[1]] = block
    entries = {kind: points[f"ragguard.{kind}"] for kind in KINDS if f"ragguard.{kind}" in points}
    return install(folder, project["project"]["name"], entries, modules, version)


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """Let this process find what is installed in a folder, and forget it again."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if name.startswith(("acme_ragguard", "broken_one")):
                del sys.modules[name]
