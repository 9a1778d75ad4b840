"""Runs two ways of one thing in turns, each in a process of its own, for scripts that compare them.

Imported by `ingest_against_plain.py` and `langchain_index.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Run = dict[str, Any]


def take_turns(
    script: str, doc: str | None, sides: Mapping[str, Callable[[Path], Run]]
) -> tuple[int, dict[str, list[Run]]] | None:
    """Run the sides one after the other, as often as the command line asks.

    Args:
        script: The script's own file, which is started again for every run.
        doc: What the script says of itself.
        sides: What each way does with a corpus file, by name, in the order of turns.

    Returns:
        Documents of the corpus, and the runs of each side; `None` in a process that was started for
        one run, which is printed.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0, help="only the first N documents")
    parser.add_argument("--only", choices=sorted(sides))
    options = parser.parse_args()
    if options.only:
        result = sides[options.only](options.corpus)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**result, "peak_mb": round(peak)}))
        return None
    corpus: Path = options.corpus
    if not corpus.is_file():
        parser.error(f"{corpus}: no file; expected JSON lines with `id` and `text`")
    lines = corpus.read_text("utf-8").splitlines()[: options.limit or None]
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "corpus.jsonl"
        copy.write_text("\n".join(lines) + "\n", "utf-8")
        for number in range(options.rounds):
            for name, found in runs.items():
                found.append(_alone(script, name, copy))
                sys.stderr.write(f"{name}: round {number + 1} of {options.rounds}\n")
    return len(lines), runs


def _alone(script: str, side: str, corpus: Path) -> Run:
    """Run one side in a process of its own."""
    command = [sys.executable, script, str(corpus), "--only", side]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    result: Run = json.loads(done.stdout.splitlines()[-1])
    return result
