"""The log: entries in order, leaf hashes beside them, one kept checkpoint a size."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
import sqlalchemy as sa

from ragguard.errors import LogError
from ragguard.ledger import log
from ragguard.ledger.tables import Ledger


def test_an_empty_log_has_nothing(ledger: Ledger) -> None:
    with ledger.reading() as conn:
        assert (log.size(conn), log.leaves(conn), log.entries(conn)) == (0, [], [])
        assert log.kept_checkpoints(conn) == []
        with pytest.raises(LogError, match="entry 0 is missing"):
            log.body(conn, 0)


def test_entries_are_numbered_from_zero_and_read_back(ledger: Ledger) -> None:
    bodies = [{"act": "init"}, {"act": "ingest", "n": 1, "name": "é"}, {}]
    with ledger.writing() as conn:
        assert [log.append(conn, body) for body in bodies] == [0, 1, 2]
    with ledger.reading() as conn:
        assert log.size(conn) == 3
        assert [log.body(conn, i) for i in range(3)] == bodies
        assert [i for i, _, _ in log.entries(conn)] == [0, 1, 2]
        assert [leaf for _, _, leaf in log.entries(conn)] == log.leaves(conn)


def test_the_leaf_is_the_rfc_6962_hash_of_the_canonical_entry(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        log.append(conn, {"b": 1, "a": "é"})
    with ledger.reading() as conn:
        ((_, text, leaf),) = log.entries(conn)
    assert text == '{"a":"é","b":1}'
    assert leaf == sha256(b"\x00" + text.encode()).digest()
    assert json.loads(text) == {"a": "é", "b": 1}


def test_an_entry_that_is_no_json_any_more_is_named(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        log.append(conn, {"act": "init"})
        conn.exec_driver_sql("UPDATE log_entries SET body = '{'")
        with pytest.raises(LogError, match="entry 0 is missing or damaged"):
            log.body(conn, 0)


def test_an_entry_cannot_be_put_in_anothers_place(ledger: Ledger) -> None:
    def twice() -> None:
        with ledger.writing() as conn:
            log.append(conn, {"n": 0})
            log.append(conn, {"n": 1})
            conn.exec_driver_sql('DELETE FROM log_entries WHERE "index" = 0')
            log.append(conn, {"n": 2})  # would be number 1 again

    with pytest.raises(sa.exc.IntegrityError):
        twice()


def test_one_checkpoint_is_kept_for_each_size(ledger: Ledger) -> None:
    with ledger.writing() as conn:
        for size, note in ((10, "ten"), (2, "two"), (2, "two again")):
            log.keep_checkpoint(conn, size, note)
    with ledger.reading() as conn:
        assert log.kept_checkpoints(conn) == [(2, "two again"), (10, "ten")]
