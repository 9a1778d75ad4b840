"""The observed false-alarm rate, worked out from rows of the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ragguard.cli.quarantine.stats import verdict
from ragguard.ledger import cases
from ragguard.ledger import decided as decided_rows
from ragguard.ledger.observed import ObservedRate, observed, would_wait
from ragguard.ledger.tables import Ledger
from ragguard.stats.intervals import wilson
from tests.support.workspaces.ledger_rows import case_row, commit, version_row


def fill(
    ledger: Ledger,
    admitted: int,
    held: list[tuple[str, str]],
    *,
    kind: str = "ingest",
    source: str = "wiki",
) -> None:
    """One commit: documents admitted, and cases of (check, state)."""
    found = [{"check": c, "score": 1.0, "p_value": 0.001, "detail": "odd"} for c, _ in held]
    with ledger.writing() as conn:
        made = [version_row(n, f"a{n}.md", 1, source=source) for n in range(1, admitted + 1)]
        numbers = range(admitted + 1, admitted + len(held) + 1)
        for n, finding in zip(numbers, found, strict=True):
            row = version_row(n, f"h{n}.md", 1, source=source, outcome="quarantine")
            made.append(replace(row, findings=[{**finding, "facts": {}}]))
        commit(conn, 1, made, kind=kind)
        commit(conn, 2, kind="release")
        for n, (_, state) in zip(numbers, held, strict=True):
            cases.add(conn, case_row(n, f"h{n}.md", source=source, version=n))
            if state != "open":
                cases.close(conn, n, state, 2)


def rate(ledger: Ledger) -> ObservedRate:
    with ledger.reading() as conn:
        return observed(conn)


def test_the_rate_is_released_of_admitted_and_released(ledger: Ledger) -> None:
    states = ["released"] * 3 + ["rejected"] * 2 + ["open"] + ["superseded", "withdrawn"]
    fill(ledger, 97, [("collusion", s) for s in states])
    found = rate(ledger)
    assert (found.admitted, found.released, found.rejected, found.open) == (97, 3, 2, 1)
    assert found.rate == pytest.approx(0.03)
    assert found.interval == wilson(3, 100)
    assert found.if_open_honest == pytest.approx(4 / 101)


def test_it_is_told_by_source_and_by_check(ledger: Ledger) -> None:
    fill(ledger, 8, [("collusion", "released"), ("collusion", "open"), ("hidden", "released")])
    found = rate(ledger)
    assert set(found.by_source) == {"wiki"}
    assert found.by_check["collusion"].rate == pytest.approx(1 / 9)
    assert found.by_check["collusion"].open == 1
    assert found.by_check["hidden"].released == 1


def test_what_no_judgement_held_says_nothing_about_the_gate(ledger: Ledger) -> None:
    fill(ledger, 0, [("held", "released")] * 30, kind="hold")
    assert rate(ledger).honest == 0
    assert rate(ledger).binding == 0.0


def test_a_denied_text_that_was_admitted_once_is_not_honest(ledger: Ledger) -> None:

    fill(ledger, 5, [])
    with ledger.writing() as conn:
        row = decided_rows.DenialRow(1, f"{1:064x}", "0" * 64, "", "", "", 2)
        decided_rows.add_denial(conn, row)
    assert (rate(ledger).admitted, rate(ledger).rejected) == (4, 1)


def test_few_decisions_do_not_bind_a_promise(ledger: Ledger) -> None:
    fill(ledger, 100, [("collusion", "released")] * 19)
    assert rate(ledger).rate > 0.1
    assert rate(ledger).binding == 0.0


def test_twenty_decisions_do(ledger: Ledger) -> None:
    fill(ledger, 100, [("collusion", "released")] * 20)
    assert rate(ledger).binding == pytest.approx(20 / 120)


def test_what_observe_mode_would_have_held_counts_as_waiting(ledger: Ledger) -> None:
    finding: dict[str, Any] = {"check": "collusion", "score": 1.0, "p_value": 0.001}
    told = [{**finding, "detail": "odd", "facts": {"observed": True, "companions": ["wiki/b.md"]}}]
    noted = [{**finding, "detail": "says observed: true", "facts": {}}]
    with ledger.writing() as conn:
        rows = [
            version_row(1, "a.md", 1, findings=told),
            version_row(2, "b.md", 1, findings=told),
            version_row(3, "c.md", 1, findings=noted),
        ]
        commit(conn, 1, rows)
    with ledger.reading() as conn:
        assert [e.case.document for e in would_wait(conn)] == ["a.md", "b.md"]
    found = rate(ledger)
    assert (found.admitted, found.open) == (1, 2)
    assert found.by_check["collusion"].open == 2


def test_it_is_said_when_the_rates_part() -> None:
    checks = {"collusion": ObservedRate(970, 30, 0, 0)}
    bad = ObservedRate(970, 31, 5, 9, {"wiki": ObservedRate(970, 31, 5, 9)}, checks)
    said = " ".join(verdict(bad, 0.002))
    assert "asked 0.2 %, observed 3.1 % (2.2 %-4.4 %)" in said
    assert "most by collusion, and most of all in wiki" in said
    assert "next: " in said
    good = " ".join(verdict(ObservedRate(2000, 3, 5, 0), 0.002))
    assert "no more than asked" in good
    assert "next: " not in good
    assert "nothing was decided yet" in verdict(ObservedRate(2000, 0, 0, 4), 0.002)[0]
