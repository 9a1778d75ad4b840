"""Suggest the floor below which the retriever gives no passage, from known answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragguard.canary.result import Run
from ragguard.errors import UsageError

LEAST = 20  # answered queries that a floor is set by


@dataclass(frozen=True)
class Floor:
    """A suggested floor.

    Attributes:
        floor: Cosine; the share asked for of the queries has an answer as near or nearer.
        queries: Queries with a relevant document among their answers.
        kept: Of them, those whose answer stays.
        unanswered: Queries without one: their nearest passage answers nothing.
        stopped: Of those, the ones that are below the floor.
    """

    floor: float
    queries: int
    kept: int
    unanswered: int
    stopped: int


def suggest_floor(run: Run, keep: float) -> Floor:
    """Find the highest floor that lets a share of the answered queries be answered.

    Args:
        run: Canary queries as the serving index ranks them.
        keep: The share, in (0, 1).

    Raises:
        UsageError: Too few queries have an answer.
    """
    near: list[float] = []
    unanswered: list[float] = []
    for query, ranking in run.rankings.items():
        if not ranking:
            continue
        grades = run.qrels.get(query, {})
        answers = [similarity for name, similarity in ranking if grades.get(name, 0) > 0]
        (near if answers else unanswered).append(ranking[0][1])
    if len(near) < LEAST:
        raise UsageError(
            f"{len(near)} queries of the canary set have a relevant document among their answers, "
            f"at least {LEAST} are needed",
            hint="`ragguard canary suggest` makes some, `ragguard canary add` adds them.",
        )
    floor = _below(sorted(near), keep)
    return Floor(
        floor,
        len(near),
        sum(value >= floor for value in near),
        len(unanswered),
        sum(value < floor for value in unanswered),
    )


def _below(ordered: Sequence[float], keep: float) -> float:
    """Return the value that a share of ascending values reaches, rounded down to two decimals."""
    lost = int(len(ordered) * (1 - keep))
    return max(0.0, int(100 * ordered[lost]) / 100)
