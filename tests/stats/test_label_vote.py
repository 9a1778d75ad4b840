from __future__ import annotations

import numpy as np
import pytest

from ragguard.stats import label_vote

DICE = np.random.default_rng(5)


def test_a_document_votes_once_by_its_nearest_chunk() -> None:
    owners = np.array([0, 0, 0, 1])
    voters = np.array([7, 7, 8, 7])
    close = np.array([0.5, 0.9, 0.8, 0.4], dtype=np.float32)
    found = label_vote.ballots(owners, voters, close, k=5, sharpness=10.0)
    assert found.documents.tolist() == [0, 0, 1]
    assert found.voters.tolist() == [7, 8, 7]
    assert found.weights == pytest.approx([1.0, np.exp(-1.0), 1.0], rel=1e-5)


def test_only_the_nearest_k_vote() -> None:
    close = np.linspace(0.9, 0.1, 9).astype(np.float32)
    found = label_vote.ballots(np.zeros(9, dtype=np.int64), np.arange(9), close, k=3, sharpness=1.0)
    assert found.voters.tolist() == [0, 1, 2]


def test_shares_are_of_the_weight_of_those_who_have_a_value() -> None:
    found = label_vote.Ballots(np.array([0, 0, 0]), np.array([1, 2, 3]), np.array([1.0, 0.5, 0.5]))
    parts, voters = label_vote.shares(found, np.array([-1, 0, 1, -1]), 2, 2)
    assert parts == pytest.approx(np.array([[2 / 3, 1 / 3], [0.0, 0.0]]))
    assert voters.tolist() == [2, 0]


def test_the_regression_tells_two_clouds_apart() -> None:
    centres = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    codes = np.arange(200) % 2
    clouds = (centres[codes] + 0.1 * DICE.standard_normal((200, 3))).astype(np.float32)
    ridge = label_vote.Ridge(clouds[:100], 1.0)
    expected = ridge.predict(codes[:100], 2, clouds[100:])
    assert (expected.argmax(axis=1) == codes[100:]).all()
    assert expected.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_odds_no_peer_has_are_rare_and_those_all_have_are_not() -> None:
    known = np.linspace(0.0, 1.0, 99)
    values = np.zeros(99, dtype=np.int64)
    rare = label_vote.surprise(np.array([2.0, -1.0]), np.array([0, 0]), known, values)
    assert rare[0] == pytest.approx(-np.log(4.0 * 0.01 / 103.0))
    assert rare[1] == pytest.approx(0.0)


def test_a_value_usually_at_odds_is_held_against_its_own_kind() -> None:
    known = np.array([0.0] * 90 + [3.0] * 10)
    values = np.array([0] * 90 + [1] * 10)
    rare = label_vote.surprise(np.array([3.0, 3.0]), np.array([0, 1]), known, values)
    assert rare[0] > 5.0
    assert rare[1] < 0.5


@pytest.mark.parametrize(
    ("right", "values", "expected"),
    [
        ([True] * 8, [0] * 4 + [1] * 4, 1.0),
        ([True] * 4 + [False] * 4, [0] * 4 + [1] * 4, (5 / 9 - 0.5) / 0.5),
        ([True] * 7 + [False], [0] * 8, 8 / 9),
        ([False] * 8, [0] * 4 + [1] * 4, 0.0),
        ([], [], 1.0),
    ],
    ids=["all right", "half", "one value only", "none", "nobody"],
)
def test_agreement_is_beyond_chance(right: list[bool], values: list[int], expected: float) -> None:
    found = label_vote.agreement(np.array(right, dtype=bool), np.array(values, dtype=np.int64))
    assert found == pytest.approx(expected)


def test_margins_are_log_odds_with_a_share_for_everybody() -> None:
    parts = np.array([[0.75, 0.25], [0.75, 0.25]])
    found = label_vote.margins(parts, np.array([0, 1]), 0.05)
    assert found == pytest.approx([0.0, np.log(0.8 / 0.3)])
