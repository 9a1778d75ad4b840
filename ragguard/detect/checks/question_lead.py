"""Question leads: passages that ask the reader's question and then take it up.

Poison that must be retrieved for a question has no simpler means than to begin with the question
itself; honest text seldom asks what it answers, and where it does (a list of frequent questions,
a quiz) most of its kind do, which the reference tells. A question that stands on a line of its own
is a heading and counts less. One document gives itself away; no companions are needed.

After the black-box attack of Zou et al., "PoisonedRAG", USENIX Security 2025. What breaks it: a
question reworded as a statement, or poison that leaves the question out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.text.question_lead import Lead, echo, leads


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.question_lead]."""

    least: float = 1.2  # log of how much rarer than the commonest word a telling word is
    later: float = 0.4  # weight of a question that does not open its document
    heading: float = 0.5  # weight of a marked question on a line of its own


@check("question_lead", family="influence", params=Params, unit=0.1)
def question_lead(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by how much of a question it asks it says again.

    Returns:
        Raw scores, float64 (n,), in [0, 1]: shape of the question times the share of its telling
        words, by rarity, that the text near it repeats.
    """
    known = view.lexicon.words
    most = max(known.values(), default=0) + 1

    def value(word: str) -> float:
        return math.log(most / (known.get(word, 0) + 1))

    scores = np.zeros(view.n)
    found: dict[int, tuple[Lead, float]] = {}
    for row in range(view.n):
        text = view.prose[row]
        opens = row == 0 or view.documents[row] != view.documents[row - 1]
        for lead in leads(text):
            weight = lead.shape * (1.0 if opens and lead.start == 0 else params.later)
            if lead.marked and text[lead.end : lead.end + 9].lstrip(" *_")[:1] in ("", "\n"):
                weight *= params.heading
            if weight <= scores[row]:
                continue
            share = echo(text, lead, value, params.least)
            if weight * share > scores[row]:
                scores[row], found[row] = weight * share, (lead, share)

    def explain(row: int) -> Evidence:
        if row not in found:
            return Evidence("asks no question that it takes up")
        lead, share = found[row]
        asked = " ".join(view.prose[row][lead.start : lead.end].split())[:160]
        return Evidence(
            f'asks "{asked}" and repeats {share:.0%} of it in what follows: written for that '
            "question, it seems",
            {"question": asked, "repeated": round(share, 3)},
        )

    return Signal(scores, explain)
