"""Find newcomers that stand out together and share the rare words, not only the template.

Pages of one template ("X is a city in Y County") stand as close together as a campaign does; what
they share is what everybody writes, and each has its own subject. The texts of a campaign share the
subject and the claim: their companions have the words that are rare elsewhere. Both must be there,
so the score is the mean of the two in the geometric sense.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.campaign import (
    FLAGRANT_EXCESS,
    accord_excess,
    believed,
    companions_evidence,
    paraphrases,
)
from ragguard.detect.checks import check
from ragguard.detect.checks.collusion import Params as StandOut
from ragguard.detect.checks.collusion import borne_out
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params(StandOut):
    """Tunable values, read from [checks.accord]; those of `collusion`."""


@check("accord", family="collusion", params=Params, unit=0.04)
def accord(view: CorpusView, params: Params) -> Signal:
    """Score how far a chunk stands out together with companions that share its rare words.

    Returns:
        Raw scores, float64 (n,), square root of the stand-out (see `collusion`) times the excess of
        accord, only what is flagrant where the reference hardly knows the region.

    Raises:
        NotApplicable: Nothing arrived beside this document and nothing waits in quarantine.
    """
    alone, near, rows = borne_out(view, params)
    beside = paraphrases(view, view.newcomers, params.overlap, params.least)
    known = paraphrases(view, view.reference, params.overlap, params.least)
    excess = accord_excess(beside, known, view, params.most)
    excess = believed(view, excess, known.values, FLAGRANT_EXCESS)
    scores = np.sqrt(alone * excess)

    def explain(row: int) -> Evidence:
        evidence = companions_evidence(view, near, rows, row, params.most)
        shared = f"{excess[row]:.0%} more of its rare words than this corpus offers"
        return Evidence(f"{evidence.detail}; they share {shared}", evidence.facts)

    return Signal(scores, explain)
