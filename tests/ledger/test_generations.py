"""Generations: which state each is in after which commit."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.corpus.state import retirements, switches
from ragguard.ledger import audit_queries, commits, log, versions
from ragguard.ledger.commits import Generation, Switch
from ragguard.ledger.tables import Ledger
from ragguard.ledger.tables import commits as table


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger in which generation 1 serves."""
    with ledger.writing() as conn:
        commits.add_generation(conn, Generation(1, "c-g1", "c-g1-quarantine", "r1"), {}, "t1")
    return ledger


def row(number: int, **rest: Any) -> Switch:
    return Switch(number, f"c-g{number}", f"c-g{number}-quarantine", f"r{number}", **rest)


def switched(ledger: Ledger, made: Switch) -> dict[int, str]:
    """States in the ledger after a commit's row; the audit's own derivation must agree."""
    with ledger.writing() as conn:
        before = {n: state for n, (state, _) in commits.generation_states(conn).items()}
        commits.switch_generation(conn, made)
        after = {n: state for n, (state, _) in commits.generation_states(conn).items()}
    assert commits.after_switch(before, made) == after
    return after


def test_a_new_generation_serves_and_the_old_one_is_retired(ledger: Ledger) -> None:
    assert switched(ledger, row(2, body={"dimensions": 3}, at="t2")) == {1: "retired", 2: "serving"}
    with ledger.reading() as conn:
        found = commits.serving_generation(conn)
        assert found == Generation(2, "c-g2", "c-g2-quarantine", "r2")
        assert commits.recipe_body(conn, "r2") == {"dimensions": 3}


def test_a_candidate_retires_nobody_until_it_serves(ledger: Ledger) -> None:
    staged = row(2, body={}, at="t2", state="candidate")
    assert switched(ledger, staged) == {1: "serving", 2: "candidate"}
    with ledger.reading() as conn:
        assert [g.id for g in commits.generations_in(conn, "candidate")] == [2]
    again = row(2, again=True, state="serving")
    assert switched(ledger, again) == {1: "retired", 2: "serving"}
    with ledger.reading() as conn:
        assert commits.generation_states(conn)[2] == ("serving", "t2")  # when it was built
    assert switched(ledger, again) == {1: "retired", 2: "serving"}


def test_what_is_given_up_loses_its_seals_and_no_other(ledger: Ledger) -> None:
    switched(ledger, row(2, body={}, at="t2", state="candidate"))
    with ledger.writing() as conn:
        for name in ("c-g1", "c-g2", "c-g2-quarantine"):
            versions.set_seals(conn, name, {"p": "s"})
    gone = row(2, again=True, state="dropped", drops=[row(2).pair])
    assert switched(ledger, gone) == {1: "serving", 2: "dropped"}
    with ledger.reading() as conn:
        counts = {
            n: audit_queries.count_seals(conn, n) for n in ("c-g1", "c-g2", "c-g2-quarantine")
        }
    assert counts == {"c-g1": 1, "c-g2": 0, "c-g2-quarantine": 0}


def test_the_log_tells_when_each_generation_last_ceased_to_serve(ledger: Ledger) -> None:
    """Also where a rebuild was logged before the log named generations."""
    history: list[tuple[str, dict[str, Any]]] = [
        ("ingest", {}),
        ("reindex", {}),  # of an older ragguard: generation 2
        ("reindex", {"generation": {"id": 3, "state": "serving"}}),
        ("rollback", {}),  # to a commit
        ("stage", {"generation": {"id": 4, "state": "candidate"}}),
        ("cutover", {"generation": {"id": 4, "state": "dropped"}}),
        ("rollback", {"generation": {"id": 2, "state": "serving"}}),
    ]
    with ledger.writing() as conn:
        for number, (kind, body) in enumerate(history, start=1):
            index = log.append(conn, {"act": kind, "commit": number, **body})
            values = {"id": number, "kind": kind, "state": "confirmed", "at": "t", "actor": "a"}
            values |= {"plan": "p", "log_index": index, "counts": {}}
            conn.execute(sa.insert(table), values)
    with ledger.reading() as conn:
        assert retirements(conn) == {1: 2, 2: 3, 3: 7}
        told = {r.id for r in commits.listed(conn) if switches(conn, r)}
    assert told == {2, 3, 5, 6, 7}
