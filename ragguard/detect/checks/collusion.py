"""Find newcomers that say one thing in different words, tighter than anything around them.

Retrieval poison is not isolated, it is over-dense: several passages written for one question stand
closer together than honest passages on a subject do, while sharing few words, because copies would
be noticed. A clean corpus that already knows the subject shows how close is usual there, and the
companions must bear it out. How it is measured: `detect.campaign`; why so: docs/scoring.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.campaign import (
    companions_evidence,
    distinct,
    mutual,
    paraphrases,
    stand_out,
)
from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Doubles, Evidence, Ints, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.collusion]."""

    overlap: float = 0.6  # word Jaccard above which two texts are copies, not paraphrases
    least: int = 12  # different words of a passage that says anything
    fewest: int = 2  # companions of the smallest campaign looked for
    most: int = 4  # and of the largest; what larger ones score is no less
    softening: float = 0.02  # added to the companions' distance
    noise: float = 0.02  # stand-out that says nothing


@check("collusion", family="collusion", params=Params, unit=0.15)
def collusion(view: CorpusView, params: Params) -> Signal:
    """Score how far a chunk and its companions among the newcomers stand out from their region.

    Returns:
        Raw scores, float64 (n,), log of (distance to the surroundings / distance to the
        companions), averaged over campaign sizes, at least 0, only what is flagrant where the
        reference hardly knows the region, and at most what its companions score.

    Raises:
        NotApplicable: Nothing arrived beside this document and nothing waits in quarantine.
    """
    scores, near, rows = borne_out(view, params)

    def explain(row: int) -> Evidence:
        return companions_evidence(view, near, rows, row, params.most)

    return Signal(scores, explain)


def borne_out(view: CorpusView, params: Params) -> tuple[Doubles, Doubles, Ints]:
    """Tell how far each chunk stands out, borne out by its companions, and who these are.

    Returns:
        Scores float64 (n,); similarities of the companions float64 (n, k), descending; their rows
        int64 (n, k), -1 where absent.

    Raises:
        NotApplicable: Nothing to compare with.
    """
    key = (borne_out, repr(params)[len(type(params).__name__) :])
    if key in view.shared:
        kept: tuple[Doubles, Doubles, Ints] = view.shared[key]
        return kept
    rewordings = paraphrases(view, view.newcomers, params.overlap, params.least)
    near, rows = distinct(rewordings.values, rewordings.rows, view.documents)
    if not (rows >= 0).any():
        raise NotApplicable("no other newcomer to compare with")
    known = paraphrases(view, view.reference, params.overlap, params.least).values
    widths = range(params.fewest, max(params.fewest, params.most) + 1)
    alone = np.mean([stand_out(view, near, known, w, params.softening) for w in widths], axis=0)
    middle = (params.fewest + params.most) // 2
    scores = mutual(alone, rows[:, :middle], rows[:, : params.most], view.documents)
    measurement = view.shared[key] = np.maximum(scores - params.noise, 0.0), near, rows
    return measurement
