from __future__ import annotations

import numpy as np
import pytest

from ragguard.kernels.density import chord, ldof
from ragguard.kernels.neighbours import top_k
from tests import reference


def table(
    seed: int, n: int = 60, k: int = 8, d: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = np.random.default_rng(seed).standard_normal((n, d))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    groups = np.arange(n)
    return rows, *top_k(rows, rows, k, groups, groups)


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


@pytest.mark.parametrize(("seed", "k"), [(1, 8), (2, 5), (3, 2), (4, 1)])
def test_local_factor_agrees_with_its_slow_twin(seed: int, k: int) -> None:
    rows, indices, similarities = table(seed, k=k)
    expected = reference.ldof(rows.tolist(), indices.tolist())
    np.testing.assert_allclose(ldof(rows, indices, similarities), expected, rtol=1e-3)


def test_local_factor_agrees_where_neighbours_are_missing() -> None:
    rows, indices, similarities = table(4, n=20)
    for row, kept in ((0, 0), (1, 1), (2, 3)):
        indices[row, kept:] = -1
        similarities[row, kept:] = -1.0
    found = ldof(rows, indices, similarities)
    np.testing.assert_allclose(found, reference.ldof(rows.tolist(), indices.tolist()), rtol=1e-3)
    assert found[0] == found[1] == 1.0


def test_a_row_far_from_a_tight_cluster_has_a_factor_far_above_one() -> None:
    rng = np.random.default_rng(5)
    rows = np.array([1.0, 0, 0, 0]) + 0.05 * rng.standard_normal((31, 4))
    rows[30] = [0.6, 0.8, 0, 0]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    groups = np.arange(31)
    found = ldof(rows, *top_k(rows, rows, 8, groups, groups))
    assert found[30] > 5
    assert np.median(found[:30]) == pytest.approx(0.9, abs=0.25)


def test_copies_of_one_text_are_no_outliers_and_nothing_is_divided_by_zero() -> None:
    rows = np.tile(np.array([[1.0, 0, 0]], dtype=np.float32), (12, 1))
    groups = np.arange(12)
    assert ldof(rows, *top_k(rows, rows, 4, groups, groups)).tolist() == [1.0] * 12


def test_many_rows_are_worked_on_in_blocks_and_left_as_they_were() -> None:
    rows, indices, similarities = table(6, n=1200, k=3)
    before = indices.copy(), similarities.copy()
    found = ldof(rows, indices, similarities)
    for part in (slice(0, 3), slice(510, 515), slice(1195, 1200)):
        alone = ldof(rows, indices[part], similarities[part])
        np.testing.assert_allclose(found[part], alone, rtol=1e-5)
    assert (indices == before[0]).all()
    assert (similarities == before[1]).all()
    none = np.empty((0, 8), dtype=np.int64)
    assert ldof(rows, none, none.astype(np.float32)).shape == (0,)
