"""How alike the points of another hand are: lengths, mean similarity, repeated texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ragguard.kernels.canonical import digest_bytes
from ragguard.model import Floats
from ragguard.store import Point

TEXTS = 10_000  # distinct texts counted at most


class Likeness:
    """Sums over foreign points; memory of one vector and some text digests."""

    def __init__(self) -> None:
        self._sum: np.ndarray[Any, np.dtype[np.float64]] | None = None
        self._usable = 0
        self._points = 0
        self._blank = 0
        self._norms = (np.inf, -np.inf)
        self._texts: set[str] = set()

    def add(self, points: Sequence[Point]) -> None:
        """Take foreign points in."""
        for point in points:
            self._points += 1
            text = point.payload.get("page_content")
            if not isinstance(text, str) or not text.strip():
                self._blank += 1
            elif len(self._texts) < TEXTS:
                self._texts.add(digest_bytes(text.encode("utf-8", "surrogatepass")))
            self._add_vector(point.vector)

    def _add_vector(self, vector: Floats) -> None:
        exact = vector.astype(np.float64)
        norm = float(np.linalg.norm(exact))
        if not np.isfinite(norm) or norm == 0:
            return
        if self._sum is None:
            self._sum = np.zeros_like(exact)
        if self._sum.shape == exact.shape:
            self._sum += exact / norm
            self._usable += 1
            self._norms = (min(self._norms[0], norm), max(self._norms[1], norm))

    @property
    def similarity(self) -> float | None:
        """Mean cosine similarity of all pairs, from the length of the sum of directions."""
        if self._sum is None or self._usable < 2:
            return None
        n = self._usable
        return float((self._sum @ self._sum - n) / (n * (n - 1)))

    def sentence(self) -> str:
        """What they have in common, for a person."""
        parts = []
        if self.similarity is not None:
            low, high = self._norms
            lengths = f"length {low:.3g}" if high - low < 1e-3 else f"lengths {low:.3g}-{high:.3g}"
            parts.append(f"mean similarity {self.similarity:.3f}, {lengths}")
        odd = self._points - self._usable
        if odd:
            parts.append(f"{odd:,} with vectors that no search finds")
        if self._blank:
            parts.append(f"{self._blank:,} without text")
        more = "at least " if len(self._texts) == TEXTS else ""
        parts.append(f"{more}{len(self._texts):,} distinct texts")
        return ", ".join(parts)

    def facts(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "mean_similarity": self.similarity,
            "lengths": list(self._norms) if self._usable else [],
            "without_text": self._blank,
            "distinct_texts": len(self._texts),
        }
