"""Predict documents' labels from their neighbours and from their vectors.

Two estimates of the same thing. The nearest documents vote, weighted by similarity (k-NN): right
where a subject is small. A ridge regression of the values on the vectors (least-squares classifier;
Hoerl, Kennard, "Ridge Regression", Technometrics 12 (1970)) looks at all of them at once: right
where a border runs between subjects and a document's nearest ones stand on both sides of it.

Whose label is not what its neighbours say, and how a set of vectors lies as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.model import Bools, Doubles, Floats, Ints


@dataclass(frozen=True)
class Ballots:
    """Votes of neighbours on documents, one row a pair.

    Attributes:
        documents: int64 (p,), the document voted on.
        voters: int64 (p,), a document.
        weights: float64 (p,) in (0, 1].
    """

    documents: Ints
    voters: Ints
    weights: Doubles


def ballots(owners: Ints, voters: Ints, similarities: Floats, k: int, sharpness: float) -> Ballots:
    """List the nearest documents of each document: each once, by its nearest chunk.

    Args:
        owners: int64 (p,), document of a chunk.
        voters: int64 (p,), document of a neighbour of that chunk.
        similarities: float32 (p,), cosine.
        k: Voters at most.
        sharpness: A voter weighs exp(sharpness * (similarity - best similarity)).
    """
    close = similarities.astype(np.float64)
    order = np.lexsort((voters, -close, owners))
    mine, others, close = owners[order], voters[order], close[order]
    pairs = mine * (int(others.max(initial=0)) + 1) + others
    _, once = np.unique(pairs, return_index=True)
    once.sort()
    mine, others, close = mine[once], others[once], close[once]
    starts = np.flatnonzero(np.diff(mine, prepend=-1))
    sizes = np.diff(np.append(starts, len(mine)))
    kept = np.arange(len(mine)) - np.repeat(starts, sizes) < k
    weights = np.exp(sharpness * (close - np.repeat(close[starts], sizes)))
    return Ballots(mine[kept], others[kept], weights[kept])


def shares(ballots: Ballots, codes: Ints, count: int, values: int) -> tuple[Doubles, Ints]:
    """Return the share of the weight behind each value.

    Args:
        ballots: The ballots.
        codes: int64, value by document, -1 where it has none.
        count: Documents voted on are numbered below this.
        values: Number of values.

    Returns:
        float64 (count, values), rows sum to 1 or are 0; int64 (count,), voters that have a value.
    """
    voting = codes[ballots.voters] >= 0
    documents = ballots.documents[voting]
    cells = documents * values + codes[ballots.voters[voting]]
    sums = np.bincount(cells, ballots.weights[voting], minlength=count * values)
    sums = sums.reshape(count, values)
    total = sums.sum(axis=1, keepdims=True)
    parts = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
    return parts, np.bincount(documents, minlength=count)


class Ridge:
    """Ridge regressions on the same vectors, one factorisation for all keys.

    Args:
        vectors: float32 (m, d), unit length.
        penalty: Added to the diagonal; in units of one vector.
    """

    def __init__(self, vectors: Floats, penalty: float) -> None:
        self._mean = vectors.mean(axis=0)
        self._vectors = vectors - self._mean
        gram = (self._vectors.T @ self._vectors).astype(np.float64)
        self._inverse = np.linalg.inv(gram + penalty * np.eye(gram.shape[0]))

    def predict(self, codes: Ints, values: int, vectors: Floats) -> Doubles:
        """Predict how much each value is expected of vectors.

        Args:
            codes: int64 (m,), value of each vector fitted on; -1 for none.
            values: Number of values.
            vectors: float32 (n, d).

        Returns:
            float64 (n, values), about 1 for the value, about 0 for the others.
        """
        there = codes >= 0
        targets = np.zeros((len(codes), values))
        targets[np.flatnonzero(there), codes[there]] = 1.0
        base = targets[there].mean(axis=0) if there.any() else np.zeros(values)
        targets[there] -= base
        weights = self._inverse @ (self._vectors.T @ targets)
        return np.asarray((vectors - self._mean) @ weights + base, dtype=np.float64)


def surprise(odds: Doubles, values: Ints, known_odds: Doubles, known_values: Ints) -> Doubles:
    """Return -log of how often a known document with that value has such odds against it.

    Each value is held against its own kind, and against all by four more that stand for them, for
    some values are always at odds with their neighbours (confident learning's class thresholds).

    Args:
        odds: float64 (n,), higher is worse.
        values: int64 (n,).
        known_odds: float64 (m,) of documents taken to be right.
        known_values: int64 (m,).

    Returns:
        float64 (n,), at least 0; higher is rarer.
    """
    ordered = np.sort(known_odds)
    every = (1.0 + len(ordered) - np.searchsorted(ordered, odds)) / (len(ordered) + 1.0)
    result = every.copy()
    for value in np.unique(values).tolist():
        mine = values == value
        same = np.sort(known_odds[known_values == value])
        above = len(same) - np.searchsorted(same, odds[mine])
        result[mine] = (above + 4.0 * every[mine]) / (len(same) + 4.0)
    return np.asarray(-np.log(result), dtype=np.float64)


def agreement(right: Bools, values: Ints) -> float:
    """Measure how far neighbours know a key beyond chance (Cohen's kappa, the values' own shares).

    Args:
        right: bool (m,), whether the vote on a document is its own value.
        values: int64 (m,), these values.

    Returns:
        In [0, 1]; 1 where nothing is known to the contrary.
    """
    if not len(values):
        return 1.0
    rate = (1.0 + float(right.sum())) / (len(right) + 1.0)
    chance = float(np.square(np.bincount(values) / len(values)).sum())
    return rate if chance >= 1.0 else max(0.0, (rate - chance) / (1.0 - chance))


def margins(parts: Doubles, own: Ints, prior: float) -> Doubles:
    """Compute log-odds of the leading value against one's own.

    Args:
        parts: float64 (n, values), shares.
        own: int64 (n,).
        prior: Share given to every value, so that few voters prove little.
    """
    mine = parts[np.arange(len(own)), own]
    return np.asarray(np.log((parts.max(axis=1) + prior) / (mine + prior)), dtype=np.float64)


def disagreement(ballots: Ballots, codes: Ints, values: int, least: int) -> tuple[Bools, Bools]:
    """Tell which documents the vote of their neighbours contradicts.

    Args:
        ballots: The ballots.
        codes: int64 (n,), value by document, -1 where it has none.
        values: Number of values.
        least: Voters that have a value below which nothing is said.

    Returns:
        bool (n,), whether a document is judged; bool (n,), whether another value has more of the
        vote's weight than its own.
    """
    parts, voters = shares(ballots, codes, len(codes), values)
    judged = (codes >= 0) & (voters >= least)
    own = parts[np.arange(len(codes)), np.maximum(codes, 0)]
    return judged, judged & (parts.max(axis=1, initial=0.0) > own)


def skewness(counts: Ints) -> float:
    """Skewness of k-occurrences: 0 where all are named as often, high where there are hubs.

    Third standardised moment; Radovanović, Nanopoulos, Ivanović, "Hubs in Space", JMLR 11 (2010).

    Args:
        counts: int64 (n,).
    """
    apart = counts.astype(np.float64)
    apart -= apart.mean() if len(apart) else 0.0
    width = float(np.sqrt(np.square(apart).mean())) if len(apart) else 0.0
    return float((apart**3).mean()) / width**3 if width > 0 else 0.0


def concentration(vectors: Floats) -> float:
    """Length of the mean vector, in [0, 1]: 1 where all point one way.

    Args:
        vectors: float32 (n, d), unit length.
    """
    if not len(vectors):
        return 0.0
    return float(np.linalg.norm(vectors.astype(np.float64).mean(axis=0)))


def kept_neighbours(before: Ints, after: Ints) -> float:
    """Mean share of the rows' neighbours in one table that they have in the other too, in [0, 1].

    Args:
        before: int64 (n, k), -1 where there are fewer.
        after: int64 (n, k), of the same rows, numbered alike.
    """
    there = before >= 0
    same = (before[:, :, None] == after[:, None, :]).any(axis=2) & there
    counts = there.sum(axis=1)
    judged = counts > 0
    if not judged.any():
        return 1.0
    return float((same.sum(axis=1)[judged] / counts[judged]).mean())
