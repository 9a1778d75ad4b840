"""Checks that say what a test tells them, and what scoring makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragguard.detect import scoring
from ragguard.detect.checks import Check
from ragguard.detect.scoring import (
    Profile,
    judge,
    measure,
)
from ragguard.errors import NotApplicable
from ragguard.model import CorpusView, Evidence, Policy, Signal, Verdict
from ragguard.stats.conformal import family_p_values, tail_p_values
from tests.support.batches import prepared
from tests.support.checks.views import Doc, doc, make_view


@dataclass(frozen=True)
class Params:
    """None."""


def entry(name: str, function: Callable[[CorpusView, Any], Signal], unit: float = 1.0) -> Check:
    """A check as the registry holds it."""
    return Check(name, "text", Params, function, unit, "Score as told.")


def giving(scores: list[float]) -> Callable[[CorpusView, Any], Signal]:
    """A check that gives these scores."""
    return lambda view, params: Signal(
        np.array(scores[: view.n]), lambda row: Evidence(f"row {row}", {"row": row})
    )


def certain(p_values: list[float]) -> Callable[[CorpusView, Any], Signal]:
    """A check that knows by itself how rare its scores are."""

    def function(view: CorpusView, params: Any) -> Signal:
        p = np.array(p_values[: view.n])
        scores = np.where(np.isnan(p), np.nan, np.where(p < 1, 5.0, 0.0))
        return Signal(scores, lambda row: Evidence(f"row {row}", {"row": row}), p)

    return function


def crash(view: CorpusView, params: Any) -> Signal:
    """A check with a bug."""
    raise ZeroDivisionError("a bug of the check")


def not_applicable(view: CorpusView, params: Any) -> Signal:
    """A check that has nothing to say."""
    raise NotApplicable("too little text")


def profile(*names: str, count: int = 199) -> Profile:
    """Clean documents that score evenly from 0 to 1 on each check, each check a family."""
    even = np.linspace(0, 1, count)
    spoken = np.sort(-np.log(tail_p_values(even, even)))
    p = family_p_values(spoken, spoken, np.exp(-spoken))
    combined = np.sort(np.tan((0.5 - np.minimum(p, 0.5)) * np.pi))
    families = dict.fromkeys(scoring.families_of(names).names, spoken)
    return Profile("corpus", count, dict.fromkeys(names, even), combined, "", families=families)


def judged(
    functions: Mapping[str, Callable[[CorpusView, Any], Signal]],
    docs: list[Doc],
    *,
    policy: Policy = Policy(),  # noqa: B008 - frozen
    rate: float = 0.01,
    known: Profile | None = None,
) -> dict[str, Verdict]:
    """Verdicts of documents under some checks."""
    view = make_view(docs)
    chosen = {n: (entry(n, f), Params()) for n, f in functions.items()}
    batch = [prepared(d.name, d.texts) for d in docs]
    measured = measure(view, chosen)
    known = known or profile(*functions)
    found = judge(batch, view, measured, known, chosen, {"wiki": policy}, rate)
    return {v.id: v for v in found}


def three() -> list[Doc]:
    """Three documents of four chunks."""
    return [doc("a", "one"), Doc("b", ("two", "three")), doc("c", "four")]


def outcomes(found: Mapping[str, Verdict]) -> list[str]:
    """What becomes of each document."""
    return [verdict.outcome for verdict in found.values()]


def held(found: Mapping[str, Verdict]) -> set[str]:
    """Documents that wait for a reviewer."""
    return {name for name, verdict in found.items() if verdict.outcome == "quarantine"}
