"""Spectral signatures: a planted group off its cluster, and honest clusters without one."""

import numpy as np
import pytest

from ragguard.detect.index_campaigns import LEAST, signature


def cluster(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = np.eye(1, 64) + 0.6 * rng.normal(size=(n, 64)) / 8
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def with_group(n: int, planted: int, seed: int) -> np.ndarray:
    rows = cluster(n, seed)
    other = np.zeros(64)
    other[5] = 2.0
    rows[:planted] += other.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("planted", [6, 20])
def test_a_group_that_stands_off_along_one_direction_is_the_least_usual(planted: int) -> None:
    rows = with_group(400, planted, 1)
    offsets, p_values = signature(rows)
    assert set(np.argsort(p_values)[:planted]) == set(range(planted))
    assert (p_values[:planted] * len(rows) < 1e-3).all()
    assert len(set(np.sign(offsets[:planted]))) == 1


@pytest.mark.parametrize("seed", range(5))
def test_an_honest_cluster_has_no_row_that_is_less_usual_than_one_in_all_of_it(seed: int) -> None:
    rows = cluster(400, seed)
    assert (signature(rows)[1] * len(rows) > 1e-3).all()


def test_order_does_not_matter() -> None:
    rows = with_group(300, 9, 2)
    order = np.random.default_rng(3).permutation(len(rows))
    np.testing.assert_allclose(
        np.abs(signature(rows[order])[0]), np.abs(signature(rows)[0])[order], atol=1e-6
    )


@pytest.mark.parametrize("n", [0, 1, LEAST - 1])
def test_few_rows_have_no_direction(n: int) -> None:
    offsets, p_values = signature(cluster(n, 0) if n else np.empty((0, 64), dtype=np.float32))
    assert (len(offsets), len(p_values)) == (n, n)
    assert not offsets.any()
    assert (p_values == 1).all()


def test_equal_rows_have_no_direction() -> None:
    rows = np.repeat(cluster(1, 0), 80, axis=0)
    assert (signature(rows)[1] == 1).all()
