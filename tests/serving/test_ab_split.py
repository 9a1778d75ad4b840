"""The split of a trial: by the query alone, the same everywhere, and of the size asked for."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from ragguard.serving.ab_split import plain_query, query_digest, takes_part

SALT = "a salt"
QUERIES = [f"what is {number:x}" for number in np.random.default_rng(5).integers(0, 2**60, 20_000)]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_share_of_random_queries_takes_part(share: float) -> None:
    """Within the binomial 99.9 % interval: 3.29 standard deviations."""
    n = len(set(QUERIES))
    found = sum(takes_part(query, share, SALT) for query in set(QUERIES))
    assert abs(found - n * share) < 3.29 * (n * share * (1 - share)) ** 0.5


def test_a_larger_share_holds_the_queries_of_a_smaller_one() -> None:
    parts = [
        {query for query in QUERIES[:5000] if takes_part(query, share, SALT)}
        for share in (0.05, 0.1, 0.3, 0.8)
    ]
    assert all(small < large for small, large in pairwise(parts))


def test_nobody_takes_part_in_nothing_and_everybody_in_all() -> None:
    assert not any(takes_part(query, 0.0, SALT) for query in QUERIES)
    assert all(takes_part(query, 1.0, SALT) for query in QUERIES)


def test_another_salt_picks_other_queries() -> None:
    one, other = ({q for q in QUERIES if takes_part(q, 0.1, s)} for s in (SALT, "another"))
    both = len(one & other)
    assert abs(both - 200) < 3.29 * (20_000 * 0.01 * 0.99) ** 0.5  # as if drawn independently


def test_case_spaces_and_unicode_form_make_no_other_query() -> None:
    assert plain_query("  Caf\u00e9\t OPEN ") == plain_query("cafe\u0301 open")
    for query in QUERIES[:200]:
        assert takes_part(query, 0.5, SALT) == takes_part(f" {query.upper()}\n", 0.5, SALT)
    assert query_digest("Who\u2003signs") == query_digest("who signs")
    assert query_digest("who signs") != query_digest("who signed")


def test_salt_and_query_do_not_run_into_one_another() -> None:
    sides = [(takes_part("bc" + q, 0.5, "a"), takes_part("c" + q, 0.5, "ab")) for q in QUERIES[:64]]
    assert any(one != other for one, other in sides)


def test_a_text_that_is_no_unicode_takes_a_side_too() -> None:
    assert takes_part("\ud800", 1.0, SALT)
    assert len(query_digest("\ud800")) == 64


def test_another_process_splits_alike() -> None:
    program = (
        "import sys; from ragguard.serving.ab_split import takes_part; "
        f"print(''.join(str(int(takes_part(q, 0.5, {SALT!r}))) for q in sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *QUERIES[:100]],
        capture_output=True,
        text=True,
        check=True,
    )
    here = "".join(str(int(takes_part(q, 0.5, SALT))) for q in QUERIES[:100])
    assert done.stdout.strip() == here
    assert len(set(here)) == 2
