"""Fuzz every target in turn: `python -m tests.fuzz.every SECONDS FOLDER [TARGET …]`.

Each target runs in a process of its own. Inputs that reach new code are kept in FOLDER/corpus, what
fails in FOLDER/failed; a line per target says how many inputs were tried. Exits with 1 when an
input failed: it breaks a promise, took more than 10 seconds or 2 GiB, or took the process down.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import TARGETS


def command(name: str, seconds: int, folder: Path) -> list[str]:
    """Command that fuzzes one target."""
    return [
        *(sys.executable, "-m", "tests.fuzz.run", name, str(seconds)),
        str(folder / "corpus" / name),
        f"-artifact_prefix={folder}/failed/{name}-",
        "-print_final_stats=1",
    ]


def main(arguments: Sequence[str]) -> int:
    """Fuzz, and tell."""
    seconds, folder, names = int(arguments[0]), Path(arguments[1]), arguments[2:]
    if unknown := [name for name in names if name not in TARGETS]:
        sys.exit(f"no such target: {', '.join(unknown)}. There are: {', '.join(TARGETS)}")
    (folder / "failed").mkdir(parents=True, exist_ok=True)
    failed = []
    for name in names or TARGETS:
        done = subprocess.run(
            command(name, seconds, folder), stderr=subprocess.PIPE, text=True, errors="replace"
        )
        tried = re.findall(r"^stat::number_of_executed_units:\s*(\d+)", done.stderr, re.MULTILINE)
        print(f"{name:20} {tried[-1] if tried else '?':>12} inputs", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stderr[-4000:], file=sys.stderr)
    print(f"failed: {', '.join(failed) or 'none'}; inputs in {folder}/failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
