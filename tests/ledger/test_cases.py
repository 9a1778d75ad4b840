"""Cases and decisions as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.ledger import cases
from ragguard.ledger.cases import CaseRow, DecisionRow
from ragguard.ledger.tables import Ledger
from tests.support.workspaces.ledger_rows import AT, case_row, commit, decision_on, version_row

REMOVAL: dict[str, Any] = {
    "kind": "removal",
    "document": "",
    "version": None,
    "detail": {"documents": ["a.md"]},
}


@pytest.fixture
def conn(ledger: Ledger) -> Iterator[sa.Connection]:
    """A transaction with two commits, a version, and cases: document, removal, another source."""
    with ledger.writing() as conn:
        commit(conn, 1, [version_row(1, "a.md", 1)])
        commit(conn, 2, at="2026-03-02T12:00:00Z")
        cases.add(conn, case_row(1))
        cases.add(conn, case_row(2, **REMOVAL))
        cases.add(conn, case_row(3, source="hr", opened=2))
        yield conn


def test_a_new_case_is_open_and_knows_when_it_was_opened(conn: sa.Connection) -> None:
    assert cases.get(conn, 1) == CaseRow(1, "document", "open", "wiki", "a.md", 1, {}, 1, None, AT)
    assert cases.get(conn, 3).opened_at == "2026-03-02T12:00:00Z"
    assert cases.get(conn, 4) is None


def test_open_cases_of_a_source_are_told_apart_by_kind(conn: sa.Connection) -> None:
    assert {k: v.id for k, v in cases.open_for(conn, "wiki").items()} == {"a.md": 1}
    assert [c.id for c in cases.open_removals(conn, "wiki")] == [2]
    assert cases.open_removals(conn, "wiki")[0].detail == {"documents": ["a.md"]}
    assert cases.open_removals(conn, "hr") == []
    assert cases.open_for(conn, "nobody") == {}


def test_a_closed_case_is_listed_only_when_asked_for(conn: sa.Connection) -> None:
    cases.close(conn, 1, "released", 2)
    closed = cases.get(conn, 1)
    assert closed is not None
    assert (closed.state, closed.closed) == ("released", 2)
    assert [c.id for c in cases.listed(conn)] == [2, 3]
    assert [c.id for c in cases.listed(conn, state="released")] == [1]
    assert [c.id for c in cases.listed(conn, state=None)] == [1, 2, 3]
    assert cases.open_for(conn, "wiki") == {}
    cases.close(conn, 2, "rejected", 2)
    assert cases.open_removals(conn, "wiki") == []


def test_cases_are_counted_by_source_and_state(conn: sa.Connection) -> None:
    cases.close(conn, 1, "superseded", 2)
    assert cases.counts(conn) == {
        ("wiki", "superseded"): 1,
        ("wiki", "open"): 1,
        ("hr", "open"): 1,
    }


def test_a_decision_is_found_by_its_case(conn: sa.Connection) -> None:
    row = DecisionRow(1, "release", "bob", "9a" * 32, "fine", ["hidden"], "bc" * 32, 2)
    cases.add_decision(conn, row)
    assert decision_on(conn, 1) == row
    assert decision_on(conn, 2) is None
