"""Keep vectors of an adopted collection where the recipe proves to be what made them.

A foreign vector is a claim that it is the embedding of its text. Whether the model of the recipe
made them is proved by sample: texts, drawn by a key of the workspace so that nobody else knows
which, are embedded again, and every one must lie within the encoder's tolerance of what is claimed.
One that does not, and none is kept. The others stay claims: `audit --re-embed` compares them all,
the nightly audit a share of them. Only for a chunk whose text is a passage's, to the letter, is
there a claim. See docs/adr/0038-kept-vectors.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ragguard.embed.encoder import Encoder
from ragguard.model import Floats
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.kept import tag

SAMPLE = 256  # texts embedded again at least; all of fewer
SHARE = 0.01  # or this share of them, where that is more


@dataclass
class VectorReport:
    """What became of a collection's vectors.

    Attributes:
        kept: Vectors taken over as they were, those compared included.
        compared: Texts of the sample, embedded again.
        wrong: Of these, vectors that are not the embedding of their text.
        furthest: Length of the largest difference in the sample.
        tolerance: Length that it may have.
        reason: Why none was kept; empty where some were, or nothing was embedded.
    """

    dimensions: int = 0
    kept: int = 0
    compared: int = 0
    wrong: int = 0
    furthest: float = 0.0
    tolerance: float = 0.0
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As the adoption record and `--format json` have it."""
        furthest, tolerance = (float(f"{x:.3g}") for x in (self.furthest, self.tolerance))
        return {**asdict(self), "furthest": furthest, "tolerance": tolerance}

    @property
    def suspicious(self) -> bool:
        """Whether the model made most of the sample, and some of it is something else."""
        return 0 < self.wrong <= self.compared / 2


@dataclass
class Claims:
    """Vectors that a collection claims for its passages.

    Attributes:
        longest: Characters of the longest passage that may be a chunk.
        report: What became of them.
        kept: Text digests of those taken over.
    """

    dimensions: int
    longest: int
    report: VectorReport = field(init=False)
    kept: set[str] = field(default_factory=set)
    _vectors: dict[str, Floats] = field(default_factory=dict)
    _contradicted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.report = VectorReport(self.dimensions)

    def add(self, text: str, vector: Floats) -> None:
        """Note a passage's vector, float32 (d,), unit length; empty where it has none to compare.

        Of two passages with one text and two vectors at most one is right: neither is a claim.
        """
        if vector.shape != (self.dimensions,) or len(text) > self.longest:
            return
        name = digest_bytes(text.encode())
        first = self._vectors.setdefault(name, vector)
        if first is not vector and not np.array_equal(first, vector):
            self._contradicted.add(name)

    def proved(self, texts: Mapping[str, str], encoder: Encoder, key: bytes) -> dict[str, Floats]:
        """List vectors to keep; empty where the recipe is not shown to be what made them.

        Args:
            texts: Texts to be embedded, by digest.
            key: Draws the sample; secret.

        Returns:
            float32 (d,), unit length, by digest.
        """
        report, dimensions = self.report, encoder.recipe.dimensions
        report.tolerance = encoder.tolerance
        if self.dimensions != dimensions:
            report.reason = f"they have {self.dimensions} dimensions, the model's {dimensions}"
            return {}
        claimed = sorted((texts.keys() & self._vectors.keys()) - self._contradicted)
        if not claimed:
            report.reason = "no chunk is one of the collection's passages ([chunks] size, overlap)"
            return {}
        size = max(SAMPLE, round(len(claimed) * SHARE))
        sample = sorted(claimed, key=lambda name: tag(key, "adopt sample", name.encode()))[:size]
        fresh = encoder.encode([texts[name] for name in sample]).astype(np.float64)
        apart = np.linalg.norm(np.stack([self._vectors[n] for n in sample]) - fresh, axis=1)
        wrong = int((~(apart <= encoder.tolerance)).sum())
        report.compared += len(sample)
        report.furthest = max(report.furthest, float(apart.max()))
        report.wrong += wrong
        if wrong:
            report.reason = (
                f"of {len(sample)} embedded again {wrong} are not the embedding of "
                f"their text: up to {apart.max():.3g} away, at most {encoder.tolerance:.3g} is "
                "allowed"
            )
            return {}
        report.kept += len(claimed)
        self.kept.update(claimed)
        return {name: self._vectors[name] for name in claimed}
