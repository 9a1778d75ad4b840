from __future__ import annotations

import numpy as np
import pytest

from ragguard.detect.checks.isolation import chord


def test_chord_is_the_euclidean_distance_of_unit_vectors() -> None:
    rows = np.random.default_rng(0).standard_normal((30, 5))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    expected = [[np.linalg.norm(a - b) for b in rows.astype(float)] for a in rows.astype(float)]
    np.testing.assert_allclose(chord(rows @ rows.T), expected, atol=2e-3)


@pytest.mark.parametrize(
    ("similarity", "distance"), [(1.0, 0.0), (0.5, 1.0), (-1.0, 2.0), (1.0000001, 0.0)]
)
def test_chord_of_known_cosines(similarity: float, distance: float) -> None:
    found = chord(np.array([similarity], dtype=np.float32))
    assert found.dtype == np.float64
    assert found[0] == pytest.approx(distance, abs=1e-3)
