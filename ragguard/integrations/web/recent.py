"""Keep plans of commits looked at lately: reading a large one is slower than showing a case.

They are named by the SHA-256 of their bytes, so that one that is kept is the one that is meant.
"""

from __future__ import annotations

from ragguard.ledger.writer import Plan

MOST_POINTS = 50_000  # of all that are kept


class RecentPlans(dict[str, Plan]):
    """Plans by digest; the oldest go when all together have too many points."""

    def __setitem__(self, digest: str, plan: Plan) -> None:
        super().__setitem__(digest, plan)
        while len(self) > 1 and sum(_points(kept) for kept in self.values()) > MOST_POINTS:
            del self[next(iter(self))]


def _points(plan: Plan) -> int:
    return sum(map(len, plan.writes.values()))
