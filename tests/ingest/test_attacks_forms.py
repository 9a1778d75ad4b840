"""Hostile manifests, end to end: names, sizes and shapes. See `test_attacks.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ragguard.errors import (
    CollisionError,
    DuplicateIdError,
    MalformedError,
    OversizedError,
    PayloadTypeError,
    PredicateError,
    SubjectNameError,
)
from ragguard.trust.canonical import canonical
from tests.support.attacks import accept, honest, refuse, refuse_altered
from tests.support.simulator import Gate

Change = Callable[[dict[str, Any]], Any]

# --- names ----------------------------------------------------------------------------------------


def rename(old: str, new: str) -> Change:
    def change(statement: dict[str, Any]) -> None:
        for entry in statement["subject"]:
            entry["name"] = new if entry["name"] == old else entry["name"]
        documents = statement["predicate"]["documents"]
        documents[new] = documents.pop(old)

    return change


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("../leave.md", "leaves the signed folder", id="parent"),
        pytest.param("a/../../leave.md", "leaves the signed folder", id="parent-inside"),
        pytest.param("/etc/passwd", "absolute", id="absolute"),
        pytest.param("C:/leave.md", "absolute", id="drive"),
        pytest.param("..\\leave.md", "backslash", id="backslash"),
        pytest.param("leave\u202e.md", "invisible", id="bidi"),
        pytest.param("leave\x00.md", "control", id="nul"),
        pytest.param("lea\u0301ve.md", "normal form C", id="not-nfc"),
    ],
)
def test_a_name_that_leaves_its_folder_or_hides_is_refused(
    gate: Gate, name: str, says: str
) -> None:
    refuse_altered(gate, SubjectNameError, says, rename("leave.md", name))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("LEAVE.md", id="case"),
        pytest.param("l\u0435ave.md", id="cyrillic-e"),
        pytest.param("1eave.md", id="digit-one"),
        pytest.param("\uff4ceave.md", id="full-width"),
    ],
)
def test_two_names_that_look_alike_are_refused(gate: Gate, name: str) -> None:
    refuse_altered(gate, CollisionError, "look alike", rename("visitors.md", name))


def test_the_same_document_twice_is_refused(gate: Gate) -> None:
    def twice(statement: dict[str, Any]) -> None:
        again = {**statement["subject"][0], "digest": {"sha256": "0" * 64}}
        statement["subject"].append(again)

    refuse_altered(gate, DuplicateIdError, "'leave.md' is listed twice", twice)


# --- forms and sizes ------------------------------------------------------------------------------


def test_an_oversized_envelope_is_refused_unread(new_gate: Callable[..., Gate]) -> None:
    gate = new_gate(limits={"envelope": 2000})
    path = honest(gate)
    bad = path.with_name("padded.json")
    bad.write_bytes(path.read_bytes().ljust(2001))
    refuse(gate, bad, OversizedError, "2001 bytes, at most 2000")
    accept(gate, path)


def test_endless_data_is_refused(new_gate: Callable[..., Gate]) -> None:
    gate = new_gate(limits={"envelope": 5000})
    path = honest(gate)
    bad = path.with_name("endless.json")
    with bad.open("wb") as file:
        file.truncate(1 << 40)  # a hole: a terabyte that takes no room
    refuse(gate, bad, OversizedError, "5001 bytes, at most 5000")
    accept(gate, path)


def test_another_payload_type_is_refused(gate: Gate) -> None:
    refuse_altered(gate, PayloadTypeError, "application/json", payload_type="application/json")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"predicateType": "https://slsa.dev/provenance/v1"}, id="predicate-type"),
        pytest.param({"_type": "https://in-toto.io/Statement/v0.1"}, id="statement-type"),
        pytest.param({"predicate": {}}, id="empty-predicate"),
        pytest.param({"subject": "leave.md"}, id="subject-no-list"),
    ],
)
def test_another_statement_or_predicate_is_refused(gate: Gate, change: dict[str, Any]) -> None:
    refuse_altered(gate, PredicateError, ".", lambda s: s.update(change))


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        pytest.param(b"\xff\xfe{}", "not UTF-8", id="not-utf-8"),
        pytest.param(b"[" * 100 + b"]" * 100, "nested deeper", id="deep"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "nested", id="very-deep"),
        pytest.param(b'{"_type":"a","_type":"b"}', "twice", id="key-twice"),
        pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="byte-order-mark"),
        pytest.param(b"", "not JSON", id="empty"),
    ],
)
def test_a_signed_payload_that_is_no_strict_json_is_refused(
    gate: Gate, payload: bytes, says: str
) -> None:
    refuse_altered(gate, MalformedError, says, payload=payload)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xfe", id="not-utf-8"),
        pytest.param(b"{" + b'"a":{' * 50_000 + b"}" * 50_001, id="deep"),
        pytest.param(canonical({"payload": "", "signatures": []}), id="no-payload-type"),
        pytest.param(b"[]", id="list"),
    ],
)
def test_a_file_that_is_no_envelope_is_refused(gate: Gate, data: bytes) -> None:
    path = honest(gate)
    bad = path.with_name("bad.json")
    bad.write_bytes(data)
    refuse(gate, bad, MalformedError)
    accept(gate, path)
