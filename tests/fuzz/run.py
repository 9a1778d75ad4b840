"""Fuzz a reader with atheris: `python -m tests.fuzz.run TARGET SECONDS [CORPUS] [-FLAG=VALUE …]`.

`pip install atheris` first; it is no dependency. Targets are those of `tests.fuzz.targets`; inputs
that reach new code are kept in CORPUS (tests/fuzz/corpus/TARGET if not given), and what fails is
written to `crash-…` in the current folder. An input fails that takes more than 10 seconds or 2 GiB.
Flags are libFuzzer's. `make fuzz` runs every target in turn.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run until the time is over or an input fails."""
    import atheris

    with atheris.instrument_imports(include=["ragguard", "pypdf", "tinycss2"]):
        from tests.fuzz.target import one
        from tests.fuzz.targets import TARGETS

    name, seconds, *rest = sys.argv[1:]
    target = TARGETS[name]
    flags = [word for word in rest if word.startswith("-")]
    kept = [word for word in rest if word not in flags]
    corpus = Path(kept[0] if kept else Path(__file__).parent / "corpus" / name)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    longest = max(20_000, *map(len, target.seeds))
    limits = (f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048")
    atheris.Setup(
        [sys.argv[0], str(corpus), *limits, f"-max_len={longest}", *flags],
        lambda data: one(target, data),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
