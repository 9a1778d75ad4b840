"""Decisions: a reviewer's word about these bytes, by somebody who did not sign them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ragguard.errors import (
    DecisionError,
    MalformedError,
    OversizedError,
    PayloadTypeError,
    PredicateError,
    UnsignedError,
)
from ragguard.model import Grant
from ragguard.trust import amend_root, decision, dsse
from ragguard.trust.canonical import canonical
from ragguard.trust.decision import Decision
from ragguard.trust.keys import KeyPair
from tests.support.people import ALICE, BOB, CAROL, LIMIT, MALLORY, ROBOT, grants, make_root
from tests.support.simulator import NOW

SAID = Decision(
    case=3,
    action="release",
    subject="wiki/休暇.md",
    digest="ab" * 32,
    metadata_digest="cd" * 32,
    covers=("hidden", "isolation"),
    reason="Checked with HR.",
    at=NOW,
)
ROOT = make_root(reviewers=grants(BOB, CAROL))


def signed(*who: KeyPair, said: Decision = SAID) -> bytes:
    envelope = decision.sign(said, who[0].signing_key, who[0].public.keyid)
    for key in who[1:]:
        envelope = dsse.add_signature(envelope, key.public.keyid, key.signing_key, max_bytes=LIMIT)
    return envelope


def payload() -> bytes:
    return dsse.parse_envelope(signed(BOB), max_bytes=LIMIT).payload


def judge(data: bytes, *signers: KeyPair, root: Any = ROOT) -> tuple[Decision, str]:
    ids = [k.public.keyid for k in signers or (ALICE,)]
    said, key = decision.authenticate(data, root, ids, NOW)
    return said, key.principal


@pytest.mark.parametrize(
    "said",
    [SAID, replace(SAID, action="reject", covers=(), reason="Ünsinn \u2028 \x1b[31m")],
    ids=["release", "reject"],
)
def test_a_decision_is_read_back_with_who_made_it(said: Decision) -> None:
    assert judge(signed(BOB, said=said)) == (said, "bob")


def test_the_payload_is_an_in_toto_statement_about_the_document() -> None:
    body = json.loads(payload())
    assert body["subject"] == [{"name": "wiki/休暇.md", "digest": {"sha256": "ab" * 32}}]
    assert body["predicateType"] == "urn:ragguard:decision:v1"
    assert body["predicate"] == {
        "case": 3,
        "action": "release",
        "metadata": {"sha256": "cd" * 32},
        "covers": ["hidden", "isolation"],
        "reason": "Checked with HR.",
        "at": "2026-03-01T12:00:00Z",
    }


# --- who may decide -------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [ALICE, MALLORY], ids=["signer", "stranger"])
def test_somebody_who_is_no_reviewer_cannot_decide(who: KeyPair) -> None:
    with pytest.raises(DecisionError, match="not signed by a reviewer in force") as caught:
        judge(signed(who), CAROL)
    assert "--role reviewer" in caught.value.hint


def test_a_reviewer_cannot_judge_what_he_signed() -> None:
    with pytest.raises(DecisionError, match="'bob' signed the document"):
        judge(signed(BOB), ALICE, BOB)


def test_nor_with_another_of_his_keys() -> None:
    root = make_root(reviewers=grants(ROBOT))
    with pytest.raises(DecisionError, match="'alice' signed the document"):
        judge(signed(ROBOT), ALICE, root=root)


def test_an_independent_reviewer_beside_him_can() -> None:
    assert judge(signed(BOB, CAROL), BOB) == (SAID, "carol")


def test_a_signer_whom_the_root_forgot_bars_nobody_else() -> None:
    assert judge(signed(BOB), MALLORY) == (SAID, "bob")


@pytest.mark.parametrize(
    "root",
    [
        pytest.param(amend_root.revoke(ROOT, BOB.public, NOW, "left"), id="revoked"),
        pytest.param(replace(ROOT, reviewers=(Grant(BOB.public.keyid, NOW),)), id="leave-ended"),
        pytest.param(replace(ROOT, reviewers=()), id="no-reviewers"),
    ],
)
def test_a_reviewer_no_longer_in_force_cannot_decide(root: Any) -> None:
    with pytest.raises(DecisionError, match="in force"):
        judge(signed(BOB), root=root)


def test_leave_to_review_counts_until_it_ends() -> None:
    limited = replace(ROOT, reviewers=(Grant(BOB.public.keyid, NOW + timedelta(seconds=1)),))
    assert judge(signed(BOB), root=limited) == (SAID, "bob")


# --- what is no decision --------------------------------------------------------------------------


def test_a_changed_decision_is_refused() -> None:
    body = json.loads(signed(BOB))
    other = signed(BOB, said=replace(SAID, action="reject"))
    body["payload"] = json.loads(other)["payload"]
    with pytest.raises(DecisionError, match="not signed"):
        judge(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"{}", MalformedError, id="no-envelope"),
        pytest.param(signed(BOB).ljust(200_001), OversizedError, id="oversized"),
        pytest.param(
            json.dumps({**json.loads(signed(BOB)), "signatures": []}).encode(),
            UnsignedError,
            id="unsigned",
        ),
        pytest.param(
            dsse.sign(payload(), "text/plain", [(BOB.public.keyid, BOB.signing_key)]),
            PayloadTypeError,
            id="payload-type",
        ),
        pytest.param(
            dsse.sign(b"{}", dsse.IN_TOTO, [(BOB.public.keyid, BOB.signing_key)]),
            PredicateError,
            id="another-payload",
        ),
    ],
)
def test_what_is_no_decision_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        judge(data)
    assert caught.type is error


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(("_type",), "https://in-toto.io/Statement/v0.1", id="statement-type"),
        pytest.param(("predicateType",), "urn:ragguard:corpus-manifest:v1", id="predicate-type"),
        pytest.param(("subject",), [], id="no-subject"),
        pytest.param(("subject",), [{}, {}], id="two-subjects"),
        pytest.param(("subject",), [{"name": "x", "digest": "ab"}], id="digest"),
        pytest.param(("predicate",), None, id="no-predicate"),
        pytest.param(("predicate", "action"), "delete", id="action"),
        pytest.param(("predicate", "case"), "three", id="case-text"),
        pytest.param(("predicate", "case"), None, id="case-none"),
        pytest.param(("predicate", "case"), True, id="case-true"),
        pytest.param(("predicate", "case"), 3.7, id="case-fraction"),
        pytest.param(("predicate", "covers"), "hidden", id="covers-text"),
        pytest.param(("predicate", "covers"), [1], id="covers-numbers"),
        pytest.param(("predicate", "reason"), None, id="reason-none"),
        pytest.param(("predicate", "at"), "now", id="time"),
        pytest.param(("predicate", "metadata"), {}, id="metadata"),
    ],
)
def test_a_payload_that_is_no_decision_is_refused(path: tuple[str, ...], value: Any) -> None:
    body = json.loads(payload())
    here = body
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    with pytest.raises(PredicateError, match="decision: malformed"):
        decision.parse(canonical(body))
