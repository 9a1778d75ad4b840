"""A canary set: merged, checked, kept in the vault, named by the log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ragguard.canary import sets
from ragguard.canary.sets import Canaries, Forbidden
from ragguard.errors import LedgerError, UsageError, VaultError
from ragguard.lineage.prove import verify_log
from tests.support.simulator import Gate

SET = Canaries(
    {"q1": "how many days off?", "q2": "who signs?"},
    {"q1": {"wiki/leave.md": 1}},
    (Forbidden("wiki/forged.md", reason="forged"), Forbidden(pattern="4711", query="q2")),
    ("cf mn bb",),
)


def test_a_newer_text_or_grade_counts_and_nothing_stands_twice() -> None:
    newer = Canaries(
        {"q1": "how many days of leave?"},
        {"q1": {"wiki/leave.md": 2, "wiki/b.md": 1}},
        (SET.forbidden[0],),
        ("cf mn bb", "zq"),
    )
    made = sets.merge(SET, newer)
    assert made.queries == {"q1": "how many days of leave?", "q2": "who signs?"}
    assert made.qrels == {"q1": {"wiki/leave.md": 2, "wiki/b.md": 1}}
    assert made.forbidden == SET.forbidden
    assert made.triggers == ("cf mn bb", "zq")
    assert SET.qrels == {"q1": {"wiki/leave.md": 1}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"queries": {"q 1": "x"}}, "query id"),
        ({"queries": {"q1": " "}}, "characters of text"),
        ({"queries": {"q1": "x" * 2001}}, "characters of text"),
        ({"qrels": {"q9": {"wiki/a": 1}}}, "there is no query 'q9'"),
        ({"qrels": {"q1": {"leave.md": 1}}}, "no document id"),
        ({"qrels": {"q1": {"wiki/0f0e0d0c-0b0a-4908-8706-050403020100": 1}}}, "names a chunk"),
        ({"qrels": {"q1": {"wiki/a": 1001}}}, "out of bounds"),
        ({"forbidden": (Forbidden(),)}, "one of them"),
        ({"forbidden": (Forbidden(pattern="("),)}, "pattern"),
        ({"forbidden": (Forbidden("wiki/a", query="q9"),)}, "there is no query"),
        ({"triggers": ("",)}, "trigger"),
        ({"triggers": tuple(map(str, range(101)))}, "at most 100"),
    ],
)
def test_a_set_that_cannot_be_asked_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sets.check(Canaries(**{**{"queries": SET.queries}, **changes}))


def test_the_last_set_that_was_kept_is_in_force(gate: Gate) -> None:
    assert sets.in_force(gate.workspace) is None
    sets.keep(gate.workspace, SET)
    assert sets.in_force(gate.workspace) == SET
    name = sets.keep(gate.workspace, Canaries({"q9": "only this"}))
    assert gate.reopen().vault.has(name)
    assert sets.in_force(gate.workspace) == Canaries({"q9": "only this"})
    assert [a["digest"] for a in sets.acts(gate.workspace, "canary")] == [SET.digest, name]
    assert verify_log(gate.workspace).problems == []


def test_a_set_that_is_refused_is_not_logged(gate: Gate) -> None:
    with pytest.raises(UsageError):
        sets.keep(gate.workspace, Canaries({"a b": "x"}))
    assert sets.acts(gate.workspace, "canary") == []


def test_a_set_whose_bytes_were_changed_is_not_used(gate: Gate) -> None:
    name = sets.keep(gate.workspace, SET)
    path = gate.folder / "w/vault" / name[:2] / name
    path.write_bytes(path.read_bytes().replace(b"4711", b"4712"))
    with pytest.raises(VaultError, match="other bytes"):
        sets.in_force(gate.workspace)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("triggers"),
        lambda body: body.update(format="ragguard-canaries-v9"),
        lambda body: body.update(queries=[]),
        lambda body: body.update(forbidden=[{"colour": "red"}]),
        lambda body: body.update(queries={"a b": "x"}),
    ],
)
def test_other_bytes_are_no_set(change: Any) -> None:
    body = json.loads(sets.dump(SET))
    change(body)
    with pytest.raises(LedgerError, match="canary set"):
        sets.load(json.dumps(body).encode())


def test_queries_that_a_removal_touches_are_named() -> None:
    made = Canaries(SET.queries, {"q1": {"wiki/leave.md": 1}, "q2": {"wiki/leave.md": 0}})
    assert sets.touched(made, {"wiki/leave.md"}) == ["q1"]
    assert sets.touched(made, {"wiki/other.md"}) == []
