"""Fuzz readers with atheris: `python -m tests.fuzz.run SECONDS FOLDER [TARGET …] [-FLAG=VALUE …]`.

`pip install atheris` first; it is no dependency. Targets are those of `tests.fuzz.targets`, each in
a process of its own for SECONDS; all where none is named. Inputs that reach new code are kept in
FOLDER/corpus/TARGET, inputs that fail in FOLDER/failed, what the fuzzer says in FOLDER/log. Flags
are libFuzzer's. Exits with 1 when an input failed: a target raised what it may not, took more than
10 seconds or 2 GiB, or took the process down. `make fuzz` runs this.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PARTS = ("corpus", "failed", "log")  # of the folder


def read_targets() -> tuple[str, ...]:
    """Import what is fuzzed, so that the fuzzer sees which code an input reaches; its names."""
    import atheris

    with atheris.instrument_imports(include=["ragguard", "pypdf", "tinycss2"]):
        from tests.fuzz.targets import TARGETS

    return tuple(TARGETS)


def fuzz(name: str, seconds: int, folder: Path, flags: Sequence[str]) -> None:
    """Run until the time is over or an input fails; the process ends either way."""
    import atheris

    from tests.fuzz.target import one
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    for seed in target.seeds:
        one(target, seed)  # what is read once and kept takes no input's time
    corpus = folder / "corpus" / name
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    longest = max(20_000, *map(len, target.seeds))
    limits = (f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048")
    told = (f"-artifact_prefix={folder}/failed/{name}-", "-print_final_stats=1")
    words = [sys.argv[0], str(corpus), *limits, *told, f"-max_len={longest}", *flags]
    atheris.Setup(words, lambda data: one(target, data))
    atheris.Fuzz()


def in_turn(name: str, seconds: int, folder: Path, flags: Sequence[str]) -> bool:
    """Fuzz one target in a process of its own; whether nothing failed."""
    log = folder / "log" / f"{name}.txt"
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(told, 1), os.dup2(told, 2)
        fuzz(name, seconds, folder, flags)
        sys.exit(1)  # unwound to the end: libFuzzer keeps the input as the process exits
    _, status, used = os.wait4(pid, 0)
    said = log.read_text("utf-8", "replace")
    tried = re.findall(r"^stat::number_of_executed_units:\s*(\d+)", said, re.MULTILINE)
    reached = re.findall(r" cov: (\d+) ft: (\d+)", said)
    print(
        f"{name:20} {tried[-1] if tried else '?':>10} inputs, "
        f"{time.monotonic() - began:5.0f} s, {used.ru_utime + used.ru_stime:5.0f} s of processor, "
        f"{'/'.join(reached[-1]) if reached else '?':>10} edges/features"
        + (f"  FAILED, status {status}, see {log}" if status else ""),
        flush=True,
    )
    return not status


def main(arguments: Sequence[str]) -> int:
    """Fuzz, and tell."""
    words = [word for word in arguments if not word.startswith("-")]
    flags = [word for word in arguments if word.startswith("-")]
    seconds, folder, wanted = int(words[0]), Path(words[1]).absolute(), words[2:]
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    known = read_targets()
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"no such target: {', '.join(unknown)}. There are: {', '.join(known)}")
    good = [in_turn(name, seconds, folder, flags) for name in wanted or known]
    print(f"{good.count(False)} of {len(good)} targets failed; inputs that did: {folder}/failed")
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
