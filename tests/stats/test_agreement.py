"""Cohen's kappa."""

from __future__ import annotations

import pytest

from ragguard.stats.agreement import cohen


def test_kappa_is_that_of_the_paper() -> None:
    # 20 agree on yes, 5 and 10 differ, 15 agree on no: 0.7 observed, 0.5 by chance.
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    found = cohen(pairs)
    assert (found.n, found.agreed) == (50, 35)
    assert found.kappa == pytest.approx(0.4)
    assert found.interval == pytest.approx((0.1250, 0.6179), abs=1e-4)


def test_raters_who_always_differ_have_kappa_below_chance() -> None:
    found = cohen([("y", "n"), ("n", "y")])
    assert found.kappa == pytest.approx(-1.0)


@pytest.mark.parametrize("pairs", [[], [("y", "y")] * 3])
def test_where_chance_alone_agrees_there_is_no_kappa(pairs: list[tuple[str, str]]) -> None:
    found = cohen(pairs)
    assert (found.n, found.kappa, found.interval) == (len(pairs), None, None)
