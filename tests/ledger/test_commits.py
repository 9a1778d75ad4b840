"""Commits, manifests, generations and trust roots as the ledger keeps them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ragguard.ledger import commits
from ragguard.ledger.commits import CommitRow, Generation
from ragguard.ledger.tables import Ledger
from ragguard.ledger.tables import commits as commit_table
from ragguard.ledger.tables import versions as version_table
from tests.support.workspaces.ledger_rows import AT, begin, commit, manifest_row, version_row


def test_a_commit_counts_only_when_it_is_confirmed(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        begin(conn, 1)
        assert [c.id for c in commits.pending(conn)] == [1]
        assert (commits.listed(conn), commits.get(conn, 1)) == ([], None)
        commits.confirm(conn, 1, "56" * 32, 7)
        assert commits.pending(conn) == []
        expected = CommitRow(
            id=1,
            kind="ingest",
            state="confirmed",
            at=AT,
            actor="alice",
            source="wiki",
            manifest="ab" * 32,
            plan="34" * 32,
            corpus="56" * 32,
            log_index=7,
            counts={"admit": 1},
        )
        assert commits.listed(conn) == [expected]
        assert commits.get(conn, 1) == expected


def test_a_pending_commit_has_neither_corpus_nor_place_in_the_log(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        begin(conn, 1, manifest=None, source=None)
        (row,) = commits.pending(conn)
    assert (row.corpus, row.log_index, row.manifest, row.source) == ("", None, "", "")


def test_commits_are_pending_oldest_first_and_listed_newest_first(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        for number in (1, 2, 3):
            commit(conn, number)
        for number in (4, 5):
            begin(conn, number)
        assert [c.id for c in commits.listed(conn)] == [3, 2, 1]
        assert [c.id for c in commits.listed(conn, limit=2)] == [3, 2]
        assert [c.id for c in commits.pending(conn)] == [4, 5]


def test_numbers_go_on_after_the_largest(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        assert commits.next_id(conn, commit_table) == 1
        begin(conn, 4, [version_row(9, "a.md", 4)])
        assert commits.next_id(conn, commit_table) == 5
        assert commits.next_id(conn, version_table) == 10


def test_a_commit_number_is_taken_once(ledger: Ledger) -> None:
    def twice() -> None:
        with ledger.writing() as conn:
            begin(conn, 1)
            begin(conn, 1)

    with pytest.raises(sa.exc.IntegrityError):
        twice()


# --- manifests ------------------------------------------------------------------------------------


def test_the_last_manifest_of_a_source_is_the_one_of_the_highest_version(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        commit(conn, 1)
        assert commits.last_manifest(conn, "wiki") is None
        for version in (1, 10, 9):
            commits.accept_manifest(conn, manifest_row(version))
        commits.accept_manifest(conn, manifest_row(99, "tickets"))
        assert commits.last_manifest(conn, "wiki") == (10, manifest_row(10).digest)
        assert commits.last_manifest(conn, "hr") is None


def test_a_manifest_is_found_by_its_digest(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        commit(conn, 1)
        commits.accept_manifest(conn, manifest_row(1))
        found = commits.manifest_row(conn, manifest_row(1).digest)
        assert (found.version, found.signers) == (1, [["9a" * 32, "alice"]])
        assert commits.manifest_row(conn, "00" * 32) is None


def test_a_source_has_one_manifest_of_a_version(ledger: Ledger) -> None:
    def twice() -> None:
        with ledger.writing() as conn:
            commit(conn, 1)
            commits.accept_manifest(conn, manifest_row(1))
            commits.accept_manifest(conn, manifest_row(1, digest="ff" * 32))

    with pytest.raises(sa.exc.IntegrityError, match="UNIQUE"):
        twice()


def test_a_manifest_that_comes_again_stays_with_the_commit_that_accepted_it(
    ledger: Ledger,
) -> None:
    with ledger.writing() as conn:
        commit(conn, 1)
        commit(conn, 2)
        commits.accept_manifest(conn, manifest_row(1))
        commits.accept_manifest(conn, manifest_row(1, commit=2, envelope="00" * 32))
        found = commits.manifest_row(conn, manifest_row(1).digest)
    assert (found.commit, found.envelope) == (1, "78" * 32)


# --- generations ----------------------------------------------------------------------------------

FIRST = Generation(1, "corpus-g1", "corpus-g1-quarantine", "r" * 64)


def test_a_generation_serves_with_its_recipe(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        assert commits.serving_generation(conn) is None
        commits.add_generation(conn, FIRST, {"model": "m", "dimensions": 384}, AT)
        assert commits.serving_generation(conn) == FIRST
        assert commits.recipe_body(conn, FIRST.recipe) == {"model": "m", "dimensions": 384}
        assert commits.recipe_body(conn, "0" * 64) == {}


def test_two_generations_may_share_a_recipe(ledger: Ledger) -> None:
    second = Generation(2, "corpus-g2", "corpus-g2-quarantine", FIRST.recipe)
    with ledger.writing() as conn:
        commits.add_generation(conn, FIRST, {"dimensions": 384}, AT)
        commits.add_generation(conn, second, {"dimensions": 384}, AT)
        assert commits.recipe_body(conn, FIRST.recipe) == {"dimensions": 384}


# --- trust roots ----------------------------------------------------------------------------------


def test_the_last_root_is_the_one_of_the_highest_version(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        assert commits.last_root(conn) is None
        for version in (1, 3, 2):
            commits.add_root(conn, version, b"envelope %d" % version, f"{version:064x}")
        assert commits.last_root(conn) == (3, b"envelope 3", f"{3:064x}")


def test_a_root_version_is_remembered_once(ledger: Ledger) -> None:
    def twice() -> None:
        with ledger.writing() as conn:
            commits.add_root(conn, 1, b"a", "0" * 64)
            commits.add_root(conn, 1, b"b", "1" * 64)

    with pytest.raises(sa.exc.IntegrityError):
        twice()
