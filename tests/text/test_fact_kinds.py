from __future__ import annotations

import pytest

from ragguard.text.fact_kinds import kind

ORDINARY = {"however", "but", "header", "copper", "zinc"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("If", "can help"),
        ("", "ID"),
        ("ID", ""),
        ("two", ""),
        ("However", "But"),
        ("copper", "zinc"),
        ("Header", "Porto"),
        ("When", "If"),
        ("Porto", "the harbour"),
        ("40", "Porto"),
        ("reports", "reported"),
        ("Nov", "November"),
        ("Website", "Webseite"),
        ("Élan", "Elan"),
        ("sixteen", "16"),
        ("30 to 60", "30"),
        ("not only", "also"),
    ],
)
def test_a_revision_states_no_other_fact(ours: str, theirs: str) -> None:
    assert kind(ours.split(), theirs.split(), ORDINARY) == "wording"
    assert kind(theirs.split(), ours.split(), ORDINARY) == "wording"


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("40", "90", "number"),
        ("forty", "ninety", "number"),
        ("seconds", "minutes", "number"),
        ("no", "two", "number"),
        ("4 May", "12 June", "date"),
        ("Monday", "Friday", "date"),
        ("before", "after", "sense"),
        ("may", "must", "sense"),
        ("with", "without", "sense"),
        ("million", "billion", "number"),
        ("North", "South", "sense"),
        ("not", "", "negation"),
        ("never", "", "negation"),
        ("cannot", "can", "negation"),
        ("may not", "may", "negation"),
        ("does not contain", "contains", "negation"),
        ("won't", "will", "negation"),
        ("aware", "unaware", "negation"),
        ("Porto", "Leeds", "name"),
        ("Apple", "Facebook", "name"),
        ("Glendale Arizona", "Tampa Florida", "name"),
        ("Bank of Porto", "Leeds", "name"),
    ],
)
def test_a_fact_for_one_of_its_kind_or_a_negation_is_a_change(
    ours: str, theirs: str, expected: str
) -> None:
    assert kind(ours.split(), theirs.split(), ORDINARY) == expected
    assert kind(theirs.split(), ours.split(), ORDINARY) == expected
