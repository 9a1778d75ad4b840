from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragguard.text.tokens import worst_window, worst_windows
from tests.support import slow_twins


@given(
    st.lists(st.integers(-8, 8).map(float), max_size=30),
    st.integers(1, 12),
    st.integers(0, 5),
    st.integers(-4, 4).map(float),
)
def test_the_worst_window_agrees_with_its_slow_twin(
    values: list[float], width: int, prior: int, usual: float
) -> None:
    assert worst_window(values, width, prior, usual) == pytest.approx(
        slow_twins.worst_window(values, width, prior, usual)
    )


def test_the_first_of_two_equal_windows_is_named() -> None:
    assert worst_window([0, 3, 3, 0, 3, 3, 0], 2) == (3.0, 1)


def test_a_short_burst_is_found_in_a_long_sequence() -> None:
    values = np.zeros(10_000)
    values[7_000:7_040] = 1.0
    assert worst_window(values, 40) == (1.0, 7_000)
    assert values.sum() == 40.0


def test_a_short_text_does_not_win_by_being_short() -> None:
    alone, _ = worst_window([9.0], 16, prior=4, usual=1.0)
    full, _ = worst_window([9.0] * 16, 16, prior=4, usual=1.0)
    assert alone < full < 9.0


def test_of_nothing_the_usual_is_said() -> None:
    assert worst_window([], 16, prior=4, usual=2.5) == (2.5, 0)


@pytest.mark.parametrize(("width", "prior", "usual"), [(4, 0, 0.0), (40, 8, -0.35), (1, 2, 9.0)])
def test_many_sequences_at_once_have_the_worst_windows_they_have_alone(
    width: int, prior: int, usual: float
) -> None:
    rng = np.random.default_rng(4)
    sequences = [rng.normal(size=size) for size in rng.integers(0, 90, size=600)]
    lengths = np.array([len(s) for s in sequences])
    means, places = worst_windows(np.concatenate(sequences), lengths, width, prior, usual)
    expected = [worst_window(s, width, prior, usual) for s in sequences]
    assert list(zip(means.tolist(), places.tolist(), strict=True)) == expected


def test_no_sequences_have_no_worst_window() -> None:
    means, places = worst_windows(np.empty(0), np.zeros(0, dtype=np.int64), 5)
    assert (len(means), len(places)) == (0, 0)
    means, _ = worst_windows(np.empty(0), np.zeros(2, dtype=np.int64), 5, usual=2.5)
    assert means.tolist() == [2.5, 2.5]
