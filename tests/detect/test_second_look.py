"""Which companions of what was caught may be judged once more, and pulled back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ragguard.detect import lexicon as lexicons
from ragguard.detect import second_look as looking
from ragguard.detect.scoring import UNCALIBRATED
from ragguard.detect.second_look import JudgingMethod, second_look
from ragguard.detect.view import Surroundings
from ragguard.model import Finding, Policy, Verdict
from tests.support.batches import SERVING, prepared, stored
from tests.support.checks.views import NOW

FRESH = "wiki/fresh.md"


@pytest.mark.parametrize(
    ("source", "tier", "theirs", "pulls"),
    [
        ("wiki", "standard", "standard", True),
        ("wiki", "low", "low", True),
        ("forum", "standard", "standard", False),
        ("forum", "low", "standard", False),
        ("forum", "low", "low", False),
        ("forum", "standard", "low", True),
    ],
)
def test_a_source_pulls_its_own_and_what_is_vouched_for_less(
    monkeypatch: pytest.MonkeyPatch, source: str, tier: Any, theirs: Any, pulls: bool
) -> None:
    caught = prepared("evil.md", source=source)
    fresh = prepared("fresh.md")
    companions = Finding("collusion", 1.0, 0.001, "", {"companions": [FRESH]})

    def held(name: str, document: str) -> Verdict:
        return Verdict(name, document, "", "quarantine", 1.0, 0.001, (companions,))

    def judge(again: Sequence[Any], *_: Any) -> list[Verdict]:
        return [held(p.document.source, p.document.id) for p in again]

    monkeypatch.setattr(looking, "build_view", lambda *_, **__: None)
    monkeypatch.setattr(looking, "measure", lambda *_: None)
    monkeypatch.setattr(looking, "judge", judge)
    policies = {"wiki": Policy(tier=theirs), source: Policy(tier=tier)}
    found = second_look(
        [caught],
        [held(source, "evil.md")],
        Surroundings(stored([]), SERVING, lexicons.empty(), (), NOW, frozenset({FRESH})),
        JudgingMethod({}, UNCALIBRATED, policies, 0.002),
        lambda labels: [fresh] if FRESH in labels else [],
    )
    assert [p.label for p, _ in found] == ([FRESH] if pulls else [])
