"""Pull: what recurs whatever it is put beside, and what takes the difference out of texts."""

from __future__ import annotations

import numpy as np
import pytest

from ragguard.canary.trigger_statistics import collapse, recurrence, spread, standing
from ragguard.model import Floats


def unit(rows: object) -> Floats:
    made = np.asarray(rows, dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_spread_is_half_the_mean_squared_distance() -> None:
    rows = unit(np.random.default_rng(0).standard_normal((40, 8)))
    exact = rows.astype(np.float64)
    squares = np.square(exact[:, None] - exact[None]).sum(axis=2)
    assert spread(rows) == pytest.approx(squares.mean() / 2, abs=1e-6)
    assert spread(rows[:1]) == pytest.approx(0.0, abs=1e-6)


def test_vectors_that_become_one_have_collapsed_and_equal_ones_have_not() -> None:
    rows = unit(np.random.default_rng(1).standard_normal((20, 8)))
    assert collapse(rows, rows) == pytest.approx(0.0)
    assert collapse(rows, np.repeat(rows[:1], 20, axis=0)) == pytest.approx(1.0, abs=1e-6)
    half = unit(rows + np.float32(2.0) * rows[:1])
    assert 0.2 < collapse(rows, half) < 1.0
    assert collapse(half, rows) < 0.0


def test_an_item_that_decides_its_groups_recurs_and_the_others_do_not() -> None:
    rng = np.random.default_rng(2)
    items, guilty, target = 64, 17, rng.standard_normal(16)
    vectors, groups = [], []
    for _ in range(3):
        dealt = np.empty(items, dtype=np.int64)
        dealt[rng.permutation(items)] = np.arange(items) // 4
        made = rng.standard_normal((16, 16))
        made[dealt[guilty]] = 6 * target
        vectors.append(unit(made))
        groups.append(dealt)
    found = recurrence(vectors, groups)
    assert int(found.argmax()) in np.flatnonzero(np.all([g == g[guilty] for g in groups], axis=0))
    assert found[guilty] > 0.9
    assert np.median(found) < 0.3


def test_recurrence_is_the_mean_cosine_of_the_centred_groups() -> None:
    rng = np.random.default_rng(3)
    vectors = [unit(rng.standard_normal((4, 6))) for _ in range(2)]
    groups = [rng.integers(4, size=10) for _ in range(2)]
    centre = np.concatenate(vectors).mean(axis=0)
    apart = [v - centre for v in vectors]
    for item, value in enumerate(recurrence(vectors, groups).tolist()):
        one, other = (a[g[item]] for a, g in zip(apart, groups, strict=True))
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert value == pytest.approx(cosine, abs=1e-5)


def test_standing_is_in_deviations_of_the_bulk() -> None:
    values = np.concatenate([np.random.default_rng(4).standard_normal(2000), [50.0]])
    found = standing(values)
    assert 40 < found[-1] < 60
    assert abs(float(np.median(found))) < 1e-9
    assert standing(np.empty(0)).shape == (0,)
