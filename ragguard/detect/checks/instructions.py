"""Find text that speaks to the model instead of the reader.

Rules (`rules/`) over the text as a reader reads it (`text.as_read`), over the source, and over
whatever was hidden, encoded or disguised in it. Scores are nats of evidence, and the p-value is the
measured share of ordinary documents that score so much. A phrase that is quoted or described, as an
awareness page does it, counts a part and holds no document alone.

Source of the attack patterns: Greshake et al., "Not What You've Signed Up For", AISec 2023; Yi et
al., BIPIA, 2023 (their categories; no text of theirs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check, rules
from ragguard.detect.checks.rules import Hit
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.text.encodings import readings
from ragguard.text.hidden import inspect_all
from ragguard.text.words import normalise


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.instructions]."""

    concealed: float = 1.5  # factor for a phrase that was hidden


@check("instructions", family="hidden", params=Params, unit=0.8)
def instructions(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by the rules it matches, in nats of evidence.

    Returns:
        Raw scores, float64 (n,): the largest weight plus half of the others; 0 when none matches.
        P-values: the measured share of ordinary documents that score so much.
    """
    scores, p_values = np.zeros(view.n), np.ones(view.n)
    row_hits: dict[int, list[Hit]] = {}
    opened: set[int] = set()
    concealed = inspect_all(view, 3)
    measured = rules.weights()
    for row in range(view.n):
        text = view.texts[row]
        parts = [(rules.scan(text), 1.0)]
        parts += [(rules.scan(reading), params.concealed) for _, reading in readings(text)]
        document = int(view.documents[row])
        if document not in opened:
            opened.add(document)
            parts += [
                (rules.scan(normalise(hidden_text)), params.concealed)
                for _, _, hidden_text in concealed[document]
            ]
        for hits, factor in parts:
            if not hits:
                continue
            score, p = rules.score(hits, measured)
            if score and factor > 1.0 and p < rules.ALONE:
                p = min(p, measured.p_value(score * factor))
            if score * factor > scores[row]:
                scores[row], row_hits[row] = score * factor, hits
            p_values[row] = min(p_values[row], p)

    def explain(row: int) -> Evidence:
        ranked = sorted(
            row_hits.get(row, []), key=lambda h: (h.passing, -measured.weight.get(h.rule, 0.0))
        )
        listed = "; ".join(f"{h.rule.replace('_', ' ')}: {h.phrase!r}" for h in ranked[:3])
        return Evidence(f"speaks to the model ({listed})", {"rules": [h.rule for h in ranked]})

    return Signal(scores, explain, p_values)
