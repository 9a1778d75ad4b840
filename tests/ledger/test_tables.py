"""The ledger's database: made once, refused when it is another's, all or nothing when written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragguard.errors import IncompleteError, LedgerError
from ragguard.ledger.tables import SCHEMA_VERSION, Ledger, get_meta, meta, set_meta
from tests.support.workspaces.ledger_rows import begin, version_row


def test_what_is_written_is_there_when_opened_again(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        set_meta(conn, "origin", "first")
        set_meta(conn, "origin", "second")
    ledger.close()
    again = Ledger(str(ledger.engine.url))
    with again.reading() as conn:
        assert get_meta(conn, "origin") == "second"
        assert get_meta(conn, "nothing") is None
    again.close()


def test_sqlite_is_durable_strict_and_patient(ledger: Ledger) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with ledger.reading() as conn:
        found = [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert found == ["wal", 2, 1, 10_000]  # synchronous 2 is FULL


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "other.db").close()
    with pytest.raises(LedgerError, match="schema missing") as caught:
        Ledger(f"sqlite:///{tmp_path / 'other.db'}")
    assert "upgrading" in caught.value.hint


def test_a_ledger_of_another_schema_is_refused(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        set_meta(conn, "schema", "999")
    with pytest.raises(LedgerError, match=f"schema 999, this ragguard reads {SCHEMA_VERSION}"):
        Ledger(str(ledger.engine.url))


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    def half() -> None:
        with ledger.writing() as conn:
            set_meta(conn, "a", "1")
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        half()
    with ledger.reading() as conn:
        assert get_meta(conn, "a") is None


def test_what_a_reader_writes_is_thrown_away(ledger: Ledger) -> None:
    with ledger.reading() as conn:
        set_meta(conn, "a", "1")
    with ledger.reading() as conn:
        assert get_meta(conn, "a") is None


def test_a_reader_sees_one_state_while_a_writer_goes_on(ledger: Ledger) -> None:
    with ledger.reading() as before:
        assert get_meta(before, "a") is None
        with ledger.writing() as conn:
            set_meta(conn, "a", "1")
        assert get_meta(before, "a") is None
    with ledger.reading() as after:
        assert get_meta(after, "a") == "1"


def test_a_locked_database_is_incomplete_work_and_not_a_bug(ledger: Ledger) -> None:
    other = sqlite3.connect(str(ledger.engine.url.database), isolation_level=None)
    with ledger.reading() as conn:  # the connection the writer will get from the pool
        conn.exec_driver_sql("PRAGMA busy_timeout = 0")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(IncompleteError, match="database is locked") as caught, ledger.writing():
        pass
    other.execute("ROLLBACK")
    other.close()
    assert (caught.value.exit_code, bool(caught.value.hint)) == (5, True)


def test_a_full_disk_is_incomplete_work_and_leaves_nothing(ledger: Ledger) -> None:
    def fill() -> None:
        with ledger.writing() as conn:
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar()
            conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            set_meta(conn, "large", "x" * 1_000_000)

    with pytest.raises(IncompleteError, match="full"):
        fill()
    with ledger.reading() as conn:
        assert get_meta(conn, "large") is None


def test_a_version_without_its_commit_cannot_be_written(ledger: Ledger) -> None:
    def orphan() -> None:
        with ledger.writing() as conn:
            begin(conn, 1, [version_row(1, "a.md", commit=2)])

    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"):
        orphan()


def test_another_dialect_gets_no_sqlite_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL by URL: only the seam is tested, with a stand-in engine over SQLite."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    engine.dialect.name = "other"
    monkeypatch.setattr(sa, "create_engine", lambda url: engine)
    made = Ledger("other://", create=True)
    with made.reading() as conn:
        assert conn.execute(sa.select(meta.c.value)).scalar() == SCHEMA_VERSION
        assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0
    made.close()
