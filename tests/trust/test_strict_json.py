"""JSON under a signature: what two parsers could read in two ways is read in none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragguard.errors import MalformedError, OversizedError
from ragguard.trust import strict_json


def parse(data: bytes, **limits: int) -> Any:
    return strict_json.parse(data, what="thing", **{"max_bytes": 1_000_000, **limits})


@pytest.mark.parametrize(
    ("data", "value"),
    [
        pytest.param(b"{}", {}, id="empty-object"),
        pytest.param(b" [1, 2.5, -3e2, true, false, null] ", [1, 2.5, -300.0, True, False, None]),
        pytest.param(b'{"a": {"b": ["c"]}}', {"a": {"b": ["c"]}}, id="nested"),
        pytest.param('"ünï → 漢字 😀"'.encode(), "ünï → 漢字 😀", id="any-script"),
        pytest.param(b'"\\ud83d\\ude00"', "😀", id="whole-surrogate-pair"),
        pytest.param(b'{"a": {"x": 1}, "b": {"x": 2}}', {"a": {"x": 1}, "b": {"x": 2}}, id="x-x"),
        pytest.param(b"12345678901234567890", 12345678901234567890, id="20-digits"),
    ],
)
def test_plain_json_is_read_as_it_stands(data: bytes, value: Any) -> None:
    assert parse(data) == value


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"{", "not JSON", id="cut-off"),
        pytest.param(b"{} {}", "not JSON", id="two-values"),
        pytest.param(b"{'a': 1}", "not JSON", id="single-quotes"),
        pytest.param(b'{"a": 1,}', "not JSON", id="trailing-comma"),
        pytest.param(b'"a\nb"', "not JSON", id="control-character"),
        pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="byte-order-mark"),
        pytest.param("{}".encode("utf-16"), "not UTF-8", id="utf-16"),
        pytest.param(b'"\xff"', "not UTF-8 (byte 1)", id="not-utf-8"),
        pytest.param(b'"\xc0\xaf"', "not UTF-8", id="overlong-utf-8"),
        pytest.param(b'"\xed\xa0\x80"', "not UTF-8", id="surrogate-in-utf-8"),
        pytest.param(b'{"a": 1, "a": 2}', "key 'a' stands twice", id="duplicate-key"),
        pytest.param(b'{"a": 1, "\\u0061": 1}', "key 'a' stands twice", id="duplicate-escaped"),
        pytest.param(b'[{"b": {"c": 1, "d": 2, "c": 3}}]', "key 'c' stands twice", id="deep-twice"),
        pytest.param(b"NaN", "NaN is not JSON", id="nan"),
        pytest.param(b"[Infinity]", "Infinity is not JSON", id="infinity"),
        pytest.param(b"[-Infinity]", "-Infinity is not JSON", id="minus-infinity"),
        pytest.param(b"[1e400]", "1e400", id="float-that-overflows"),
        pytest.param(b"[-1e400]", "-1e400", id="float-that-underflows"),
        pytest.param(b"123456789012345678901", "an integer of 21 digits", id="21-digits"),
        pytest.param(b'"\\ud800"', "half a surrogate pair", id="lone-surrogate"),
        pytest.param(b'["\\udc00\\ud800"]', "half a surrogate pair", id="pair-reversed"),
        pytest.param(b'{"\\ud800": 1}', "half a surrogate pair", id="lone-surrogate-in-key"),
    ],
)
def test_ambiguous_or_broken_json_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=r"^thing: ") as caught:
        parse(data)
    assert says in caught.value.message


def test_an_input_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    assert parse(b'"1234"', max_bytes=6) == "1234"
    with pytest.raises(OversizedError, match="thing: 7 bytes, at most 6") as caught:
        parse(b'"12345"', max_bytes=6)
    assert caught.value.hint


def test_size_is_checked_before_anything_is_decoded() -> None:
    with pytest.raises(OversizedError):
        parse(b"\xff" * 11, max_bytes=10)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_accepted_up_to_the_limit_and_not_beyond(opening: str) -> None:
    closing = "]" if opening == "[" else "}"

    def nested(depth: int) -> bytes:
        inner = "1" if opening != "[" else ""
        return (opening * depth + inner + closing * depth).encode()

    assert parse(nested(5), max_depth=5)
    with pytest.raises(MalformedError, match="nested deeper than 5"):
        parse(nested(6), max_depth=5)


def test_a_scalar_needs_no_depth() -> None:
    assert parse(b"7", max_depth=1) == 7


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_nesting_that_would_exhaust_the_stack_is_refused(depth: int) -> None:
    with pytest.raises(MalformedError, match="nested"):
        parse(b"[" * depth + b"]" * depth)


def test_many_integers_of_bounded_size_are_no_trouble() -> None:
    assert len(parse(b"[" + b",".join([b"1" * 20] * 1000) + b"]")) == 1000


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_whatever_json_writes_is_read_back(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=60))
def test_arbitrary_bytes_give_a_value_or_malformed_and_nothing_else(data: bytes) -> None:
    try:
        value = parse(data)
    except MalformedError:
        return
    assert json.loads(data) == value
