"""Measure how far a candidate's answers are from the serving index's, query by query.

The lines are in `cutover/gN.jsonl` of the workspace. They hold digests of queries, never their
text. A line that a kill cut short, or that is none of ours, is passed over. Each carries the sums
so far, so that a query need not read all that came before it.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO

import numpy as np

from ragguard.stats.compare_rankings import paired_bootstrap
from ragguard.trust.files import make_folder
from ragguard.workspace import Workspace

FOLDER = "cutover"
TAIL = 1 << 16  # bytes at the end in which the last whole line is looked for
LONGEST = 1 << 14  # bytes of a line; ours have some 400
MOST = 1 << 53
SHOWN = 5


@dataclass(frozen=True)
class TrialQuery:
    """A query of a trial.

    Attributes:
        at: Time, as text.
        trial: The log's entry that began it.
        query: SHA-256 of the query.
        answered: Generation that answered.
        ms: Milliseconds by generation (number as text).
        overlap: Share of documents in common among the first k; `None` where only one was asked.
        rbo: Rank-biased overlap of the documents, in [0, 1]; 1 is the same ranking.
        compared: Queries of the trial compared so far, this one included.
        total: Sum of 1 - rbo so far.
    """

    at: str
    trial: int
    query: str
    answered: int
    k: int
    ms: Mapping[str, float]
    overlap: float | None = None
    rbo: float | None = None
    compared: int = 0
    total: float = 0.0


@dataclass(frozen=True)
class TrialFigures:
    """What the lines of a trial add up to.

    Attributes:
        queries: Queries by the generation that answered them.
        compared: How many were asked of both.
        mean: Mean of 1 - rbo in [0, 1], higher is further apart; `None` where none was compared.
        low: 2.5 % quantile of the mean by bootstrap.
        high: 97.5 % quantile.
        worst: The queries furthest apart, each once.
        ms: Median milliseconds by generation.
    """

    queries: Mapping[int, int]
    compared: int
    mean: float | None
    low: float | None
    high: float | None
    worst: Sequence[TrialQuery]
    ms: Mapping[int, float]


def path_of(workspace: Workspace, generation: int) -> Path:
    """Tell where the lines about a generation are."""
    return workspace.folder / FOLDER / f"g{generation}.jsonl"


def record(path: Path, line: TrialQuery) -> TrialQuery:
    """Append a line, with the sums so far; returns it as it was written.

    Args:
        path: The file; made when missing.
        line: Without its sums.
    """
    make_folder(path.parent)
    before = _last(path, line.trial)
    compared, total = (before.compared, before.total) if before else (0, 0.0)
    if line.rbo is not None:
        compared, total = compared + 1, total + 1.0 - line.rbo
    written = TrialQuery(**{**asdict(line), "compared": compared, "total": round(total, 9)})
    text = json.dumps(asdict(written), separators=(",", ":")) + "\n"
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":  # a kill cut the last line short
                text = "\n" + text
        file.write(text.encode())
    return written


def lines(path: Path, trial: int) -> Iterator[TrialQuery]:
    """Return the lines of a trial, oldest first."""
    if path.is_file():
        with open(path, "rb") as file:
            for text in _short(file):
                if (line := _read(text)) is not None and line.trial == trial:
                    yield line


def _short(file: IO[bytes]) -> Iterator[str]:
    """Yield lines of a file, but for those that are longer than any of ours."""
    whole = True  # whether the next block begins a line
    while block := file.readline(LONGEST):
        ends = block.endswith(b"\n")
        if whole and (ends or len(block) < LONGEST):
            yield block.decode("utf-8", "replace")
        whole = ends


def figures(path: Path, trial: int) -> TrialFigures:
    """Tell what the lines of a trial add up to.

    Args:
        path: The file; it need not exist.
        trial: The log's entry that began it.
    """
    answered: Counter[int] = Counter()
    taken: dict[int, list[float]] = defaultdict(list)
    apart: list[float] = []
    by_query: dict[str, TrialQuery] = {}
    for line in lines(path, trial):
        answered[line.answered] += 1
        for name, ms in line.ms.items():
            taken[int(name)].append(ms)
        if line.rbo is not None:
            apart.append(1.0 - line.rbo)
            by_query[line.query] = line
    middle = {number: round(median(all_ms), 3) for number, all_ms in sorted(taken.items())}
    if not apart:
        return TrialFigures(dict(answered), 0, None, None, None, (), middle)
    values = np.array(apart, dtype=np.float64)
    interval = paired_bootstrap(np.zeros_like(values), values)
    worst = sorted(by_query.values(), key=lambda line: (line.rbo or 0.0, line.query))
    return TrialFigures(
        dict(answered),
        len(apart),
        interval.mean,
        interval.low,
        interval.high,
        [line for line in worst if line.rbo != 1.0][:SHOWN],
        middle,
    )


def _last(path: Path, trial: int) -> TrialQuery | None:
    """Return the last whole line of a trial."""
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - TAIL))
        texts = file.read().decode("utf-8", "replace").split("\n")
    for text in reversed(texts):
        if (line := _read(text)) is not None:
            return line if line.trial == trial else None
    return next(iter(deque(lines(path, trial), maxlen=1)), None)


def _read(text: str) -> TrialQuery | None:
    """Return a line; `None` where it is cut short or none of ours."""
    try:
        body = json.loads(text)
        line = TrialQuery(**body)
        shares = [x for x in (line.overlap, line.rbo) if x is not None]
        sound = (
            all(isinstance(x, str) for x in (line.at, line.query))
            and all(
                isinstance(x, int) and _is_number(x, MOST)
                for x in (line.trial, line.answered, line.k, line.compared)
            )
            and len(shares) in (0, 2)
            and all(_is_number(x, 1) for x in shares)
            and _is_number(line.total, line.compared)
            and all(
                name.isascii() and name.isdigit() and len(name) < 10 and _is_number(ms, MOST)
                for name, ms in line.ms.items()
            )
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return line if sound else None


def _is_number(number: object, most: float) -> bool:
    """Whether it is a number from 0 to another, and no truth value; NaN is in no such range."""
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= most
