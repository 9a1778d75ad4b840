"""Find passages that ask the reader's question and then take it up.

Poison that must be retrieved for a question has no simpler means than to begin with the question
itself; honest text seldom asks what it answers, and where it does (a list of frequent questions,
a quiz) most of its kind do, which the reference tells. A question that stands on a line of its own
is a heading and counts less. One document gives itself away; but where others that came beside it
ask the same in other words, it counts up to twice: that is a campaign for one question.

After the black-box attack of Zou et al., "PoisonedRAG", USENIX Security 2025. What breaks it: a
question reworded as a statement, or poison that leaves the question out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.model import CorpusView, Evidence, Signal
from ragguard.text.question_lead import Lead, echo, leads, telling
from ragguard.text.words import jaccard


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.question_lead]."""

    least: float = 1.2  # log of how much rarer than the commonest word a telling word is
    later: float = 0.4  # weight of a question that does not open its document
    heading: float = 0.5  # weight of a marked question on a line of its own
    company: int = 2  # newcomers that ask the same from which a question counts twice
    overlap: float = 0.8  # word Jaccard above which two passages are copies, not two that ask


@dataclass(frozen=True)
class _Asked:
    """The question of a chunk that it takes up most."""

    score: float
    lead: Lead
    share: float


@check("question_lead", family="influence", params=Params, unit=0.1)
def question_lead(view: CorpusView, params: Params) -> Signal:
    """Score a chunk by how much of a question it asks it says again.

    Returns:
        Raw scores, float64 (n,), in [0, 2]: shape of the question times the share of its telling
        words, by rarity, that the text near it repeats; times one and the mean share of the
        question that `company` newcomers beside it ask too.
    """
    asking = _Asking(view, params)
    questions = {row: asked for row in range(view.n) if (asked := asking.of(row))}
    company = {row: asking.company(row) for row in questions}
    scores = np.zeros(view.n)
    for row, asked in questions.items():
        scores[row] = asked.score * (1.0 + company[row])

    def explain(row: int) -> Evidence:
        if row not in questions:
            return Evidence("asks no question that it takes up")
        asked = asking.question(row)
        also = ", and so do newcomers beside it" if company[row] >= 0.5 else ""
        return Evidence(
            f'asks "{asked}" and repeats {questions[row].share:.0%} of it in what follows{also}: '
            "written for that question, it seems",
            {"question": asked, "repeated": round(questions[row].share, 3)},
        )

    return Signal(scores, explain)


class _Asking:
    """Questions that passages of a view ask, each found once."""

    def __init__(self, view: CorpusView, params: Params) -> None:
        self._view = view
        self._params = params
        self._known: dict[int, _Asked | None] = {}
        counts = view.lexicon.words
        most = max(counts.values(), default=0) + 1
        self._value = lambda word: math.log(most / (counts.get(word, 0) + 1))

    def of(self, row: int) -> _Asked | None:
        """Return the question that any row takes up most; `None` where it asks none."""
        if row not in self._known:
            self._known[row] = self._find(row)
        return self._known[row]

    def question(self, row: int) -> str:
        """Its text, in one line, at most 160 characters."""
        asked = self.of(row)
        lead = asked.lead if asked else Lead(0, 0, 0.0, marked=False)
        return " ".join(self._view.prose[row][lead.start : lead.end].split())[:160]

    def company(self, row: int) -> float:
        """Mean share of a row's question that the newcomers beside it ask too, in [0, 1]."""
        view = self._view
        near = view.newcomers.indices[row]
        near = near[near >= 0]
        copies = jaccard(view.terms, np.full(len(near), row), near) > self._params.overlap
        mine = self._telling(row)
        best: dict[int, float] = {}
        for other in near[~copies].tolist():
            if self.of(other) is None:
                continue
            theirs = self._telling(other)
            document = int(view.documents[other])
            shared = sum(value for word, value in mine.items() if word in theirs)
            same = shared / max(1e-9, sum({**theirs, **mine}.values()))
            best[document] = max(best.get(document, 0.0), same)
        most = sorted(best.values(), reverse=True)[: self._params.company]
        return sum(most) / self._params.company

    def _telling(self, row: int) -> dict[str, float]:
        """Tell what a row's question asks about, by word; nothing where it asks none."""
        asked = self.of(row)
        if asked is None:
            return {}
        return telling(self._view.prose[row], asked.lead, self._value, self._params.least)[0]

    def _find(self, row: int) -> _Asked | None:
        view, params = self._view, self._params
        text = view.prose[row]
        opens = row == 0 or view.documents[row] != view.documents[row - 1]
        best: _Asked | None = None
        for lead in leads(text):
            weight = lead.shape * (1.0 if opens and lead.start == 0 else params.later)
            if lead.marked and text[lead.end : lead.end + 9].lstrip(" *_")[:1] in ("", "\n"):
                weight *= params.heading
            if best and weight <= best.score:
                continue
            share = echo(text, lead, self._value, params.least)
            if weight * share > (best.score if best else 0.0):
                best = _Asked(weight * share, lead, share)
        return best
