"""Find text that a reader does not see and a model does.

Looked at are the raw characters before normalisation (Unicode tag characters, zero-width characters
inside words, bidirectional controls, look-alike letters, encoded blobs, text pushed out of sight by
white space) and what the parser found hidden and is served all the same. What is not served, and
what nearly every page has (comments, skip links, front matter, form fields), is a note: only an
order in it is a danger, and `instructions` looks for orders there too. What is looked for stands in
`text.hidden`; how often ordinary documents have it is measured (`rules/weights.json`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check, rules
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.text.hidden import DOUBTFUL, NOTE, inspect_all, kind_of


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.hidden]."""

    blob_words: int = 3  # words a decoded blob must have to be text


@check("hidden", family="hidden", params=Params, unit=0.7)
def hidden(view: CorpusView, params: Params) -> Signal:
    """Score a document's first chunk by what the document hides.

    Returns:
        Raw scores, float64 (n,), the largest weight plus half of the others; 0 when nothing is
        hidden. P-values: the measured share of ordinary documents that hide something of that kind.
    """
    scores, p_values = np.zeros(view.n), np.ones(view.n)
    row_hits: dict[int, list[tuple[float, str, str]]] = {}
    everything = inspect_all(view, params.blob_words)
    measured = rules.kinds()
    firsts = np.unique(view.documents[: view.n], return_index=True)
    for document, row in zip(*(array.tolist() for array in firsts), strict=True):
        hits = [hit for hit in everything[document] if hit[0] > 0]
        if hits:
            hits.sort(reverse=True)
            scores[row] = hits[0][0] + 0.5 * sum(weight for weight, _, _ in hits[1:6])
            row_hits[row] = hits
            kinds = {kind_of(hit) for hit in hits if hit[0] > NOTE}
            rare = (measured.get(k, rules.UNSEEN) for k in kinds - DOUBTFUL)
            p_values[row] = min([*rare, rules.ALONE if kinds else 1.0])

    def explain(row: int) -> Evidence:
        listed = "; ".join(f"{kind}: {text[:90]!r}" for _, kind, text in row_hits.get(row, [])[:3])
        kinds = [kind for _, kind, _ in row_hits.get(row, [])]
        return Evidence(f"hides something from readers ({listed})", {"kinds": kinds[:10]})

    return Signal(scores, explain, p_values)
