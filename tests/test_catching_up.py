"""What came in while the index was too small to judge it is judged as soon as the index can."""

from __future__ import annotations

import pytest

from ragguard.steps import catching_up

NEEDED = 499  # documents at the default rate


@pytest.mark.parametrize("indexed", [0, 1, 132, 498, 499, 600])
def test_nothing_is_judged_while_too_few_would_be_left_to_say_what_is_usual(indexed: int) -> None:
    assert catching_up.block(indexed, NEEDED) == 0


@pytest.mark.parametrize("indexed", [624, 700, 998, 1500, 4000, 100_000])
def test_blocks_leave_as_many_as_are_needed_and_are_no_crumbs(indexed: int) -> None:
    size = catching_up.block(indexed, NEEDED)
    assert indexed - size >= NEEDED
    assert size <= min(256, indexed / 2)
    assert size >= min(128, indexed * 0.15)
    last = indexed % size or size
    assert size - last <= -(-indexed // size)  # the last is nearly as large
