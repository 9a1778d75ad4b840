"""Manifests: what is written is read; freshness, sequence and bytes at their boundaries.

What a hostile payload may hold is also in `test_property.py`; the attacks are in `test_attacks.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ragguard.errors import (
    CollisionError,
    DocumentOversizedError,
    DocumentTamperedError,
    DuplicateIdError,
    EquivocationError,
    ExpiredError,
    GapError,
    IntegrityError,
    MixAndMatchError,
    NotYetValidError,
    OversizedError,
    PredicateError,
    RollbackError,
    SubjectNameError,
)
from ragguard.model import Manifest, Subject
from ragguard.trust import manifest
from ragguard.trust.canonical import canonical, digest_bytes
from ragguard.trust.manifest import LastAccepted
from tests.support.simulator import NOW

LIMIT = 100_000
A, B = (
    Subject(name, digest_bytes(name.encode()), len(name), {"department": "it"})
    for name in ("a.md", "b.md")
)


def dumped(*subjects: Subject, **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "source": "wiki",
        "version": 1,
        "issued": NOW,
        "expires": NOW + timedelta(days=90),
        "previous": None,
        "mode": "full",
        "subjects": subjects or (A, B),
        **changes,
    }
    return manifest.dump(**values)


def parsed(payload: bytes) -> Manifest:
    return manifest.parse(payload, max_bytes=LIMIT)


def statement(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(dumped())
    body["predicate"].update(changes)
    return body


# --- reading and writing --------------------------------------------------------------------------


def test_a_manifest_is_read_back_in_name_order() -> None:
    payload = dumped(B, A)
    assert parsed(payload) == Manifest(
        source="wiki",
        version=1,
        issued=NOW,
        expires=NOW + timedelta(days=90),
        previous=None,
        mode="full",
        subjects=(A, B),
        removes=(),
        digest=digest_bytes(payload),
    )


def test_the_payload_is_an_in_toto_statement_as_documented() -> None:
    assert json.loads(dumped(A)) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a.md", "digest": {"sha256": digest_bytes(b"a.md")}}],
        "predicateType": "urn:ragguard:corpus-manifest:v1",
        "predicate": {
            "source": "wiki",
            "version": 1,
            "issued": "2026-03-01T12:00:00Z",
            "expires": "2026-05-30T12:00:00Z",
            "previous": None,
            "mode": "full",
            "documents": {"a.md": {"length": 4, "metadata": {"department": "it"}}},
            "removes": [],
        },
    }
    assert dumped(A) == canonical(json.loads(dumped(A)))


def test_a_delta_is_read_back_with_what_it_removes() -> None:
    made = parsed(
        dumped(A, mode="delta", version=2, previous="ab" * 32, removes=["z.md", "old.md"])
    )
    assert (made.mode, made.version, made.previous) == ("delta", 2, "ab" * 32)
    assert made.removes == ("old.md", "z.md")


def test_other_digests_of_a_subject_are_ignored() -> None:
    body = statement()
    body["subject"][0]["digest"]["sha1"] = "0" * 40
    assert parsed(canonical(body)).subjects == (A, B)


def test_a_payload_above_its_limit_is_not_parsed() -> None:
    payload = dumped()
    assert manifest.parse(payload, max_bytes=len(payload)).subjects == (A, B)
    with pytest.raises(OversizedError):
        manifest.parse(payload, max_bytes=len(payload) - 1)


@pytest.mark.parametrize("name", ["wiki", "a", "0", "vendor-acme", "a_b.c-d", "x" * 64])
def test_a_source_may_be_called_so(name: str) -> None:
    assert manifest.is_source_name(name)
    assert parsed(dumped(source=name)).source == name


@pytest.mark.parametrize("name", ["", "Wiki", "-a", ".a", "_a", "a/b", "x" * 65, "wïki", "a\n", 5])
def test_a_source_may_not_be_called_so(name: Any) -> None:
    assert not manifest.is_source_name(name)
    with pytest.raises(PredicateError, match="source is"):
        parsed(canonical(statement(source=name)))


# --- the predicate --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"version": 0}, "version is '0'", id="version-0"),
        pytest.param({"version": True}, "version is 'True'", id="version-true"),
        pytest.param({"version": "1"}, "an integer from 1", id="version-text"),
        pytest.param({"version": 1.5}, "an integer from 1", id="version-fraction"),
        pytest.param({"issued": "2026-03-01"}, "issued is not a time", id="issued-date"),
        pytest.param({"issued": 5}, "issued is not a time", id="issued-number"),
        pytest.param({"expires": None}, "expires is not a time", id="expires-none"),
        pytest.param({"expires": "2026-03-01T12:00:00+00:00"}, "not a time", id="expires-offset"),
        pytest.param({"previous": "ab" * 32}, "a digest is", id="previous-text"),
        pytest.param({"previous": {"sha256": "AB" * 32}}, "lower-case hex", id="previous-upper"),
        pytest.param({"previous": {"sha1": "ab" * 20}}, "a digest is", id="previous-sha1"),
        pytest.param({"previous": {"sha256": "ab" * 32}}, "version 1 has no", id="previous-first"),
        pytest.param({"version": 2}, "every later one names it", id="previous-lacking"),
        pytest.param({"mode": "FULL"}, "'full' or 'delta'", id="mode"),
        pytest.param({"documents": []}, "documents must be an object", id="documents-list"),
        pytest.param({"removes": "a.md"}, "removes must be a list", id="removes-text"),
        pytest.param({"removes": ["old.md"]}, "removes by leaving out", id="full-removes"),
        pytest.param({"surplus": 1}, "must have exactly", id="surplus-field"),
    ],
)
def test_a_predicate_that_is_not_as_documented_is_refused(
    changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(PredicateError, match=says):
        parsed(canonical(statement(**changes)))


@pytest.mark.parametrize("field", sorted(json.loads(dumped())["predicate"]))
def test_every_field_of_the_predicate_is_needed(field: str) -> None:
    body = statement()
    del body["predicate"][field]
    with pytest.raises(PredicateError, match="must have exactly"):
        parsed(canonical(body))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param({}, "must have length and metadata", id="empty"),
        pytest.param([], "must have length and metadata", id="list"),
        pytest.param({"length": 4, "metadata": {}, "x": 1}, "must have length", id="surplus"),
        pytest.param({"length": -1, "metadata": {}}, "not a size in bytes", id="negative"),
        pytest.param({"length": True, "metadata": {}}, "not a size in bytes", id="true"),
        pytest.param({"length": "4", "metadata": {}}, "not a size in bytes", id="text"),
        pytest.param({"length": 4, "metadata": []}, "not an object", id="metadata-list"),
        pytest.param({"length": 4, "metadata": None}, "not an object", id="metadata-none"),
    ],
)
def test_an_entry_of_a_document_that_is_not_as_documented_is_refused(entry: Any, says: str) -> None:
    body = statement()
    body["predicate"]["documents"]["a.md"] = entry
    with pytest.raises(PredicateError, match=says):
        parsed(canonical(body))


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        pytest.param("a.md", PredicateError, id="text"),
        pytest.param({"digest": {"sha256": "ab" * 32}}, SubjectNameError, id="no-name"),
        pytest.param({"name": "a.md"}, PredicateError, id="no-digest"),
        pytest.param({"name": "a.md", "digest": {"sha256": "ab"}}, PredicateError, id="short"),
        pytest.param({"name": "a.md", "digest": {"sha256": "ab" * 33}}, PredicateError, id="long"),
    ],
)
def test_a_subject_that_is_not_as_documented_is_refused(
    entry: Any, error: type[IntegrityError]
) -> None:
    body = statement()
    body["subject"][0] = entry
    with pytest.raises(error):
        parsed(canonical(body))


def test_a_subject_listed_twice_is_refused_also_with_another_digest() -> None:
    body = statement()
    body["subject"].append({"name": "a.md", "digest": {"sha256": "ab" * 32}})
    with pytest.raises(DuplicateIdError, match=r"'a\.md' is listed twice"):
        parsed(canonical(body))


def test_subjects_are_a_list() -> None:
    with pytest.raises(PredicateError, match="subject must be a list"):
        parsed(canonical({**statement(), "subject": {"a.md": "ab" * 32}}))


@pytest.mark.parametrize("missing", ["subject", "documents"])
def test_a_document_in_only_one_list_is_refused(missing: str) -> None:
    body = statement()
    if missing == "subject":
        del body["subject"][1]
    else:
        del body["predicate"]["documents"]["b.md"]
    with pytest.raises(MixAndMatchError, match=r"'b\.md' stands in only one"):
        parsed(canonical(body))


@pytest.mark.parametrize(
    ("removes", "error"),
    [
        pytest.param(["old.md", "old.md"], DuplicateIdError, id="twice"),
        pytest.param(["../old.md"], SubjectNameError, id="parent"),
        pytest.param([5], SubjectNameError, id="number"),
        pytest.param(["a.md"], MixAndMatchError, id="listed-too"),
    ],
)
def test_removed_names_obey_the_rules_of_names(
    removes: list[Any], error: type[IntegrityError]
) -> None:
    with pytest.raises(error):
        parsed(canonical(statement(mode="delta", removes=removes)))


def test_look_alike_names_are_refused_naming_both() -> None:
    with pytest.raises(CollisionError, match=r"'a\.md' and 'A\.md' look alike"):
        manifest.check_collisions(["a.md", "b.md", "A.md"])


# --- metadata -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"a": None, "b": True, "c": 1, "d": 1.5, "e": "x", "f": [1, "x", None]},
        {"n": 2**53 - 1, "m": 1 - 2**53},
        {"x": "é" * ((16_384 - 8) // 2)},
    ],
    ids=["empty", "scalars", "largest-numbers", "largest"],
)
def test_metadata_of_scalars_and_lists_is_taken(metadata: dict[str, Any]) -> None:
    assert manifest.check_metadata(metadata, "a.md") == metadata


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        pytest.param(None, "not an object", id="none"),
        pytest.param({"a": {"b": 1}}, "'a' must be a scalar", id="nested"),
        pytest.param({"a": [[1]]}, "'a' must be a scalar", id="nested-list"),
        pytest.param({5: 1}, "'5' must be", id="key-number"),
        pytest.param({"n": 2**53}, "the number at 'n' is too large", id="integer"),
        pytest.param({"n": [1, -(2**53)]}, "the number at 'n' is too large", id="negative"),
        pytest.param({"n": float(2**53)}, "too large", id="float"),
        pytest.param({"n": float("inf")}, "too large", id="infinite"),
        pytest.param({"n": float("nan")}, "too large", id="not-a-number"),
        pytest.param({"s": "\ud800"}, "metadata of 'a.md': ", id="half-a-surrogate-pair"),
        pytest.param({"x": "é" * ((16_384 - 8) // 2) + "e"}, "16385 bytes, at most", id="large"),
    ],
)
def test_other_metadata_is_refused(metadata: Any, says: str) -> None:
    with pytest.raises(PredicateError, match=says):
        manifest.check_metadata(metadata, "a.md")


# --- freshness, at its boundaries -----------------------------------------------------------------


def at(**changes: Any) -> Manifest:
    return replace(parsed(dumped()), **changes)


SECOND = timedelta(seconds=1)


def test_a_clock_that_runs_five_minutes_ahead_is_forgiven_and_not_a_second_more() -> None:
    manifest.check_freshness(at(issued=NOW + timedelta(minutes=5)), NOW)
    with pytest.raises(NotYetValidError, match=r"now is 2026-03-01T12:00:00Z"):
        manifest.check_freshness(at(issued=NOW + timedelta(minutes=5) + SECOND), NOW)


def test_a_manifest_is_good_until_the_second_it_expires() -> None:
    made = at(expires=NOW + timedelta(days=1))
    manifest.check_freshness(made, NOW + timedelta(days=1) - SECOND)
    with pytest.raises(ExpiredError, match="expired 2026-03-02T12:00:00Z"):
        manifest.check_freshness(made, NOW + timedelta(days=1))


def test_a_manifest_that_expires_when_it_is_issued_never_was_good() -> None:
    ahead = NOW + timedelta(minutes=2)
    with pytest.raises(ExpiredError):
        manifest.check_freshness(at(issued=ahead, expires=ahead), NOW)


# --- sequence -------------------------------------------------------------------------------------

LAST = LastAccepted(3, "cd" * 32)


def numbered(version: int, previous: str | None, digest: str = "ef" * 32) -> Manifest:
    return at(version=version, previous=previous, digest=digest)


@pytest.mark.parametrize(
    ("made", "last", "new"),
    [
        pytest.param(numbered(1, None), None, True, id="first"),
        pytest.param(numbered(4, LAST.digest), LAST, True, id="next"),
        pytest.param(numbered(9, LAST.digest), LAST, True, id="next-with-a-jump"),
        pytest.param(numbered(3, "ab" * 32, LAST.digest), LAST, False, id="again"),
    ],
)
def test_what_follows_is_new_and_what_was_accepted_is_not(
    made: Manifest, last: LastAccepted | None, new: bool
) -> None:
    assert manifest.check_sequence(made, last) is new


@pytest.mark.parametrize(
    ("made", "last", "error"),
    [
        pytest.param(numbered(2, LAST.digest), LAST, RollbackError, id="older"),
        pytest.param(numbered(1, None), LAST, RollbackError, id="a-new-first"),
        pytest.param(numbered(3, "ab" * 32), LAST, EquivocationError, id="same-version"),
        pytest.param(numbered(4, "ab" * 32), LAST, GapError, id="other-previous"),
        pytest.param(numbered(4, None), LAST, GapError, id="no-previous"),
        pytest.param(numbered(2, "ab" * 32), None, GapError, id="first-with-previous"),
    ],
)
def test_what_does_not_follow_is_refused(
    made: Manifest, last: LastAccepted | None, error: type[IntegrityError]
) -> None:
    with pytest.raises(error) as caught:
        manifest.check_sequence(made, last)
    assert caught.type is error
    assert caught.value.hint


# --- bytes ----------------------------------------------------------------------------------------


def test_the_signed_bytes_are_accepted_up_to_the_limit() -> None:
    manifest.check_bytes(A, b"a.md", 4)
    with pytest.raises(DocumentOversizedError, match="more than 3 bytes"):
        manifest.check_bytes(A, b"a.md", 3)


@pytest.mark.parametrize(
    ("change", "data"),
    [
        pytest.param(lambda s: s, b"a.mb", id="other-bytes"),
        pytest.param(lambda s: s, b"a.md ", id="longer"),
        pytest.param(lambda s: s, b"", id="empty"),
        pytest.param(lambda s: replace(s, length=5), b"a.md", id="other-length"),
    ],
)
def test_other_bytes_are_refused(change: Callable[[Subject], Subject], data: bytes) -> None:
    with pytest.raises(DocumentTamperedError, match=f"found {len(data)} bytes"):
        manifest.check_bytes(change(A), data, 100)
