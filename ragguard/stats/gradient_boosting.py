"""Evaluate a sum of small decision trees on arrays.

What a tree says is a number in a leaf; the score is the sum. Fitted elsewhere, shipped as JSON.
Source: Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", Annals of Statistics
29 (2001).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_BLOCK = 2048  # rows at once
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
        roots = self._flat.roots
        for start in range(0, len(features), _BLOCK):
            block = features[start : start + _BLOCK]
            total[start : start + _BLOCK] += self._flat.leaves(block, roots).sum(axis=1)
        return total

    @cached_property
    def _flat(self) -> _Flat:
        """All nodes in one table, so that one step goes down every tree of every row."""
        sizes = [len(nodes) for nodes in self.trees]
        roots = np.cumsum([0, *sizes])[:-1]
        table = np.zeros((sum(sizes), 4))
        for root, nodes in zip(roots.tolist(), self.trees, strict=True):
            for number, node in enumerate(nodes):
                at = root + number
                if len(node) == 1:  # a leaf leads to itself
                    table[at] = (0, node[0], at, at)
                else:
                    table[at] = (node[0], node[1], root + node[2], root + node[3])
        steps = table[:, 2:].astype(np.int64)
        return _Flat(roots, table[:, 0].astype(np.int64), table[:, 1], steps[:, 0], steps[:, 1])


@dataclass(frozen=True)
class _Flat:
    roots: NDArray[np.int64]
    features: NDArray[np.int64]
    values: NDArray[np.float64]  # threshold, or what a leaf says
    left: NDArray[np.int64]
    right: NDArray[np.int64]

    def leaves(
        self, features: NDArray[np.float64], roots: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Tell what each row ends in, float64 (r, trees)."""
        rows = np.arange(len(features))[:, None]
        at = np.broadcast_to(roots, (len(features), len(roots)))
        while True:
            low = features[rows, self.features[at]] <= self.values[at]
            down = np.where(low, self.left[at], self.right[at])
            if np.array_equal(down, at):
                leaves: NDArray[np.float64] = self.values[at]
                return leaves
            at = down


def load(text: str) -> Trees:
    """Read trees from JSON: `names`, `bias`, `trees`."""
    body = json.loads(text)
    trees = tuple(tuple(_node(node) for node in tree) for tree in body["trees"])
    return Trees(tuple(body["names"]), float(body["bias"]), trees)


def _node(node: Sequence[float]) -> Node:
    if len(node) == 1:
        return (float(node[0]),)
    return (int(node[0]), float(node[1]), int(node[2]), int(node[3]))
