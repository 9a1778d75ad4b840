"""Confidence: the documented points, and the smaller the p-value the higher."""

from __future__ import annotations

import pytest

from ragguard.quarantine.confidence import confidence, level


@pytest.mark.parametrize("asked", [0.002, 0.01, 0.05])
def test_the_documented_points(asked: float) -> None:
    assert confidence(1.0, asked) == 0.0
    assert confidence(asked, asked) == pytest.approx(0.7)
    assert confidence(asked / 20, asked) == pytest.approx(0.95)
    assert confidence(asked / 400, asked) == pytest.approx(0.99)
    assert confidence(0.0, asked) == 0.99


def test_a_rule_without_a_p_value_is_as_sure_as_can_be_said() -> None:
    assert confidence(None, 0.002) >= 0.95


def test_a_smaller_p_value_never_gives_less() -> None:
    values = [confidence(10.0 ** (-n / 10), 0.002) for n in range(120)]
    assert values == sorted(values)
    assert len(set(values)) > 50


def test_the_words_change_where_the_points_are() -> None:
    assert [level(v) for v in (0.0, 0.69, 0.7, 0.94, 0.95, 0.99)] == [
        "low",
        "low",
        "medium",
        "medium",
        "high",
        "high",
    ]
