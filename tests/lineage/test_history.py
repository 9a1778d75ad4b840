"""History: one commit, two commits, and the corpus at any of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from ragguard.errors import UsageError
from ragguard.ledger.tables import membership
from ragguard.lineage.history import diff, show
from ragguard.quarantine.review import decide
from tests.support.simulator import HONEST, SUSPECT, Gate

NEWER = HONEST["leave.md"].replace("27", "28")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Three commits: five documents of which one waits, its release, and a change."""
    gate = Gate(tmp_path_factory.mktemp("history"))
    names = ("leave.md", "laptops.md", "invoices.md", "visitors.md", "releases.md", "contracts.md")
    gate.publish({**{n: HONEST[n] for n in names}, "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "a drill")
    (gate.publisher.folder / "visitors.md").unlink()
    gate.publish({"leave.md": NEWER})
    yield gate
    gate.close()


def test_a_commit_says_who_signed_and_what_came(past: Gate) -> None:
    shown = show(past.workspace, 1)
    assert (shown.row.kind, list(shown.signers), shown.agrees) == ("ingest", ["alice"], True)
    held = [m.version.document for m in shown.moves if m.zone == "quarantine" and m.entered]
    assert held == ["safe.md"]
    assert len(shown.serving) == 6


def test_a_release_says_who_decided_and_why(past: Gate) -> None:
    shown = show(past.workspace, 2)
    assert list(shown.decisions) == [
        {
            "document": "wiki/safe.md",
            "action": "release",
            "reviewer": "bob",
            "reason": "a drill",
        }
    ]
    assert {(m.zone, m.entered) for m in shown.moves} == {("serving", True), ("quarantine", False)}
    assert "wiki/safe.md" in shown.serving


def test_every_state_is_the_logged_one(past: Gate) -> None:
    shown = [show(past.workspace, n) for n in (1, 2, 3)]
    assert [s.agrees for s in shown] == [True] * 3
    assert len({s.state for s in shown}) == 3


def test_two_commits_differ_by_what_came_went_and_changed(past: Gate) -> None:
    made = diff(past.workspace, 1, 3)
    assert [r.document for r in made.added] == ["safe.md"]
    assert [r.document for r in made.removed] == ["visitors.md"]
    assert [(a.document, a.digest != b.digest) for a, b in made.changed] == [("leave.md", True)]
    assert [r.id for r in made.between] == [2, 3]


def test_the_other_way_round_what_came_has_gone(past: Gate) -> None:
    made = diff(past.workspace, 3, 1)
    assert [r.document for r in made.removed] == ["safe.md"]
    assert [r.document for r in made.added] == ["visitors.md"]
    assert [r.id for r in made.between] == [2, 3]


def test_a_commit_that_never_was_is_a_usage_error(past: Gate) -> None:
    with pytest.raises(UsageError, match="commit 9: there is none"):
        show(past.workspace, 9)


def test_a_past_that_was_edited_is_not_the_logged_one(gate: Gate) -> None:
    gate.publish({n: HONEST[n] for n in ("leave.md", "laptops.md")})
    assert show(gate.workspace, 1).agrees
    with gate.workspace.ledger.writing() as conn:
        conn.execute(sa.delete(membership).where(membership.c.id == 1))
    assert not show(gate.workspace, 1).agrees
