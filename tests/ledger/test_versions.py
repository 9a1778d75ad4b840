"""What is in the corpus, as queries: zones, versions, points, seals, vectors, denials."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.ledger import cases, versions
from ragguard.ledger import decided as decided_rows
from ragguard.ledger.cases import DecisionRow
from ragguard.ledger.tables import Ledger
from ragguard.ledger.tables import vectors as vector_rows
from ragguard.trust import merkle
from ragguard.trust.canonical import canonical
from tests.support.workspaces.ledger_rows import begin, case_row, commit, point_row, version_row

KEY = bytes(range(32))
MANY = 2 * versions.BATCH + 1  # more than one statement may bind


def test_a_version_is_read_back_whole(ledger: Ledger) -> None:
    row = version_row(1, "a.md", 1, p_value=0.5, findings=[{"check": "hidden"}])
    with ledger.writing() as conn:
        commit(conn, 1, [row])
        found = versions.version(conn, 1)
        assert found is not None
        assert found == row
        assert versions.version(conn, 2) is None


def test_members_are_in_their_zone_from_a_commit_to_a_commit(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        rows = [version_row(1, "a.md", 1), version_row(2, "b.md", 1)]
        commit(conn, 1, rows, enter=[(1, "serving"), (2, "quarantine")])
        assert versions.members(conn, "serving").keys() == {"wiki/a.md"}
        assert versions.members(conn, "quarantine").keys() == {"wiki/b.md"}
        moves: dict[str, Any] = {"leave": [(2, "quarantine")], "enter": [(2, "serving")]}
        commit(conn, 2, **moves)
        assert versions.members(conn, "serving").keys() == {"wiki/a.md", "wiki/b.md"}
        assert versions.members(conn, "quarantine") == {}
        commit(conn, 3, leave=[(1, "serving"), (2, "quarantine")])
        assert versions.members(conn, "serving").keys() == {"wiki/b.md"}
        commit(conn, 4, enter=[(1, "serving")])
        assert versions.entered(conn, 1) == [1, 4]
        assert versions.entered(conn, 2) == [2]


def test_members_can_be_asked_for_one_source(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        rows = [version_row(1, "a.md", 1), version_row(2, "a.md", 1, source="hr")]
        commit(conn, 1, rows, enter=[(1, "serving"), (2, "serving")])
        assert versions.members(conn, "serving", "hr").keys() == {"hr/a.md"}
        assert versions.members(conn, "serving").keys() == {"hr/a.md", "wiki/a.md"}


def test_the_latest_version_is_the_newest_confirmed_whatever_its_verdict(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        commit(conn, 1, [version_row(1, "a.md", 1), version_row(2, "b.md", 1)])
        commit(conn, 2, [version_row(3, "a.md", 2, outcome="reject")])
        begin(conn, 3, [version_row(4, "a.md", 3), version_row(5, "c.md", 3)])
        assert {k: v.id for k, v in versions.latest(conn, "wiki").items()} == {"a.md": 3, "b.md": 2}
        assert versions.latest(conn, "hr") == {}


# --- the state of the corpus ----------------------------------------------------------------------


def test_the_state_of_an_empty_corpus_is_the_empty_tree(ledger: Ledger) -> None:
    with ledger.reading() as conn:
        assert versions.corpus_digest(conn) == merkle.EMPTY_ROOT.hex()


def test_the_state_is_the_merkle_root_over_serving_documents_in_order(ledger: Ledger) -> None:
    rows = [
        version_row(1, "z.md", 1),
        version_row(2, "a.md", 1),
        version_row(3, "m.md", 1, source="hr"),
        version_row(4, "waits.md", 1),
    ]
    with ledger.writing() as conn:
        zones = [(1, "serving"), (2, "serving"), (3, "serving"), (4, "quarantine")]
        commit(conn, 1, rows, enter=zones)
        found = versions.corpus_digest(conn)
    listed = [
        ["hr", "m.md", f"{3:064x}", "cd" * 32],
        ["wiki", "a.md", f"{2:064x}", "cd" * 32],
        ["wiki", "z.md", f"{1:064x}", "cd" * 32],
    ]
    assert found == merkle.root([merkle.leaf_hash(canonical(x)) for x in listed]).hex()


@pytest.mark.parametrize("changed", ["source", "document", "digest", "metadata_digest"])
def test_the_state_tells_any_difference_of_a_document(ledger: Ledger, changed: str) -> None:
    with ledger.writing() as conn:
        commit(conn, 1, [version_row(1, "a.md", 1)], enter=[(1, "serving")])
        before = versions.corpus_digest(conn)
        row = version_row(2, "a.md", 2, digest=f"{1:064x}")
        commit(conn, 2, [replace(row, **{changed: "other"})])
        versions.leave(conn, [(1, "serving")], 2)
        versions.enter(conn, [(2, "serving")], 2)
        assert versions.corpus_digest(conn) != before


# --- points and seals -----------------------------------------------------------------------------


def test_points_come_in_chunk_order_for_every_version_asked(ledger: Ledger) -> None:
    rows = [version_row(n, f"{n}.md", 1) for n in range(1, MANY + 1)]
    points = [point_row(n, 0, f"p{n}") for n in range(1, MANY + 1)]
    with ledger.writing() as conn:
        commit(conn, 1, rows, [*points, point_row(1, 2, "p1c"), point_row(1, 1, "p1b")])
        found = versions.points_of(conn, [*range(1, MANY + 1), MANY + 7])
    assert len(found) == MANY + 1
    assert [p.point for p in found[1]] == ["p1", "p1b", "p1c"]
    assert [(p.point, p.start, p.end) for p in found[MANY]] == [(f"p{MANY}", 0, 10)]
    assert found[MANY + 7] == []


def test_a_point_belongs_to_its_newest_confirmed_version(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        commit(conn, 1, [version_row(1, "a.md", 1)], [point_row(1, 0, "p")])
        commit(conn, 2, [version_row(2, "a.md", 2)], [point_row(2, 0, "p")])
        begin(conn, 3, [version_row(3, "a.md", 3)], [point_row(3, 0, "p"), point_row(3, 1, "q")])
        found = versions.version_of_point(conn, "p")
        assert found is not None
        assert found.id == 2
        assert versions.version_of_point(conn, "q") is None


def test_a_point_has_one_current_seal_in_a_collection(ledger: Ledger) -> None:
    ids = [f"p{n}" for n in range(MANY)]
    with ledger.writing() as conn:
        versions.set_seals(conn, "c", dict.fromkeys(ids, "old"))
        versions.set_seals(conn, "d", {"p0": "elsewhere"})
        versions.set_seals(conn, "c", {"p0": "new", f"p{MANY - 1}": "new"})
        versions.set_seals(conn, "c", {})
        assert [versions.seal_of(conn, "c", p) for p in ("p0", "p1")] == ["new", "old"]
        versions.drop_seals(conn, "c", ids)
        assert {versions.seal_of(conn, "c", p) for p in ids} == {None}
        assert versions.seal_of(conn, "d", "p0") == "elsewhere"


# --- vectors --------------------------------------------------------------------------------------


def test_a_vector_is_found_by_recipe_and_text(ledger: Ledger) -> None:
    digests = [f"{n:064x}" for n in range(MANY)]
    with ledger.writing() as conn:
        versions.add_vectors(conn, "r1", "pack", digests, KEY)
        versions.add_vectors(conn, "r1", "empty", [], KEY)
        found = versions.known_vectors(conn, "r1", [*digests, "ff" * 32], KEY)
        assert found == {d: ("pack", n) for n, d in enumerate(digests)}
        assert versions.known_vectors(conn, "r2", digests, KEY) == {}
        assert versions.known_vectors(conn, "r1", [], KEY) == {}


@pytest.mark.parametrize("how", ["other pack", "other row", "other text", "no tag", "other key"])
def test_a_place_that_another_hand_wrote_is_not_believed(ledger: Ledger, how: str) -> None:
    texts = ["aa" * 32, "bb" * 32]
    with ledger.writing() as conn:
        versions.add_vectors(conn, "r1", "pack", texts, bytes(32) if how == "other key" else KEY)
        first = vector_rows.c.text_digest == texts[0]
        rows = dict(conn.execute(sa.select(vector_rows.c.text_digest, vector_rows.c.pack)).all())
        changes = {
            "other pack": {"pack": rows[texts[0]].replace("pack", "poison")},
            "other row": {"row": 1},
            "other text": {"pack": rows[texts[1]], "row": 1},
            "no tag": {"pack": "pack"},
            "other key": {"row": 0},
        }
        conn.execute(sa.update(vector_rows).where(first).values(**changes[how]))
        found = versions.known_vectors(conn, "r1", texts, KEY)
        assert texts[0] not in found
        versions.add_vectors(conn, "r1", "anew", texts[:1], KEY)
        assert versions.known_vectors(conn, "r1", texts[:1], KEY) == {texts[0]: ("anew", 0)}


# --- release and denial ---------------------------------------------------------------------------


def decide(conn: sa.Connection, case: int, version: int, action: str, covers: list[str]) -> None:
    cases.add(conn, case_row(case, version=version))
    row = DecisionRow(case, action, "bob", "9a" * 32, "seen", covers, "bc" * 32, 1)
    cases.add_decision(conn, row)


def test_releases_of_the_same_bytes_cover_their_findings_together(ledger: Ledger) -> None:
    same = f"{1:064x}"
    rows = [
        version_row(1, "a.md", 1),
        version_row(2, "a.md", 1, digest=same),
        version_row(3, "a.md", 1, digest=same),
        version_row(4, "a.md", 1),
    ]
    with ledger.writing() as conn:
        commit(conn, 1, rows)
        decide(conn, 1, 1, "release", ["hidden"])
        decide(conn, 2, 2, "release", ["isolation"])
        decide(conn, 3, 3, "reject", ["secrets"])
        decide(conn, 4, 4, "release", [])
        assert decided_rows.released(conn, "wiki") == {
            ("a.md", same, "cd" * 32): {"hidden", "isolation"},
            ("a.md", f"{4:064x}", "cd" * 32): set(),
        }
        assert decided_rows.released(conn, "hr") == {}


def test_denials_are_kept_in_order(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        commit(conn, 1, [version_row(1, "a.md", 1)])
        assert decided_rows.denied(conn) == []
        for digest in ("b" * 64, "a" * 64):
            row = decided_rows.DenialRow(1, digest, "c" * 64, *["00" * 32] * 3, 1)
            decided_rows.add_denial(conn, row)
        assert [row.digest[0] for row in decided_rows.denied(conn)] == ["b", "a"]


# --- arrivals -------------------------------------------------------------------------------------


def test_arrivals_are_what_came_in_or_waits_since_a_time(ledger: Ledger) -> None:
    rows = [
        version_row(number, f"{number}.md", 1, outcome=outcome)
        for number, outcome in enumerate(("admit", "quarantine", "reject", "admit"), start=1)
    ]
    with ledger.writing() as conn:
        commit(conn, 1, rows, at="2026-03-01T12:00:00Z")
        commit(conn, 2, [version_row(5, "5.md", 2)], at="2026-03-02T12:00:00Z")
        commit(conn, 3, [version_row(6, "6.md", 3, source="hr")], at="2026-03-02T12:00:00Z")
        begin(conn, 4, [version_row(7, "7.md", 4)], at="2026-03-02T12:00:00Z")
        counted = {
            since: versions.arrivals_since(conn, "wiki", since)
            for since in ("2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z", "2026-03-03T00:00:00Z")
        }
    assert list(counted.values()) == [4, 1, 0]
