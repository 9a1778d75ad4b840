"""Metadata vote: a document whose label is not its neighbours' label.

A confidential text filed as public under another department sits, by its vector, among the texts it
came from. The neighbours vote, weighted by similarity; a key on which they disagree among
themselves convicts nobody. Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70
(2021), for judging a given label by the out-of-sample probability of the others (here a k-NN
estimate).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ragguard.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.metadata_vote]."""

    keys: tuple[str, ...] = ("department", "label", "access", "language")
    k: int = 12  # voters
    voters: int = 4  # fewer voters of other documents decide nothing
    sharpness: float = 12.0  # weight of a voter: exp(sharpness * (similarity - best similarity))


@check("metadata_vote", family="metadata", params=Params, unit=0.35)
def metadata_vote(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by the log-odds of its neighbours' value against its own, over the worst key.

    Returns:
        Raw scores, float64 (n,), log((p(top) + 0.05) / (p(own) + 0.05)) times how far neighbours
        agree on that key at all; at least 0.

    Raises:
        NotApplicable: No indexed neighbours to vote.
    """
    if not (view.reference.indices >= 0).any():
        raise NotApplicable("no indexed neighbours to vote")
    ballots = {key: _ballots(view, key, params) for key in params.keys}
    scores = np.zeros(view.n)
    found: dict[int, tuple[str, str, str, float]] = {}
    for key, votes in ballots.items():
        trust = _unanimity(votes)
        for row, shares in votes.items():
            value = _text(view.metadata[int(view.documents[row])].get(key))
            top = max(shares, key=lambda v: (shares[v], v))
            if not value or top == value:
                continue
            odds = trust * float(np.log((shares[top] + 0.05) / (shares.get(value, 0.0) + 0.05)))
            if odds > scores[row]:
                scores[row] = odds
                found[row] = (key, value, top, shares[top])

    def explain(row: int) -> Evidence:
        key, value, top, share = found.get(row, ("", "", "", 0.0))
        return Evidence(
            f"says {key} = {value!r}, but {share:.0%} of its nearest indexed neighbours, by "
            "weight, "
            f"say {top!r}",
            {"key": key, "value": value, "neighbours": top, "share": round(share, 3)},
        )

    return Signal(scores, explain)


def _ballots(view: CorpusView, key: str, params: Params) -> dict[int, dict[str, float]]:
    """For each judged row that has enough voters: share of the weight behind each value."""
    ballots: dict[int, dict[str, float]] = {}
    for row in range(view.n):
        voters = view.reference.indices[row, : params.k]
        voters = voters[voters >= 0]
        documents = [int(view.documents[v]) for v in voters]
        if len(set(documents)) < params.voters:
            continue
        close = view.reference.similarities[row, : len(voters)].astype(np.float64)
        weights = np.exp(params.sharpness * (close - close.max()))
        votes: dict[str, float] = defaultdict(float)
        for document, weight in zip(documents, weights, strict=True):
            value = _text(view.metadata[document].get(key))
            if value:
                votes[value] += float(weight)
        total = sum(votes.values())
        if total:
            ballots[row] = {value: weight / total for value, weight in votes.items()}
    return ballots


def _unanimity(ballots: dict[int, dict[str, float]]) -> float:
    """How far neighbours agree on a key at all, in [0, 1]: 0 where half of them dissent."""
    if not ballots:
        return 0.0
    mean = float(np.mean([max(shares.values()) for shares in ballots.values()]))
    return min(1.0, max(0.0, (mean - 0.5) / 0.4))


def _text(value: object) -> str:
    """A metadata value as comparable text; empty when absent."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(sorted(str(v) for v in value))
    return str(value)
