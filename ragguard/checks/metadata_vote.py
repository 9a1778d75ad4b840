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

    Also counted: the same document's metadata in the version it replaces.

    Returns:
        Raw scores, float64 (n,), log((p(top) + 0.05) / (p(own) + 0.05)), at least 0.

    Raises:
        NotApplicable: No indexed neighbours to vote.
    """
    if not (view.reference.indices >= 0).any():
        raise NotApplicable("no indexed neighbours to vote")
    scores = np.zeros(view.n)
    found: dict[int, tuple[str, str, str, float]] = {}
    for row in range(view.n):
        document = int(view.documents[row])
        own = view.metadata[document]
        voters = view.reference.indices[row, : params.k]
        voters = voters[voters >= 0]
        if len({int(view.documents[v]) for v in voters}) < params.voters:
            continue
        close = view.reference.similarities[row, : len(voters)].astype(np.float64)
        weights = np.exp(params.sharpness * (close - close.max()))
        for key in params.keys:
            value = _text(own.get(key))
            if not value:
                continue
            votes: dict[str, float] = defaultdict(float)
            for voter, weight in zip(voters, weights, strict=True):
                theirs = _text(view.metadata[int(view.documents[voter])].get(key))
                if theirs:
                    votes[theirs] += float(weight)
            total = sum(votes.values())
            if not total or len(votes) == 0:
                continue
            top = max(votes, key=lambda v: (votes[v], v))
            odds = float(
                np.log((votes[top] / total + 0.05) / (votes.get(value, 0.0) / total + 0.05))
            )
            if top != value and odds > scores[row]:
                scores[row] = odds
                found[row] = (key, value, top, votes[top] / total)

    def explain(row: int) -> Evidence:
        key, value, top, share = found.get(row, ("", "", "", 0.0))
        return Evidence(
            f"says {key} = {value!r}, but {share:.0%} of its nearest indexed neighbours, by "
            "weight, "
            f"say {top!r}",
            {"key": key, "value": value, "neighbours": top, "share": round(share, 3)},
        )

    return Signal(scores, explain)


def _text(value: object) -> str:
    """A metadata value as comparable text; empty when absent."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(sorted(str(v) for v in value))
    return str(value)
