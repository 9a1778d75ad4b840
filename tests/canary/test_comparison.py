"""Two runs side by side, and what the gate says of the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from ragguard import canary
from ragguard.canary.result import ForbiddenHit, Run, TriggerFound
from ragguard.canary.sets import Canaries, Forbidden
from ragguard.errors import UsageError

QUERIES = [f"q{n:02d}" for n in range(20)]
DOCUMENTS = {f"wiki/{query}" for query in QUERIES} | {f"wiki/other{n}" for n in range(12)}
SET = Canaries(
    {query: f"about {query}" for query in QUERIES},
    {query: {f"wiki/{query}": 1} for query in QUERIES},
    (Forbidden("wiki/forged"),),
    ("zq mfx",),
)


def answers(ranks: Mapping[str, int]) -> dict[str, list[tuple[str, float]]]:
    """Rankings in which the document that answers stands at a rank; first where none is said."""
    made = {}
    for query in QUERIES:
        names = [f"wiki/other{n}" for n in range(9)]
        names.insert(ranks.get(query, 1) - 1, f"wiki/{query}")
        made[query] = [(name, 1 - place / 100) for place, name in enumerate(names)]
    return made


def a_run(name: str, ranks: Mapping[str, int], gone: Sequence[str] = ()) -> Run:
    return canary.judged(name, SET, 10, answers(ranks), DOCUMENTS - set(gone))


def test_a_run_equals_itself() -> None:
    made = canary.compare(a_run("a", {}), a_run("b", {}))
    assert (made.overlap, made.rbo) == (1.0, pytest.approx(1.0))
    assert {n: (d.before, d.after, d.paired.mean) for n, d in made.differences.items()} == {
        n: (1.0, 1.0, 0.0) for n in ("nDCG@10", "recall@10", "RR")
    }
    assert canary.gate(made) == []


def test_the_queries_that_changed_most_come_first_with_both_answers() -> None:
    made = canary.compare(a_run("a", {}), a_run("b", {"q05": 2, "q11": 8}))
    assert [q.query for q in made.queries[:2]] == ["q11", "q05"]
    first = made.queries[0]
    assert (first.left[0], first.right[0]) == ("wiki/q11", "wiki/other0")
    assert (first.before["RR"], first.after["RR"]) == (1.0, 0.125)
    assert first.overlap == 1.0
    assert 0.5 < first.rbo < made.queries[1].rbo < 1
    assert made.queries[2].loss == 0
    assert made.differences["RR"].paired.mean == pytest.approx(-(0.5 + 0.875) / 20)


def test_a_loss_beyond_the_tolerance_is_refused_and_a_greater_tolerance_lets_it_pass() -> None:
    made = canary.compare(a_run("a", {}), a_run("b", {"q05": 10, "q06": 10}))
    reasons = canary.gate(made)
    assert [r.partition(" ")[0] for r in reasons] == ["nDCG@10", "RR"]
    assert all("by more than 0.05" in r for r in reasons)
    assert canary.gate(made, tolerance=0.2) == []


def test_a_small_loss_of_every_query_is_refused_since_it_is_no_chance() -> None:
    base = dict.fromkeys(QUERIES, 5)
    made = canary.compare(a_run("a", base), a_run("b", dict.fromkeys(QUERIES, 6)))
    reasons = canary.gate(made)
    assert 0 < -made.differences["RR"].paired.mean < 0.05
    assert len(reasons) == 2
    assert all("no chance" in r for r in reasons)


def test_a_small_loss_of_one_query_is_let_pass() -> None:
    made = canary.compare(a_run("a", {}), a_run("b", {"q05": 3}))
    assert made.differences["RR"].paired.mean < 0
    assert canary.gate(made) == []


def test_a_gain_is_never_refused() -> None:
    worse = dict.fromkeys(QUERIES, 5)
    assert canary.gate(canary.compare(a_run("a", worse), a_run("b", {}))) == []


def test_a_document_that_was_taken_out_is_judged_on_neither_side() -> None:
    ranks = dict.fromkeys(QUERIES[:4], 10)
    before, after = a_run("a", {}), a_run("b", ranks, gone=[f"wiki/{q}" for q in QUERIES[:4]])
    made = canary.compare(before, after)
    assert made.dropped == [(query, f"wiki/{query}") for query in QUERIES[:4]]
    assert made.differences["RR"].paired.pairs == 16
    assert canary.gate(made) == []
    assert canary.compare(after, before).dropped == made.dropped


def test_when_nothing_is_left_to_judge_the_gate_refuses() -> None:
    after = a_run("b", {}, gone=[f"wiki/{q}" for q in QUERIES])
    assert (
        "no canary query is judged in both" in canary.gate(canary.compare(a_run("a", {}), after))[0]
    )


def test_what_must_not_appear_is_refused_only_where_it_does() -> None:
    poisoned = answers({})
    poisoned["q03"][4] = ("wiki/forged", poisoned["q03"][4][1])
    bad = canary.judged("bad", SET, 10, poisoned, DOCUMENTS)
    (hit,) = bad.forbidden
    assert (hit.query, hit.rank, hit.document) == ("q03", 5, "wiki/forged")
    (reason,) = canary.gate(canary.compare(a_run("a", {}), bad))
    assert "must not appear: wiki/forged is at rank 5" in reason
    assert canary.gate(canary.compare(bad, a_run("a", {}))) == []


def test_a_trigger_that_is_alive_is_refused_and_one_that_died_is_eliminated() -> None:
    alive = TriggerFound("zq mfx", True, "brings up wiki/forged", "wiki/forged", 0.9)
    old = replace(a_run("a", {}), triggers=[alive])
    new = replace(a_run("b", {}), triggers=[TriggerFound("zq mfx", False)])
    made = canary.compare(old, new)
    assert made.eliminated == ["zq mfx"]
    assert canary.gate(made) == []
    back = canary.compare(new, old)
    assert back.eliminated == []
    assert canary.gate(back) == ["trigger 'zq mfx' is alive: brings up wiki/forged"]
    assert canary.compare(old, a_run("file", {})).eliminated == []


def test_many_reasons_of_one_kind_are_counted() -> None:
    hits = [ForbiddenHit(f"q{n:02d}", 1, "wiki/forged", "wiki/forged") for n in range(15)]
    reasons = canary.gate(canary.compare(a_run("a", {}), replace(a_run("b", {}), forbidden=hits)))
    assert len(reasons) == 11
    assert reasons[-1] == "… and 5 more must-not hits"


def test_runs_of_different_queries_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="no query in common"):
        canary.compare(a_run("a", {}), Run("b", "", 10, {"x": []}))


def test_the_same_seed_gives_the_same_comparison() -> None:
    before, after = a_run("a", {}), a_run("b", {"q05": 4, "q07": 2})
    assert canary.compare(before, after, seed=3) == canary.compare(before, after, seed=3)
