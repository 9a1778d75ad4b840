"""Find campaigns in a whole index, where nobody knows who is new: small groups that stand apart.

A group of documents written for one question says the same in other words, nearer to one another
than to the rest of their region. The score of a row is a LOF-like log-ratio (Breunig et al., SIGMOD
2000): how far the surroundings are, over how far the companions are, among neighbours that are no
copies (the paraphrase filter follows RAGSieve). It is held down to what the companions say of
themselves and to the share of them that count the row among their own nearest, so that an honest
document beside a campaign is not taken for one of it. Groups of three to five are looked for.

How usual a score is, the index itself says: its tail is drawn from the median and the upper tenth,
which poison that is a small share of the index cannot move. What breaks it: an index in which such
groups are normal (series of almost equal abstracts), and campaigns larger than the widest group.

Spectral signatures: rows of a cluster that stand off it together, along one direction.

What was planted for one purpose leaves a trace in the direction in which its cluster varies most
(Tran, Li, Madry, "Spectral Signatures in Backdoor Attacks", NeurIPS 2018: squared projections on
the top singular vector). Measured on retrieval poison it adds little to what stands apart by its
neighbours; it sees larger groups that are no near-paraphrases.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.detect.campaign import distinct
from ragguard.model import Bools, Doubles, Floats, Ints

Table = NDArray[np.int32] | Ints
WIDTHS = (2, 3, 4)  # companions: groups of three, four and five
SOFTENING = 0.02  # added to the companions' distance: two texts may be equal to the encoder
MIDDLE, UPPER = 0.5, 0.9  # quantiles that the tail is drawn through
ROUNDS, UNUSUAL = 5, 0.005  # what is as unusual as that is left out, and the tail drawn again
LEAST_SCALE = 0.02  # of the tail: a rise in score that makes a row e times rarer
BLOCK = 65_536
LEAST = 50  # rows of a cluster below which it has no direction
FITTED = 2000  # rows of a cluster that its direction is taken from
ITERATIONS = 30  # of the power iteration


def stand_apart(
    indices: Table,
    similarities: Floats,
    documents: NDArray[np.int32] | Ints,
    copies: Bools | None = None,
) -> tuple[Doubles, Ints, Ints]:
    """Score every row by how far it and its companions stand apart.

    Args:
        indices: int (n, k), neighbours of each row, -1 where there are fewer; k at least 10.
        similarities: float32 (n, k), cosine, descending.
        documents: int (n,), document of each row.
        copies: bool (n, k), neighbours that are no companions: their words are nearly the same.

    Returns:
        Scores float64 (n, widths), at least 0, higher is more suspicious; companions' rows int64
        (n, widest), -1 where absent; and where in `WIDTHS` each row scores least usually, int64
        (n,).
    """
    n = len(indices)
    near = np.zeros((n, 2 * WIDTHS[-1] + 2))
    rows = np.full(near.shape, -1, dtype=np.int64)
    owners = np.asarray(documents, dtype=np.int64)
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        values = np.clip(similarities[part].astype(np.float64), 0.0, 1.0)
        neighbours = np.asarray(indices[part], dtype=np.int64)
        kept = (neighbours >= 0) & (owners[np.maximum(neighbours, 0)] != owners[part, None])
        if copies is not None:
            kept &= ~copies[part]
        order = np.argsort(~kept, axis=1, kind="stable")
        values = np.take_along_axis(np.where(kept, values, 0.0), order, axis=1)
        neighbours = np.take_along_axis(np.where(kept, neighbours, -1), order, axis=1)
        values, neighbours = distinct(values, neighbours, owners)
        width = min(near.shape[1], values.shape[1])
        near[part, :width], rows[part, :width] = values[:, :width], neighbours[:, :width]
        # What a full list leaves out is no nearer than its last entry, and may be as near: a list
        # that a document's own chunks fill does not make its companions stand apart.
        last = np.where(indices[part, -1] >= 0, np.clip(similarities[part, -1], 0.0, 1.0), 0.0)
        near[part] = np.where(rows[part] >= 0, near[part], last[:, None])
    scores = np.stack([_borne_out(near, rows, owners, width) for width in WIDTHS], axis=1)
    usual = np.stack([tail(scores[:, at]) for at in range(len(WIDTHS))], axis=1)
    return scores, rows[:, : WIDTHS[-1]], np.argmin(usual, axis=1).astype(np.int64)


def _borne_out(near: Doubles, rows: Ints, owners: Ints, width: int) -> Doubles:
    """Tell what of a row's ratio its companions bear out, float64 (n,)."""
    companions = near[:, :width].mean(axis=1)
    floor = near[:, 2 * width + 1]
    ratio = np.log(np.maximum(1.0 - floor, 1e-9) / (1.0 - companions + SOFTENING))
    alone = np.where(rows[:, width - 1] >= 0, np.maximum(ratio, 0.0), 0.0)
    theirs, back = np.zeros(len(near)), np.zeros(len(near))
    for column in range(width):
        other = np.maximum(rows[:, column], 0)
        theirs += alone[other]
        known = np.where(rows[other, : width + 2] >= 0, owners[rows[other, : width + 2]], -1)
        back += (known == owners[:, None]).any(axis=1)
    borne_out: Doubles = np.minimum(alone, theirs / width) * back / width
    return borne_out


def tail(scores: Doubles, upper_share: float = UPPER) -> Doubles:
    """Tell how usual scores are among themselves, as p-values.

    Half of the rows lie above the median, and above it scores are taken to fall off exponentially,
    at the rate that the upper tenth shows. What is found unusual does not count for the next round.

    Args:
        scores: float64 (n,), higher is worse.
        upper_share: Quantile that the tail is drawn through, beside the median: poison that is more
            than the rest of the rows moves it.

    Returns:
        float64 (n,) in (0, 1].
    """
    p_values = np.ones(len(scores))
    kept = np.ones(len(scores), dtype=bool)
    for _ in range(ROUNDS):
        if not kept.any():
            break
        middle, upper = np.quantile(scores[kept], [MIDDLE, upper_share])
        scale = max((upper - middle) / np.log((1 - MIDDLE) / (1 - upper_share)), LEAST_SCALE)
        p_values = np.where(scores > middle, (1 - MIDDLE) * np.exp(-(scores - middle) / scale), 1.0)
        left = p_values > UNUSUAL
        if (left == kept).all():
            break
        kept = left
    return np.maximum(p_values, 1e-300)


def document_p_values(scores: Doubles, documents: NDArray[np.int32] | Ints) -> tuple[Doubles, Ints]:
    """P-value of each document: its least usual row, for all rows it has.

    A row's p-value is the harmonic mean of those of its widths (Wilson, PNAS 116 (2019)), which say
    nearly the same where a campaign is large, and differ where it is small.

    Args:
        scores: float64 (n, widths), from `stand_apart`.
        documents: int (n,), document of each row, 0 to m - 1.

    Returns:
        float64 (m,), 1 for a document without rows; and the row it is of, int64 (m,), -1 without.
    """
    owners = np.asarray(documents, dtype=np.int64)
    m = int(owners.max()) + 1 if len(owners) else 0
    every = np.stack([tail(scores[:, at]) for at in range(scores.shape[1])], axis=1)
    usual = 1.0 / (1.0 / every).mean(axis=1)
    order = np.lexsort((np.arange(len(owners)), usual, owners))
    first = np.flatnonzero(np.diff(owners[order], prepend=-1))
    p_values, rows = np.ones(m), np.full(m, -1, dtype=np.int64)
    rows[owners[order[first]]] = order[first]
    sizes = np.bincount(owners, minlength=m)
    there = rows >= 0
    p_values[there] = np.minimum(1.0, usual[rows[there]] * sizes[there])
    return p_values, rows


def groups(
    suspects: Bools, rows: Ints, companions: Ints, documents: NDArray[np.int32] | Ints
) -> Ints:
    """Suspected documents that are one another's companions, as campaigns.

    Args:
        suspects: bool (m,), documents.
        rows: int64 (m,), the row each document is suspected for.
        companions: int64 (n, c), companions of every row, -1 where absent.
        documents: int (n,), document of each row.

    Returns:
        int64 (m,): number of the campaign of each suspect, from 0 in order of its first document;
        -1 for all others.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    campaign_of = np.full(len(suspects), -1, dtype=np.int64)
    members = np.flatnonzero(suspects)
    if not len(members):
        return campaign_of
    beside = companions[rows[members]]
    here, column = np.nonzero(beside >= 0)
    other = np.asarray(documents, dtype=np.int64)[beside[here, column]]
    both = suspects[other]
    left, right = members[here[both]], other[both]
    place = np.full(len(suspects), -1, dtype=np.int64)
    place[members] = np.arange(len(members))
    edges = csr_matrix(
        (np.ones(len(left), dtype=np.int8), (place[left], place[right])),
        shape=(len(members), len(members)),
    )
    campaign_of[members] = connected_components(edges, directed=False)[1]
    return campaign_of


def signature(vectors: Floats) -> tuple[Doubles, Doubles]:
    """Tell how far each row of a cluster stands off along the cluster's main direction.

    Args:
        vectors: float32 (n, d), one cluster.

    Returns:
        Signed offsets from the middle, float64 (n,), and their p-values, float64 (n,), of the tail
        that they lie in. All 0 and 1 for fewer than `LEAST` rows.
    """
    n = len(vectors)
    if n < LEAST:
        return np.zeros(n), np.ones(n)
    rng = np.random.default_rng(0)
    rows = np.asarray(vectors, dtype=np.float64)
    some = rows if n <= FITTED else rows[np.sort(rng.permutation(n)[:FITTED])]
    centre = np.median(some, axis=0)
    some = some - centre
    axis: Doubles = np.asarray(rng.normal(size=rows.shape[1]), dtype=np.float64)
    for _ in range(ITERATIONS):
        axis = some.T @ (some @ axis)
        length = float(np.linalg.norm(axis))
        if length == 0:
            return np.zeros(n), np.ones(n)
        axis /= length
    offsets = (rows - centre) @ axis
    offsets = offsets - np.median(offsets)
    return offsets, tail(np.abs(offsets))
