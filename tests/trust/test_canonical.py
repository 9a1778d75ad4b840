"""Canonical bytes against RFC 8785's own examples; digests, point ids, seals and times."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta, timezone
from hashlib import blake2b, sha256
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ragguard.ledger.seals import point_id, seal
from ragguard.trust.canonical import canonical, digest, digest_bytes, format_time, parse_time

# --- RFC 8785 ---


def test_the_example_of_rfc_8785_section_3_2_2() -> None:
    source = (
        r'{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        r'"string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/",'
        r'"literals": [null, true, false]}'
    )
    wanted = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        r'"string":"€$\u000f\nA' + "'" + r'B\"\\\\\"/"}'
    )
    assert canonical(json.loads(source)) == wanted.encode()


def test_keys_are_sorted_by_utf_16_code_units_as_in_rfc_8785_section_3_2_3() -> None:
    body = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonical(body)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_in_appendix_b_of_rfc_8785(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number) == text.encode()


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, -(2**53), {1: 2}, b"x", "\ud800"]
)
def test_what_has_no_canonical_form_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical(value)


def test_digest_is_sha_256_of_the_canonical_bytes_whatever_the_order() -> None:
    wanted = sha256(b'{"a":[1,"\xc3\xa9"],"b":null}').hexdigest()
    assert digest({"b": None, "a": [1, "é"]}) == wanted
    assert digest({"a": [1, "é"], "b": None}) == wanted
    assert digest({"a": ["é", 1], "b": None}) != wanted


def test_digest_bytes_is_plain_sha_256() -> None:
    # FIPS 180-2, appendix B.1.
    assert digest_bytes(b"abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


# --- point ids ---

PLACE = {
    "source": "wiki",
    "document": "a.md",
    "document_digest": "0" * 64,
    "start": 0,
    "end": 10,
    "recipe": "1" * 64,
}


def test_a_point_id_is_a_uuid_of_the_first_16_bytes_over_what_the_chunk_is() -> None:
    body = f'["wiki","a.md","{"0" * 64}",0,10,"{"1" * 64}"]'
    assert point_id(**PLACE) == str(UUID(bytes=sha256(body.encode()).digest()[:16]))


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("source", "vendor"),
        ("document", "b.md"),
        ("document_digest", "2" * 64),
        ("start", 1),
        ("end", 11),
        ("recipe", "3" * 64),
    ],
)
def test_every_part_of_a_chunk_changes_its_point_id(field: str, other: Any) -> None:
    assert point_id(**{**PLACE, field: other}) != point_id(**PLACE)


def test_no_two_splits_of_source_and_document_share_a_point_id() -> None:
    one = point_id(**{**PLACE, "source": "a", "document": "b/c"})
    two = point_id(**{**PLACE, "source": "a/b", "document": "c"})
    assert one != two


# --- seals ---

KEY = bytes(range(32))
PAYLOAD = {"page_content": "text", "metadata": {"a": 1}, "ragguard": {"document": "d"}}
SEALED = {
    "key": KEY,
    "point": "p1",
    "vector": b"\x00\x00\x80\x3f",
    "payload": PAYLOAD,
    "collection": "c1",
}


def test_a_seal_is_keyed_blake2b_over_length_prefixed_parts() -> None:
    mac = blake2b(key=KEY, digest_size=32, person=b"ragguard-seal-v1")
    body = b'{"metadata":{"a":1},"page_content":"text","ragguard":{"document":"d"}}'
    for part in (b"p1", b"c1", b"\x00\x00\x80\x3f", body):
        mac.update(struct.pack("<Q", len(part)) + part)
    assert seal(**SEALED) == mac.hexdigest()


@pytest.mark.parametrize(
    ("part", "other"),
    [
        pytest.param("key", bytes(32), id="key"),
        pytest.param("point", "p2", id="point"),
        pytest.param("vector", b"\x01\x00\x80\x3f", id="one-bit-of-the-vector"),
        pytest.param("collection", "c2", id="collection"),
        pytest.param("payload", {**PAYLOAD, "page_content": "texT"}, id="text"),
        pytest.param("payload", {**PAYLOAD, "metadata": {"a": 2}}, id="metadata"),
        pytest.param("payload", {**PAYLOAD, "more": 1}, id="another-field"),
        pytest.param("payload", {**PAYLOAD, "ragguard": {"document": "e"}}, id="own-field"),
    ],
)
def test_whatever_is_changed_about_a_point_breaks_its_seal(part: str, other: Any) -> None:
    assert seal(**{**SEALED, part: other}) != seal(**SEALED)


def test_moving_bytes_from_one_part_to_the_next_breaks_the_seal() -> None:
    assert seal(**{**SEALED, "point": "p1c", "collection": "1"}) != seal(**SEALED)


def test_a_payload_s_own_seal_is_left_out_and_left_alone() -> None:
    own = {**PAYLOAD, "ragguard": {"document": "d", "seal": "x"}}
    assert seal(**{**SEALED, "payload": own}) == seal(**SEALED)
    assert own["ragguard"] == {"document": "d", "seal": "x"}


def test_a_payload_without_our_fields_can_be_sealed() -> None:
    bare = {"page_content": "text"}
    with_empty = {"page_content": "text", "ragguard": {}}
    sealed = seal(**{**SEALED, "payload": bare})
    assert sealed == seal(**{**SEALED, "payload": with_empty})
    assert sealed != seal(**SEALED)
    assert bare == {"page_content": "text"}


# --- times ---


def test_a_time_is_written_in_utc_to_the_second() -> None:
    berlin = timezone(timedelta(hours=1))
    moment = datetime(2026, 1, 1, 0, 30, 15, 999_999, tzinfo=berlin)
    assert format_time(moment) == "2025-12-31T23:30:15Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:00.000Z",
        "2026-03-01t12:00:00z",
        "2026-03-01 12:00:00Z",
        " 2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00Z\n",
        "2026-3-1T12:00:00Z",
        "2026-03-01T1:2:3Z",
        "2026-02-30T12:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:00:60Z",
        "0000-03-01T12:00:00Z",
        "26-03-01T12:00:00Z",
        "２０２６-03-01T12:00:00Z",
        "٢٠٢٦-03-01T12:00:00Z",
    ],
)
def test_a_time_in_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))
def test_a_time_is_read_back_to_the_second(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)


# --- the fast way is the standard's way ---

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


@given(PLAIN)
def test_the_fast_encoder_gives_the_bytes_of_the_slow_one_or_refuses_likewise(value: Any) -> None:
    try:
        wanted = rfc8785.dumps(value)
    except ValueError as error:
        with pytest.raises(type(error)):
            canonical(value)
    else:
        assert canonical(value) == wanted


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("".join(map(chr, range(0x300))), id="controls"),
        pytest.param("\u2028\u2029\ufeff\U0001f600/</script>", id="odd"),
        pytest.param({"\ufb33": 1, "\U0001f600": 2}, id="astral-keys"),
        pytest.param([2**53 - 1, -(2**53) + 1, 0, True], id="integers"),
        pytest.param({"a": 1.0, "b": -0.0, "c": 1e21}, id="floats"),
    ],
)
def test_known_differences_between_encoders_do_not_show(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)
