"""Hidden text: what a reader does not see and a model does.

Looked at are the raw characters before normalisation (Unicode tag characters, zero-width characters
inside words, bidirectional controls, look-alike letters, encoded blobs, text pushed out of sight by
white space) and what the parser found hidden (comments, styles, invisible PDF text). What is looked
for, and with which weight, stands in `kernels.concealment`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.checks import check
from ragguard.kernels.concealment import inspect_all
from ragguard.model import CorpusView, Evidence, Signal


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.hidden]."""

    blob_words: int = 3  # words a decoded blob must have to be text


@check("hidden", family="hidden", params=Params, unit=0.7)
def hidden(view: CorpusView, params: Params) -> Signal:
    """Score a document's first chunk by what the document hides.

    Returns:
        Raw scores, float64 (n,), the largest weight plus half of the others; 0 when nothing is
        hidden.
    """
    scores = np.zeros(view.n)
    found: dict[int, list[tuple[float, str, str]]] = {}
    everything = inspect_all(view, params.blob_words)
    firsts = np.unique(view.documents[: view.n], return_index=True)
    for document, row in zip(*(array.tolist() for array in firsts), strict=True):
        hits = [hit for hit in everything[document] if hit[0] > 0]
        if hits:
            hits.sort(reverse=True)
            scores[row] = hits[0][0] + 0.5 * sum(weight for weight, _, _ in hits[1:6])
            found[row] = hits

    def explain(row: int) -> Evidence:
        listed = "; ".join(f"{what}: {text[:90]!r}" for _, what, text in found.get(row, [])[:3])
        kinds = [what for _, what, _ in found.get(row, [])]
        return Evidence(f"hides something from readers ({listed})", {"kinds": kinds[:10]})

    return Signal(scores, explain)
