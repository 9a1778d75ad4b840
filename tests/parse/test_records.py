from __future__ import annotations

import json
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragguard.errors import DuplicateIdError, RecordError
from ragguard.parse.records import MAX_LINE_BYTES, Record, read_records
from tests.support.hanging import ends


def lines(*bodies: object) -> bytes:
    return "\n".join(json.dumps(body, ensure_ascii=False) for body in bodies).encode()


def test_json_lines_give_records_in_file_order_with_their_metadata() -> None:
    data = lines(
        {"id": "b", "text": "second", "metadata": {"label": "x", "n": [1, 2]}},
        {"id": 7, "text": "a number as an id", "body": "other keys are ignored"},
        {"id": "ü", "text": "", "metadata": None},
    )
    assert read_records(data, "jsonl", "f") == [
        Record("b", "second", {"label": "x", "n": [1, 2]}),
        Record("7", "a number as an id"),
        Record("ü", ""),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_empty_lines_and_both_line_ends_are_fine(end: bytes) -> None:
    data = end.join([b"", b'{"id":"a","text":"x"}', b"  ", b'{"id":"b","text":"y"}', b""])
    assert [r.id for r in read_records(data, "jsonl", "f")] == ["a", "b"]


def test_a_line_separator_inside_a_text_does_not_end_the_line() -> None:
    (record,) = read_records(lines({"id": "a", "text": "x\u2028y\x85z"}), "jsonl", "f")
    assert record.text == "x\u2028y\x85z"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        pytest.param(b"not json", "not JSON", id="no JSON"),
        pytest.param(b'["id", "text"]', "expected an object", id="an array"),
        pytest.param(b'"id text"', "expected an object", id="a string that holds the names"),
        pytest.param(b'{"text":"a"}', "expected an object", id="no id"),
        pytest.param(b'{"id":"","text":"a"}', "1 to 512", id="empty id"),
        pytest.param(b'{"id":true,"text":"a"}', "1 to 512", id="id is a truth value"),
        pytest.param(b'{"id":1.5,"text":"a"}', "1 to 512", id="id is a fraction"),
        pytest.param(b'{"id":null,"text":"a"}', "1 to 512", id="id is null"),
        pytest.param(b'{"id":"' + b"a" * 513 + b'","text":"a"}', "1 to 512", id="long id"),
        pytest.param(b'{"id":"a\\u202eb","text":"a"}', "control", id="id with a bidi control"),
        pytest.param(b'{"id":"a\\u200bb","text":"a"}', "control", id="id with a zero width space"),
        pytest.param(b'{"id":"e\\u0301","text":"a"}', "NFC", id="id not in NFC"),
        pytest.param(b'{"id":"a","text":"x","text":"y"}', "twice", id="a key twice"),
        pytest.param(b'{"id":"a","text":"\\ud800"}', "surrogate", id="half a surrogate pair"),
        pytest.param(b'{"id":"a","text":"\xff"}', "UTF-8", id="no UTF-8"),
        pytest.param(b'{"id":"a","text":"x","metadata":{"n":NaN}}', "NaN", id="NaN"),
        pytest.param(b'{"id":' + b"9" * 5_000 + b',"text":"x"}', "digits", id="a huge number"),
    ],
)
def test_a_line_that_is_no_record_is_refused_with_its_number(line: bytes, why: str) -> None:
    with pytest.raises(RecordError, match=why) as caught:
        read_records(b'{"id":"first","text":"x"}\n\n' + line, "jsonl", "handbook.jsonl")
    assert "'handbook.jsonl' line 3" in caught.value.message


@pytest.mark.parametrize(
    ("line", "why"),
    [
        pytest.param(b'{"id":"a"}', "text must be a string, found null", id="no text"),
        pytest.param(b'{"id":"a","text":null}', "text must be a string, found null", id="null"),
        pytest.param(b'{"id":"a","text":["x"]}', "found list", id="text is a list"),
        pytest.param(b'{"id":"a","text":"x\\u0000y"}', "NUL", id="NUL in the text"),
        pytest.param(b'{"id":"a","text":"x","metadata":[]}', "an object", id="metadata is a list"),
    ],
)
def test_a_line_with_an_id_that_is_no_record_is_wrong_alone(line: bytes, why: str) -> None:
    first, wrong, last = read_records(
        b'{"id":"first","text":"x"}\n' + line + b'\n{"id":"last","text":"y"}', "jsonl", "f"
    )
    assert (first.wrong, last.wrong, wrong.id, wrong.text) == ("", "", "a", "")
    assert why in wrong.wrong
    assert "'f' line 2" in wrong.wrong


def test_the_same_id_twice_is_refused_and_both_lines_are_named() -> None:
    data = lines({"id": 1, "text": "x"}, {"id": "2", "text": "y"}, {"id": "1", "text": "z"})
    with pytest.raises(DuplicateIdError, match="line 3: id '1' already stands in line 1"):
        read_records(data, "jsonl", "f")
    with pytest.raises(DuplicateIdError, match="line 3"):
        read_records(b"id,text\na,x\na,y\n", "csv", "f")


def test_other_columns_of_a_table_are_metadata_and_empty_fields_are_none() -> None:
    data = b'id,department,text,note\na,Legal,"One, ""two""\nthree",\nb,,Four,n\n'
    assert read_records(data, "csv", "f") == [
        Record("a", 'One, "two"\nthree', {"department": "Legal"}),
        Record("b", "Four", {"note": "n"}),
    ]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbfid,text\n1,a\n2,b\n", id="byte order mark"),
        pytest.param(b"id,text\r\n1,a\r\n2,b\r\n", id="carriage returns and line feeds"),
        pytest.param(b"id,text\n1,a\n\n2,b", id="empty line, no last line end"),
        pytest.param(b'"id","text"\n"1","a"\n"2","b"\n', id="all quoted"),
    ],
)
def test_tables_are_written_in_several_ways(data: bytes) -> None:
    assert read_records(data, "csv", "f") == [Record("1", "a"), Record("2", "b")]


def test_a_table_without_ids_takes_line_numbers() -> None:
    records = read_records(b"text\none\ntwo\n", "csv", "f")
    assert [(r.id, r.text) for r in records] == [("2", "one"), ("3", "two")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "column `text`", id="empty file"),
        pytest.param(b"id,body\n1,a\n", "column `text`", id="no text column"),
        pytest.param(b"id,text,text\n1,a,b\n", "no column twice", id="a column twice"),
        pytest.param(b"id,text\n1,a,hidden extra field\n", "as many fields", id="an extra field"),
        pytest.param(b"id,text\n1\n", "as many fields", id="a missing field"),
        pytest.param(b'id,text\n1,"a\n2,b\n', "unexpected end", id="a quote never closed"),
        pytest.param(b'id,text\n1,"a"b\n', "expected", id="text after a closing quote"),
        pytest.param(b"id,text\n,a\n", "id must be", id="an empty id"),
        pytest.param("id,text\n1,a\n".encode("utf-16-le"), "column `text`", id="UTF-16 unmarked"),
        pytest.param(b"id,text\n1,\xff\n", "not UTF-8", id="no UTF-8"),
    ],
)
def test_a_damaged_table_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(RecordError, match=why):
        read_records(data, "csv", "f")


@ends
@pytest.mark.parametrize(
    ("fmt", "data"),
    [
        pytest.param("csv", b"id,text\n1," + b"x" * 5_000_000, id="a field of 5 MB"),
        pytest.param("csv", b'id,text\n1,"' + b"x\n" * 2_500_000, id="a quoted field of 5 MB"),
        pytest.param("csv", b"id,text\n" + b'1,"",' * 100_000, id="a row of 200,000 fields"),
        pytest.param("jsonl", b'{"id":"a","text":"' + b"x" * MAX_LINE_BYTES, id="a line of 4 MB"),
        pytest.param(
            "jsonl", b'{"id":"a","text":"x","metadata":' + b"[" * 1_000_000, id="deep arrays"
        ),
        pytest.param("jsonl", b'{"a":' * 500_000, id="deep objects"),
        pytest.param("jsonl", b'{"id":' + b"1" * 3_000_000 + b"}", id="3 million digits"),
    ],
)
def test_oversized_records_are_refused_quickly(fmt: str, data: bytes) -> None:
    with pytest.raises(RecordError):
        read_records(data, fmt, "f")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["jsonl", "csv"]))
def test_any_bytes_give_records_or_a_record_error(data: bytes, fmt: str) -> None:
    for prefix in (b"", b"id,text\n", b'{"id":"a","text":"x"}\n'):
        with suppress(RecordError, DuplicateIdError):
            records = read_records(prefix + data, fmt, "f")
            assert len({r.id for r in records}) == len(records)


def test_a_truncated_file_never_gives_a_shortened_record() -> None:
    whole = lines(*({"id": f"d{i}", "text": f"text number {i}"} for i in range(20)))
    texts = {r.id: r.text for r in read_records(whole, "jsonl", "f")}
    rng = random.Random(5)
    for _ in range(100):
        cut = whole[: rng.randrange(len(whole))]
        try:
            found = read_records(cut, "jsonl", "f")
        except RecordError:
            continue
        assert all(texts[r.id] == r.text for r in found)


@pytest.mark.parametrize("error", [RecursionError(), ValueError("x"), UnicodeError()])
@pytest.mark.parametrize("fmt", ["jsonl", "csv"])
def test_what_the_readers_below_raise_refuses_that_file(
    monkeypatch: pytest.MonkeyPatch, fmt: str, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ragguard.trust.strict_json.parse", fail)
    monkeypatch.setattr("csv.DictReader", fail)
    with pytest.raises(RecordError, match="damaged"):
        read_records(b'{"id": "a", "text": "b"}', fmt, "rows")


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x")])
def test_want_of_memory_and_a_bug_of_ours_are_no_damage_of_the_file(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ragguard.trust.strict_json.parse", fail)
    with pytest.raises(type(error)):
        read_records(b'{"id": "a", "text": "b"}', "jsonl", "rows")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("fmt", "text"),
    [("jsonl", '{"id": "1", "text": "Größe"}\n'), ("csv", "id,text\n1,Größe\n")],
)
def test_files_with_a_mark_are_read(fmt: str, text: str, encoding: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    assert read_records(mark + text.encode(encoding), fmt, "f") == [Record("1", "Größe")]


@pytest.mark.parametrize("fmt", ["jsonl", "csv"])
@pytest.mark.parametrize("data", [b"\xff\xfe{", b"\xff\xfe\x00\xd8", b"\xef\xbb\xbf\xff"])
def test_files_that_are_not_what_their_mark_says_are_refused(fmt: str, data: bytes) -> None:
    with pytest.raises(RecordError):
        read_records(data, fmt, "f")
