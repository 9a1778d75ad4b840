"""A sum of small decision trees, evaluated on arrays.

What a tree says is a number in a leaf; the score is the sum. Fitted elsewhere, shipped as JSON.
Source: Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", Annals of Statistics
29 (2001).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Node = tuple[int, float, int, int] | tuple[float]  # feature, threshold, left, right; or a leaf


@dataclass(frozen=True)
class Trees:
    """Trees over named features.

    Attributes:
        names: Features, in column order.
        bias: What the sum starts from.
        trees: Nodes of each tree, the root first; a leaf is its value alone.
    """

    names: tuple[str, ...]
    bias: float
    trees: tuple[tuple[Node, ...], ...]

    def score(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the leaves that rows end in.

        Args:
            features: float64 (r, f), columns as in `names`.

        Returns:
            float64 (r,).
        """
        total = np.full(len(features), self.bias)
        for nodes in self.trees:
            _descend(nodes, features, total)
        return total


def _descend(
    nodes: Sequence[Node], features: NDArray[np.float64], total: NDArray[np.float64]
) -> None:
    pending = [(0, np.arange(len(features)))]
    while pending:
        number, rows = pending.pop()
        node = nodes[number]
        if len(node) == 1:
            total[rows] += node[0]
            continue
        feature, threshold, left, right = node
        low = features[rows, feature] <= threshold
        pending += [(left, rows[low]), (right, rows[~low])]


def load(text: str) -> Trees:
    """Trees from JSON: `names`, `bias`, `trees`."""
    found = json.loads(text)
    trees = tuple(tuple(_node(node) for node in tree) for tree in found["trees"])
    return Trees(tuple(found["names"]), float(found["bias"]), trees)


def _node(node: Sequence[float]) -> Node:
    if len(node) == 1:
        return (float(node[0]),)
    return (int(node[0]), float(node[1]), int(node[2]), int(node[3]))
