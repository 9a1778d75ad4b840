"""Hostile manifests, end to end: who signed, when, and in which order.

Attacks by their form are in `test_attacks_forms.py`, on files and on the trust root in
`test_attacks_files.py`.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from ragguard.errors import (
    EquivocationError,
    ExpiredError,
    GapError,
    MixAndMatchError,
    NotYetValidError,
    RevokedKeyError,
    RollbackError,
    SignatureError,
    SourceKeyError,
    ThresholdError,
    UnknownSourceError,
    UnsignedError,
)
from ragguard.ingest.verify import verify
from ragguard.trust import amend_root, keys
from ragguard.trust.canonical import format_time
from tests.support.attacks import TEXTS, accept, honest, payload_of, refuse, refuse_altered
from tests.support.simulator import HONEST, NOW, Gate, edit_envelope

# --- signatures -----------------------------------------------------------------------------------


def test_an_unsigned_manifest_is_refused(gate: Gate) -> None:
    path = honest(gate)
    refuse(gate, edit_envelope(path, lambda e: e.update(signatures=[])), UnsignedError)
    accept(gate, path)


def test_a_tampered_payload_is_refused(gate: Gate) -> None:
    path = honest(gate)
    payload = payload_of(path).replace(b"leave.md", b"leave.mb")

    def tamper(envelope: dict[str, Any]) -> None:
        envelope["payload"] = base64.b64encode(payload).decode()

    refuse(gate, edit_envelope(path, tamper), SignatureError, "none of its 1 signatures")
    accept(gate, path)


def test_a_manifest_of_a_stranger_is_refused(gate: Gate) -> None:
    path = honest(gate)
    mallory = keys.generate("mallory")
    claims = [gate.alice.public.keyid]
    bad = gate.publisher.hostile(path, signers=[mallory], keyids=claims)
    refuse(gate, bad, SignatureError, "trusted key")
    accept(gate, path)


def test_a_key_outside_its_source_is_refused(gate: Gate) -> None:
    carol = keys.generate("carol")
    gate.trust(carol, source="tickets")
    refuse_altered(gate, SourceKeyError, "'carol'.*may not speak for it", signers=[carol])


@pytest.mark.parametrize("holder", ["bob", "root_key"])
def test_neither_reviewer_nor_root_key_may_sign_documents(gate: Gate, holder: str) -> None:
    refuse_altered(gate, SourceKeyError, signers=[getattr(gate, holder)])


def test_too_few_distinct_keys_are_refused(gate: Gate) -> None:
    carol = keys.generate("carol")
    gate.trust(carol, source="wiki", threshold=2)
    path = honest(gate)
    refuse(gate, path, ThresholdError, "1 of 2 needed distinct keys")
    accept(gate, gate.publisher.hostile(path, signers=[gate.alice, carol]))


def test_the_same_key_twice_under_two_keyids_counts_once(gate: Gate) -> None:
    carol = keys.generate("carol")
    gate.trust(carol, source="wiki", threshold=2)
    path = honest(gate)
    ids = [gate.alice.public.keyid, carol.public.keyid]
    bad = gate.publisher.hostile(path, signers=[gate.alice, gate.alice], keyids=ids)
    refuse(gate, bad, ThresholdError, "1 of 2")
    accept(gate, gate.publisher.hostile(path, signers=[gate.alice, carol]))


def test_two_keys_of_one_person_are_too_few_where_persons_count(gate: Gate) -> None:
    second, carol = keys.generate("alice"), keys.generate("carol")
    gate.trust(second, source="wiki")
    gate.trust(carol, source="wiki", threshold=2, distinct="principals")
    path = honest(gate)
    bad = gate.publisher.hostile(path, signers=[gate.alice, second])
    refuse(gate, bad, ThresholdError, "1 of 2 needed distinct principals")
    accept(gate, gate.publisher.hostile(path, signers=[second, carol]))


def test_a_revoked_key_is_refused(gate: Gate) -> None:
    carol = keys.generate("carol")
    gate.trust(carol, source="wiki")
    path = honest(gate)
    gate.change_root(
        lambda root: amend_root.revoke(root, gate.alice.public, gate.now, "laptop stolen")
    )
    refuse(gate, path, RevokedKeyError, "'alice'.*revoked 2026-03-01")
    accept(gate, gate.publisher.hostile(path, signers=[carol]))


def test_a_key_whose_leave_ended_is_refused(gate: Gate) -> None:
    carol = keys.generate("carol")
    gate.trust(carol, source="wiki", until=gate.now + timedelta(days=10))
    path = honest(gate)
    bad = gate.publisher.hostile(path, signers=[carol])
    gate.reopen(days=10)
    refuse(gate, bad, ExpiredError, "'carol'.*ended 2026-03-11")
    accept(gate, path)


def test_a_source_nobody_declared_is_refused(gate: Gate) -> None:
    refuse_altered(gate, UnknownSourceError, "'hr'", lambda s: s["predicate"].update(source="hr"))


def test_unknown_signatures_are_ignored_and_reported(gate: Gate) -> None:
    mallory = keys.generate("mallory")
    path = gate.publisher.hostile(honest(gate), signers=[mallory, gate.alice])
    verified = verify(gate.workspace, path, root=gate.publisher.folder)
    assert verified.signed.unknown == (mallory.public.keyid,)
    assert [k.principal for k in verified.signed.signed] == ["alice"]
    report = gate.ingest(path)
    assert report.exit_code == 0
    assert report.manifests[0].unknown == (mallory.public.keyid,)
    assert report.as_dict()["manifests"][0]["ignored_signatures"] == [mallory.public.keyid]


# --- time and sequence ----------------------------------------------------------------------------


def test_an_expired_manifest_is_refused(gate: Gate) -> None:
    path = gate.publisher.publish(TEXTS, expires=timedelta(days=3), keep=False)
    gate.reopen(days=3)
    refuse(gate, path, ExpiredError, "expired 2026-03-04")
    accept(gate, gate.publisher.publish(now=gate.now))


def test_a_manifest_that_never_was_in_force_is_refused(gate: Gate) -> None:
    early = format_time(NOW - timedelta(days=1))
    refuse_altered(gate, ExpiredError, ".", lambda s: s["predicate"].update(expires=early))


def test_a_manifest_from_the_future_is_refused(gate: Gate) -> None:
    path = gate.publisher.publish(TEXTS, now=NOW + timedelta(minutes=6))
    refuse(gate, path, NotYetValidError, "issued 2026-03-01T12:06:00Z")
    gate.reopen(minutes=6)
    accept(gate, path)


def test_an_expired_trust_root_lets_nothing_in(gate: Gate) -> None:
    gate.reopen(days=366)
    path = gate.publisher.publish(TEXTS, now=gate.now)
    refuse(gate, path, ExpiredError, "trust root: version 3 expired")
    gate.change_root(lambda root: amend_root.renew(root, gate.now))
    accept(gate, path)


def test_an_older_manifest_version_is_refused_as_rollback(gate: Gate) -> None:
    first = honest(gate)
    accept(gate, first)
    accept(gate, gate.publisher.publish({"leave.md": HONEST["leave.md"] + " Carried over: none."}))
    third = gate.publisher.publish()
    refuse(gate, first, RollbackError, "older than the accepted version 2")
    accept(gate, third)


def test_the_same_version_with_other_content_is_refused(gate: Gate) -> None:
    accept(gate, honest(gate))
    second = gate.publisher.publish({"leave.md": HONEST["leave.md"] + " Ask early."}, keep=False)
    accept(gate, second)
    later = format_time(NOW + timedelta(days=1000))
    bad = gate.publisher.hostile(second, lambda s: s["predicate"].update(expires=later))
    refuse(gate, bad, EquivocationError, "version 2 was accepted with other content")
    accept(gate, second)


def test_a_gap_against_previous_is_refused(gate: Gate) -> None:
    accept(gate, honest(gate))
    second = gate.publisher.publish({"leave.md": HONEST["leave.md"] + " Ask early."})
    third = gate.publisher.publish()
    refuse(gate, third, GapError, "the last accepted is version 1")
    accept(gate, second)
    accept(gate, third)


def test_a_later_manifest_cannot_be_the_first(gate: Gate) -> None:
    first = honest(gate)
    second = gate.publisher.publish({"leave.md": HONEST["leave.md"] + " Ask early."})
    refuse(gate, second, GapError, "no manifest of this source was accepted yet")
    gate.publisher.write(TEXTS)
    accept(gate, first)


def test_a_branch_from_an_older_manifest_is_refused(gate: Gate) -> None:
    first = honest(gate)
    accept(gate, first)
    branch = gate.publisher.publish(name="branch.json", keep=False)
    accept(gate, gate.publisher.publish({"leave.md": HONEST["leave.md"] + " Ask early."}))
    bad = gate.publisher.hostile(branch, lambda s: s["predicate"].update(version=3))
    refuse(gate, bad, GapError, "the last accepted is version 2")
    accept(gate, gate.publisher.publish())


# --- two manifests put together -------------------------------------------------------------------


def test_subjects_of_one_manifest_with_the_predicate_of_another_are_refused(gate: Gate) -> None:
    path = honest(gate)
    other = gate.publisher.publish({"other.md": "Another page."}, keep=False, name="other.json")
    subjects = json.loads(payload_of(other))["subject"]
    bad = gate.publisher.hostile(path, lambda s: s.update(subject=subjects))
    refuse(gate, bad, MixAndMatchError, "'other.md' stands in only one")
    accept(gate, path)


def test_the_payload_of_one_manifest_with_the_signature_of_another_is_refused(gate: Gate) -> None:
    path = honest(gate)
    other = gate.publisher.publish({"other.md": "Another page."}, keep=False, name="other.json")
    taken = json.loads(other.read_bytes())["payload"]
    refuse(gate, edit_envelope(path, lambda e: e.update(payload=taken)), SignatureError)
    accept(gate, path)


def test_a_document_both_listed_and_removed_is_refused(gate: Gate) -> None:
    both = {"mode": "delta", "removes": ["leave.md"]}
    says = "both listed and removed"
    refuse_altered(gate, MixAndMatchError, says, lambda s: s["predicate"].update(both))
