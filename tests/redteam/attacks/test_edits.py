from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ragguard.redteam.attacks.edits import candidates, edit_fact, other_number
from ragguard.redteam.attacks.terrain import SPARE, Kind
from tests.support.attacks.targets import handbook, run


def pool(kind: Kind) -> tuple[str, ...]:
    return SPARE[kind]


def changed_span(old: str, new: str) -> tuple[list[str], list[str]]:
    """Words left when the common beginning and end are taken away."""
    a, b = old.split(), new.split()
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return a, b


def test_a_fact_edit_differs_from_its_original_in_exactly_one_short_span() -> None:
    originals = {p.id: p.text for p in handbook().passages}
    planted = run("fact_edit", campaigns=100)
    assert len(planted) == 100
    for document in planted:
        old, new = changed_span(originals[document.original], document.text)
        assert old != new
        assert max(len(old), len(new)) <= 5, (old, new)


def test_every_kind_of_fact_gets_its_turn() -> None:
    rng = np.random.default_rng(2)
    kinds = Counter(
        found[1].kind
        for passage in handbook().passages
        if (found := edit_fact(passage.text, rng, pool)) is not None
    )
    assert set(kinds) == {"number", "date", "time", "name", "antonym", "negation"}
    assert min(kinds.values()) >= 3, kinds


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The tower is 324 metres tall", "number"),
        ("It weighs 1,250.5 kg in all", "number"),
        ("She came 3rd of many", "number"),
        ("It took seven attempts", "number"),
        ("A share of 12% went to staff", "number"),
        ("Founded in 1887 by two brothers", "date"),
        ("They met on 14 May 1921 in Rome", "date"),
        ("Due June 3, 2020 at the latest", "date"),
        ("The file of 2024-03-18 is final", "date"),
        ("Closed every Monday", "date"),
        ("Doors open at 18:30", "time"),
        ("The prize went to Helen Morrow", "name"),
        ("Pay before delivery", "antonym"),
        ("Visitors must sign in", "negation"),
        ("The door is not locked", "negation"),
    ],
)
def test_a_fact_is_recognised_and_changed(text: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = edit_fact(text, rng, pool, (kind,))
        assert found is not None
        assert found[0] != text
        assert found[1].kind == kind


@pytest.mark.parametrize("text", ["", "Hello there", "and so on", "version v1.2.3-rc4"])
def test_a_text_without_facts_is_left_alone(text: str) -> None:
    assert edit_fact(text, np.random.default_rng(0), pool) is None


@pytest.mark.parametrize("number", ["0", "1", "7", "19", "20", "100", "3.14", "0.5", "12,000"])
def test_another_number_has_the_same_form_and_another_value(number: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        other = other_number(number, rng)
        assert float(other.replace(",", "")) != float(number.replace(",", ""))
        assert len(other.partition(".")[2]) == len(number.partition(".")[2])


def test_a_year_stays_near_and_is_not_taken_for_a_number() -> None:
    found = candidates("It opened in 1887.", np.random.default_rng(0), pool)
    (edit,) = found
    assert edit.kind == "date"
    assert 1 <= abs(int(edit.new) - 1887) <= 15


def test_negation_is_put_in_behind_the_verb_and_taken_out_again() -> None:
    rng = np.random.default_rng(0)
    made, _ = edit_fact("Guests can stay", rng, pool, ("negation",)) or ("", None)
    assert made == "Guests cannot stay"
    back, _ = edit_fact(made, rng, pool, ("negation",)) or ("", None)
    assert back == "Guests can stay"
