from __future__ import annotations

import pytest

from ragguard.kernels.facts import kind

WORDS = {"however": 90, "but": 95, "copper": 1, "zinc": 1, "good": 60, "fine": 40, "reports": 1}


@pytest.mark.parametrize(
    ("ours", "theirs", "first", "expected"),
    [
        ("40", "90", False, "number"),
        ("forty", "ninety", False, "number"),
        ("%", "", False, "number"),
        ("seconds", "minutes", False, "number"),
        ("not", "", False, "sense"),
        ("before", "after", False, "sense"),
        ("aware", "unaware", False, "sense"),
        ("Porto", "Leeds", False, "name"),
        ("Apple", "Facebook", True, "name"),
        ("However", "But", True, "wording"),
        ("However", "But", False, "name"),
        ("copper", "zinc", False, "term"),
        ("reports", "reported", False, "wording"),
        ("good", "fine", False, "wording"),
        ("copper", "", False, "wording"),
    ],
)
def test_a_change_is_of_a_kind(ours: str, theirs: str, first: bool, expected: str) -> None:
    assert kind(ours.split(), theirs.split(), first, WORDS, 200) == expected


def test_where_no_words_are_known_none_is_rare_and_a_capital_is_a_name() -> None:
    assert kind(["copper"], ["zinc"], False, {}, 0) == "wording"
    assert kind(["However"], ["But"], True, {}, 0) == "wording"
    assert kind(["However"], ["But"], False, {}, 0) == "name"
