"""The signed snapshot as bytes: whoever changes any of them is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from ragguard.errors import (
    IntegrityError,
    LogError,
    PredicateError,
    RagguardError,
    SignatureError,
)
from ragguard.model import Recipe
from ragguard.serving import snapshot
from ragguard.serving.snapshot import SnapshotHead, SnapshotRow
from ragguard.trust import dsse, keys, merkle, signed_note
from ragguard.trust.signed_note import Checkpoint, checkpoint_text

ORIGIN = "ragguard.local/test"
KEY = keys.generate("log")
VKEY = signed_note.verifier_key(ORIGIN, KEY.public.public)
NOTE = dsse.sign_note(
    checkpoint_text(Checkpoint(ORIGIN, 3, merkle.root([b"0" * 32] * 3))), ORIGIN, KEY.signing_key
)
HEAD = SnapshotHead(
    log=ORIGIN,
    checkpoint=NOTE,
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    commit=7,
    generation=2,
    collection="corpus-g2",
    root=3,
    scoped=False,
    recipe=Recipe("p", "s", "m", "0" * 64, "mean", True, 256, 4, "1" * 64),
)


def name(number: int) -> str:
    return str(UUID(int=number))


def rows(n: int) -> list[SnapshotRow]:
    return [
        SnapshotRow(name(k), bytes([k % 251]) * 24, bytes([k % 13]) * 12, k, 2 * k, k % 3 == 0)
        for k in range(1, n + 1)
    ]


def test_every_point_is_found_again_and_no_other() -> None:
    there = rows(300)
    read = snapshot.load(snapshot.dump(HEAD, snapshot.dump_table(there[::-1]), KEY), VKEY)
    assert (read.head, read.points, read.tree.size) == (HEAD, 300, 3)
    assert [read.find(row.point) for row in there] == there
    assert read.find(name(0)) is read.find(name(301)) is read.find("5") is None


def test_ids_that_share_their_first_half_are_told_apart() -> None:
    there = [replace(row, point=name((9 << 64) + k)) for k, row in enumerate(rows(5))]
    read = snapshot.load(snapshot.dump(HEAD, snapshot.dump_table(there), KEY), VKEY)
    assert [read.find(row.point) for row in there] == there
    assert read.find(name((9 << 64) + 5)) is None


def test_an_empty_one_finds_nothing() -> None:
    read = snapshot.load(snapshot.dump(HEAD, snapshot.dump_table([]), KEY), VKEY)
    assert (read.points, read.find(name(1))) == (0, None)


def test_a_million_points_take_60_megabytes() -> None:
    assert len(snapshot.dump_table(rows(1000))) == 60_000


def test_no_changed_byte_changes_what_is_taken() -> None:
    data = snapshot.dump(HEAD, snapshot.dump_table(rows(3)), KEY)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            read = snapshot.load(bytes(changed), VKEY)
        except RagguardError:
            continue
        # The key id is a hint and decides nothing; all that is signed is as it was.
        assert (read.head, read.table) == (HEAD, data[-180:])
        assert b'"signatures"' in data[:place]


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "another format": lambda data: b"ragguard-snapshot-v2\n" + data[21:],
    "cut off": lambda data: data[:60],
    "a row less": lambda data: data[:-60],
    "half a row less": lambda data: data[:-30],
    "a row more": lambda data: data + data[-60:],
    "a huge envelope": lambda data: data[:21] + (1 << 40).to_bytes(8, "little") + data[29:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_whole_is_refused(change: str) -> None:
    data = snapshot.dump(HEAD, snapshot.dump_table(rows(3)), KEY)
    with pytest.raises(IntegrityError):
        snapshot.load(CHANGES[change](data), VKEY)


def test_one_of_another_key_or_another_log_is_refused() -> None:
    other, table = keys.generate("log"), snapshot.dump_table(rows(3))
    with pytest.raises(SignatureError):
        snapshot.load(snapshot.dump(HEAD, table, other), VKEY)
    with pytest.raises(LogError, match="of log"):
        snapshot.load(snapshot.dump(replace(HEAD, log="elsewhere"), table, KEY), VKEY)
    note = dsse.sign_note(NOTE.partition("\n\n")[0] + "\n", ORIGIN, other.signing_key)
    with pytest.raises(LogError, match="checkpoint"):
        snapshot.load(snapshot.dump(replace(HEAD, checkpoint=note), table, KEY), VKEY)


def test_a_statement_of_another_kind_by_the_same_key_is_no_snapshot() -> None:
    table = snapshot.dump_table(rows(3))
    envelope = dsse.sign(b"{}", dsse.IN_TOTO, [(KEY.public.keyid, KEY.signing_key)])
    data = snapshot.MAGIC + len(envelope).to_bytes(8, "little") + envelope + table
    with pytest.raises(IntegrityError, match="malformed"):
        snapshot.load(data, VKEY)


# --- what only some snapshots have ----------------------------------------------------------------


def test_one_for_ranking_has_merits_and_one_with_honeytokens_names_them() -> None:
    there = [replace(row, merit=-number / 255) for number, row in enumerate(rows(200))]
    planted = (snapshot.honeytoken_digest(name(7)),)
    head = replace(HEAD, groups={"blog": 1, "wiki": 0}, honeytokens=planted)
    data = snapshot.dump(head, snapshot.dump_table(there, ranked=True), KEY)
    read = snapshot.load(data, VKEY)
    assert (read.head, read.points, len(read.table)) == (head, 200, 200 * 61)
    assert [read.find(row.point) for row in there] == there
    assert (read.is_honeytoken(name(7)), read.is_honeytoken(name(8))) == (True, False)


def test_without_them_the_signed_bytes_are_those_of_before() -> None:
    data = snapshot.dump(HEAD, snapshot.dump_table(rows(3)), KEY)
    size = int.from_bytes(data[21:29], "little")
    payload = dsse.parse_envelope(data[29 : 29 + size], max_bytes=size).payload
    assert b"honeytokens" not in payload
    assert b"groups" not in payload


@pytest.mark.parametrize(
    "odd", [{"honeytokens": [1]}, {"groups": {"wiki": "x"}}, {"groups": {"wiki": True}}], ids=str
)
def test_what_is_odd_in_them_is_refused(odd: dict[str, Any]) -> None:
    table = snapshot.dump_table(rows(3), ranked="groups" in odd)
    with pytest.raises(PredicateError, match="malformed"):
        snapshot.load(snapshot.dump(replace(HEAD, **odd), table, KEY), VKEY)


def test_a_table_without_merits_is_none_for_ranking() -> None:
    head = replace(HEAD, groups={})
    with pytest.raises(IntegrityError, match="its table"):
        snapshot.load(snapshot.dump(head, snapshot.dump_table(rows(3)), KEY), VKEY)
