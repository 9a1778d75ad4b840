"""Wheels for tests of installing: ragguard's own, and one that brings what is installed here.

The second holds one line, the path of this environment's packages. An empty environment that it is
installed into has every dependency at once and nothing is downloaded; ragguard itself is not on
that path (an editable install is not followed from there), so it must come from its wheel.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def build_wheel(folder: Path) -> Path:
    """Build ragguard's wheel from this tree, without a network."""
    made = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    (found,) = folder.glob("ragguard-*.whl")
    return found


def build_borrowed(folder: Path) -> Path:
    """Build a wheel that lends this environment's packages to another one."""
    path, home = folder / "borrowed-0-py3-none-any.whl", "borrowed-0.dist-info"
    files = {
        "borrowed.pth": sysconfig.get_path("purelib") + "\n",
        f"{home}/METADATA": "Metadata-Version: 2.1\nName: borrowed\nVersion: 0\n",
        f"{home}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{home}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{home}/RECORD"])
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path
