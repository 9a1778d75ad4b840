"""CleanBase: documents that form cliques in a pruned similarity graph.

Source: Jin, Wang, Zou, Jia, Gong, "CleanBase: Detecting Malicious Documents in RAG Knowledge
Databases", arXiv:2605.00460 (2026), with the settings its authors released: ten nearest neighbours,
edges kept above mean + alpha * deviation of all edges (alpha 2.5), cliques of three documents and
more. Written anew from that description.

The original answers yes or no at one alpha. To give a curve, a document is scored by the largest
alpha at which it would still be flagged: every clique of three or more holds a triangle, so that is
the weakest edge of the best triangle it is part of.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.bench.scan import Scan

NAME = "CleanBase"
NEIGHBOURS = 10


def score(scan: Scan) -> NDArray[np.float64]:
    """The largest alpha at which a document still lies in a clique.

    Returns:
        float64 (m,), in standard deviations of the edges' similarities above their mean; the least
        possible where it is in no triangle at all. Higher is more suspicious.
    """
    near = scan.neighbours.indices[:, :NEIGHBOURS]
    m = len(near)
    rows, columns = np.nonzero(near >= 0)
    if not len(rows):
        return np.zeros(m)
    others = near[rows, columns]
    weights = scan.neighbours.similarities[rows, columns].astype(np.float64)
    pairs = np.stack([np.minimum(rows, others), np.maximum(rows, others)], axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    weights = weights[first]
    found = np.full(m, -1.0)
    joined: list[set[int]] = [set() for _ in range(m)]
    # Edges enter from the strongest to the weakest: what closes a triangle is its weakest edge.
    for edge in np.argsort(-weights, kind="stable").tolist():
        left, right = pairs[edge].tolist()
        for row in joined[left] & joined[right]:
            for member in (left, right, row):
                found[member] = max(found[member], weights[edge])
        joined[left].add(right)
        joined[right].add(left)
    spread = float(weights.std())
    result: NDArray[np.float64] = (found - weights.mean()) / max(spread, 1e-9)
    return result
