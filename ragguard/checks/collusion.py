"""Collusion: newcomers that say one thing in different words, tighter than anything around them.

Retrieval poison is not isolated, it is over-dense: several passages written for one question stand
closer together than honest passages on a subject do, while sharing few words, because copies would
be noticed. A clean corpus that already knows the subject shows how close is usual there. How it is
measured: `kernels.standout`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragguard.checks import check
from ragguard.errors import NotApplicable
from ragguard.kernels.standout import companions_evidence, paraphrases, stand_out
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.collusion]."""

    overlap: float = 0.6  # word Jaccard above which two texts are copies, not paraphrases
    companions: int = 2  # companions averaged; more make honest batches on new subjects stand out
    softening: float = 0.02  # added to the companions' distance


@check("collusion", family="collusion", params=Params, unit=0.15)
def collusion(view: CorpusView, params: Params) -> Signal:
    """Score how far a chunk and its companions among the newcomers stand out from their region.

    Returns:
        Raw scores, float64 (n,), log of (distance to the surroundings / distance to the
        companions), at least 0, damped where the reference hardly knows the region.

    Raises:
        NotApplicable: Nothing arrived beside this document and nothing waits in quarantine.
    """
    near, rows = paraphrases(view, view.newcomers, params.overlap)
    if not (rows >= 0).any():
        raise NotApplicable("no other newcomer to compare with")
    known, _ = paraphrases(view, view.reference, params.overlap)
    scores = stand_out(view, near, known, params.companions, params.softening)

    def explain(row: int) -> Evidence:
        return companions_evidence(view, near, rows, row, params.companions)

    return Signal(scores, explain)
