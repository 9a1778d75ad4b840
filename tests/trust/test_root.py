"""The trust root: read back as written, refused when it contradicts itself, followed in a chain."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ragguard.errors import (
    DuplicateKeyError,
    ExpiredError,
    IntegrityError,
    RevokedKeyError,
    SignatureError,
    SourceKeyError,
    ThresholdError,
    TrustRootError,
    TrustRootRollbackError,
    UnknownSourceError,
    ZeroThresholdError,
)
from ragguard.model import Grant, Policy, Revocation, Root, SourcePolicy
from ragguard.trust import dsse, manifest
from ragguard.trust import root as roots
from ragguard.trust.canonical import canonical
from tests.support.people import (
    ALICE,
    BOB,
    CAROL,
    LIMIT,
    MALLORY,
    ROBOT,
    ROOT_KEY,
    YEAR,
    grants,
    known,
    make_root,
    sign_root,
)
from tests.support.simulator import NOW

CONTRACT = Policy(
    labels=("public", "internal"),
    departments=("it",),
    formats=("md",),
    max_document_bytes=1000,
    max_documents=10,
    max_new_per_day=5,
    required_metadata=("label",),
    block_secrets=False,
    tier="low",
)
FULL = make_root(
    version=7,
    reviewers=(Grant(BOB.public.keyid, NOW + timedelta(days=3)),),
    sources={
        "wiki": SourcePolicy("wiki", grants(ALICE, BOB), 2, "principals", CONTRACT),
        "tickets": SourcePolicy("tickets", grants(CAROL)),
    },
    revoked={"ab" * 32: Revocation("ab" * 32, NOW, "lost")},
)


def in_order(root: Root) -> Root:
    """A root with its grants by key id, as they are read."""

    def by_id(given: tuple[Grant, ...]) -> tuple[Grant, ...]:
        return tuple(sorted(given, key=lambda g: g.keyid))

    sources = {n: replace(s, signers=by_id(s.signers)) for n, s in root.sources.items()}
    return replace(root, sources=sources, reviewers=by_id(root.reviewers))


# --- reading and writing --------------------------------------------------------------------------


@pytest.mark.parametrize("root", [make_root(), FULL], ids=["small", "full"])
def test_a_root_is_read_back_as_written(root: Root) -> None:
    assert roots.parse_root(roots.dump_root(root)) == in_order(root)
    assert roots.dump_root(in_order(root)) == roots.dump_root(root)


@pytest.mark.parametrize("contract", [Policy(), CONTRACT], ids=["default", "all-set"])
def test_a_contract_is_read_back_as_written(contract: Policy) -> None:
    assert roots.parse_policy(roots.dump_policy(contract)) == contract


def test_fields_a_contract_leaves_out_take_their_defaults() -> None:
    assert roots.parse_policy({}) == Policy()
    assert roots.parse_policy({"max_documents": None}).max_documents is None
    assert roots.parse_policy({"max_new_per_day": 0}).max_new_per_day == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param({"label": ["a"]}, "unknown policy field 'label'", id="unknown"),
        pytest.param({"labels": "a"}, "labels: expected a list of strings", id="text"),
        pytest.param({"formats": [1]}, "formats: expected a list of strings", id="numbers"),
        pytest.param({"max_documents": -1}, "-1 is below 0", id="negative"),
        pytest.param({"max_documents": True}, "True is not an integer", id="bool"),
        pytest.param({"max_documents": "9"}, "'9' is not an integer", id="digits"),
        pytest.param({"max_document_bytes": None}, "expected a number", id="no-limit"),
        pytest.param({"max_new_per_day": 2**53}, "max_new_per_day: .* too large", id="huge"),
        pytest.param({"tier": "high"}, "tier: expected", id="tier"),
        pytest.param({"block_secrets": 1}, "block_secrets: expected true or false", id="one"),
    ],
)
def test_a_contract_that_is_not_as_documented_is_refused(body: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        roots.parse_policy(body)


def changed(*path: str, to: Any) -> bytes:
    body = json.loads(roots.dump_root(FULL))
    here = body
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = to
    return canonical(body)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"{}", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"5", id="number"),
        pytest.param(b"{", id="no-json"),
        pytest.param(changed("type", to="root"), id="type"),
        pytest.param(changed("version", to=0), id="version-0"),
        pytest.param(changed("version", to=True), id="version-true"),
        pytest.param(changed("issued", to="yesterday"), id="issued"),
        pytest.param(changed("expires", to=None), id="expires"),
        pytest.param(changed("keys", to=[]), id="keys-list"),
        pytest.param(changed("keys", "ab" * 32, to={}), id="key-empty"),
        pytest.param(changed("keys", ALICE.public.keyid, "keyval", to=None), id="key-value"),
        pytest.param(changed("keys", ALICE.public.keyid, "principal", to="a b"), id="principal"),
        pytest.param(
            changed("keys", ALICE.public.keyid, "keyval", "public", to="00" * 32), id="weak-key"
        ),
        pytest.param(changed("roles", "root", "keyids", to=[[1]]), id="root-keyids"),
        pytest.param(changed("roles", "root", "keyids", to=["ab" * 32]), id="root-key-unknown"),
        pytest.param(changed("roles", "root", "threshold", to="1"), id="root-threshold"),
        pytest.param(changed("roles", "reviewer", "keys", to={"ab" * 32: {}}), id="grant"),
        pytest.param(
            changed("roles", "reviewer", "keys", to={"ab" * 32: {"expires": None}}), id="reviewer"
        ),
        pytest.param(changed("sources", "wiki", "distinct", to="people"), id="distinct"),
        pytest.param(changed("sources", "wiki", "threshold", to=None), id="threshold"),
        pytest.param(changed("sources", "wiki", "policy", to={"x": 1}), id="policy"),
        pytest.param(changed("sources", "wiki", "signers", to={}), id="no-signers"),
        pytest.param(changed("sources", to={"Wiki": {}}), id="source-empty"),
        pytest.param(
            changed("sources", "Wiki", to=json.loads(roots.dump_root(FULL))["sources"]["wiki"]),
            id="source-name",
        ),
        pytest.param(changed("revoked", to={"ab": {"at": "never", "reason": ""}}), id="revoked"),
    ],
)
def test_what_is_no_root_is_refused_as_such(payload: bytes) -> None:
    with pytest.raises(TrustRootError, match="trust root: "):
        roots.parse_root(payload)


# --- contradictions -------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [-1, 0, 4])
@pytest.mark.parametrize("distinct", ["keys", "principals"])
def test_a_source_threshold_that_cannot_mean_anything_is_refused(
    threshold: int, distinct: Any
) -> None:
    source = SourcePolicy("wiki", grants(ALICE, ROBOT, BOB), threshold, distinct)
    with pytest.raises(ZeroThresholdError, match=f"asks for {threshold} signatures of"):
        roots.check_root(make_root(sources={"wiki": source}))


def test_two_keys_of_one_person_are_one_principal() -> None:
    source = SourcePolicy("wiki", grants(ALICE, ROBOT), 2)
    roots.check_root(make_root(sources={"wiki": source}))
    with pytest.raises(ZeroThresholdError, match="2 signatures of 1 signers"):
        roots.check_root(make_root(sources={"wiki": replace(source, distinct="principals")}))


@pytest.mark.parametrize("threshold", [-1, 0, 2])
def test_a_root_threshold_that_cannot_mean_anything_is_refused(threshold: int) -> None:
    with pytest.raises(ZeroThresholdError, match="role root asks for"):
        roots.check_root(make_root(root_threshold=threshold))


def test_one_public_key_under_two_ids_is_refused() -> None:
    twice = {**known(ROOT_KEY), "ab" * 32: replace(ROOT_KEY.public, keyid="ab" * 32)}
    with pytest.raises(DuplicateKeyError, match="one public key under the ids"):
        roots.check_root(make_root(keys=twice, sources={}, reviewers=()))


def test_a_key_under_another_id_than_its_own_is_refused() -> None:
    entry = json.loads(roots.dump_root(FULL))["keys"][ALICE.public.keyid]
    with pytest.raises(DuplicateKeyError, match="is not the id of its key"):
        roots.parse_root(changed("keys", "ab" * 32, to=entry))


def test_a_root_key_listed_twice_is_refused() -> None:
    ids = (ROOT_KEY.public.keyid,) * 2
    with pytest.raises(DuplicateKeyError, match="listed twice"):
        roots.check_root(make_root(root_keyids=ids, root_threshold=2))


def test_a_root_key_that_is_revoked_is_refused() -> None:
    keyid = ROOT_KEY.public.keyid
    gone = {keyid: Revocation(keyid, NOW, "stolen")}
    with pytest.raises(TrustRootError, match="is revoked"):
        roots.check_root(make_root(revoked=gone))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"root_keyids": (MALLORY.public.keyid,)}, id="root"),
        pytest.param({"reviewers": grants(MALLORY)}, id="reviewer"),
        pytest.param({"sources": {"wiki": SourcePolicy("wiki", grants(MALLORY))}}, id="source"),
        pytest.param(
            {"sources": {"wiki": SourcePolicy("wiki", grants(MALLORY), 1, "principals")}},
            id="source-of-principals",
        ),
    ],
)
def test_a_role_of_a_key_the_root_does_not_hold_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TrustRootError, match="names the unknown key"):
        roots.check_root(make_root(**changes))


# --- the chain of roots ---------------------------------------------------------------------------


def test_the_first_root_is_trusted_on_first_use_if_it_signs_itself() -> None:
    assert roots.verify_root(sign_root(make_root(), ROOT_KEY), None) == in_order(make_root())
    with pytest.raises(SignatureError, match="the root keys of itself"):
        roots.verify_root(sign_root(make_root(), ALICE), None)


def test_the_first_root_must_be_signed_by_the_pinned_key_if_there_is_one() -> None:
    data = sign_root(make_root(), ROOT_KEY)
    assert roots.verify_root(data, None, keys=known(ROOT_KEY)).version == 1
    with pytest.raises(SignatureError, match="the pinned root key"):
        roots.verify_root(data, None, keys=known(ALICE))


def test_a_new_root_needs_the_old_keys_and_the_new() -> None:
    old = make_root()
    new = make_root(version=2, root_keyids=(CAROL.public.keyid,))
    with pytest.raises(SignatureError, match="the root before it"):
        roots.verify_root(sign_root(new, CAROL), old)
    with pytest.raises(SignatureError, match="itself"):
        roots.verify_root(sign_root(new, ROOT_KEY), old)
    assert roots.verify_root(sign_root(new, ROOT_KEY, CAROL), old).root_keyids == (
        CAROL.public.keyid,
    )


def test_a_threshold_of_root_keys_is_asked_of_the_old_root() -> None:
    ids = tuple(k.public.keyid for k in (ROOT_KEY, CAROL))
    old = make_root(root_keyids=ids, root_threshold=2)
    new = replace(old, version=2, root_threshold=1)
    with pytest.raises(ThresholdError, match="the root before it"):
        roots.verify_root(sign_root(new, ROOT_KEY), old)
    assert roots.verify_root(sign_root(new, ROOT_KEY, CAROL), old).root_threshold == 1


@pytest.mark.parametrize("version", [1, 3, 4, 6])
def test_roots_follow_one_by_one(version: int) -> None:
    old = make_root(version=4)
    with pytest.raises(TrustRootRollbackError, match=f"version {version} cannot follow version 4"):
        roots.verify_root(sign_root(make_root(version=version), ROOT_KEY), old)
    roots.verify_root(sign_root(make_root(version=5), ROOT_KEY), old)


# --- from envelope to manifest --------------------------------------------------------------------


def envelope(*who: Any, source: str = "wiki") -> bytes:
    payload = manifest.dump(
        source=source,
        version=1,
        issued=NOW,
        expires=NOW + timedelta(days=1),
        previous=None,
        mode="full",
        subjects=(),
    )
    pairs = [(k.public.keyid, k.signing_key) for k in who]
    return dsse.sign(payload, dsse.IN_TOTO, pairs)


def authenticate(data: bytes, root: Root, now: Any = NOW) -> list[str]:
    found, result = roots.authenticate(data, root, now, max_bytes=LIMIT)
    assert (found.source, found.subjects) == ("wiki", ())
    return sorted(k.principal for k in result.signed)


def test_keys_of_the_source_are_reported_and_others_are_not_counted() -> None:
    assert authenticate(envelope(ALICE, CAROL, MALLORY), make_root()) == ["alice"]


def test_a_key_of_the_root_speaks_for_no_source_but_its_own() -> None:
    with pytest.raises(SourceKeyError, match="signed by 'carol'"):
        authenticate(envelope(CAROL), make_root())
    with pytest.raises(UnknownSourceError, match="no source 'hr'"):
        authenticate(envelope(ALICE, source="hr"), make_root())


def test_nothing_is_parsed_before_somebody_of_the_root_has_signed() -> None:
    junk = dsse.sign(b"{", dsse.IN_TOTO, [(MALLORY.public.keyid, MALLORY.signing_key)])
    with pytest.raises(SignatureError):
        roots.authenticate(junk, make_root(), NOW, max_bytes=LIMIT)


def test_a_root_is_good_until_the_second_it_expires() -> None:
    authenticate(envelope(ALICE), make_root(), NOW + YEAR - timedelta(seconds=1))
    with pytest.raises(ExpiredError, match="trust root: version 1 expired 2027-03-01"):
        authenticate(envelope(ALICE), make_root(), NOW + YEAR)


def test_a_grant_is_good_until_the_second_it_ends() -> None:
    end = NOW + timedelta(hours=1)
    signers = (Grant(ALICE.public.keyid, end), Grant(BOB.public.keyid))
    root = make_root(sources={"wiki": SourcePolicy("wiki", signers)})
    assert authenticate(envelope(ALICE), root, end - timedelta(seconds=1)) == ["alice"]
    with pytest.raises(ExpiredError, match="the leave of key"):
        authenticate(envelope(ALICE), root, end)
    assert authenticate(envelope(ALICE, BOB), root, end) == ["bob"]


@pytest.mark.parametrize(
    ("who", "error"),
    [
        pytest.param((ALICE,), RevokedKeyError, id="revoked-alone"),
        pytest.param((ALICE, CAROL), RevokedKeyError, id="revoked-and-another"),
        pytest.param((ROBOT,), ThresholdError, id="too-few"),
    ],
)
def test_a_revoked_signature_never_helps_to_the_threshold(
    who: tuple[Any, ...], error: type[IntegrityError]
) -> None:
    gone = {ALICE.public.keyid: Revocation(ALICE.public.keyid, NOW, "lost")}
    source = SourcePolicy("wiki", grants(ALICE, ROBOT, BOB), 2)
    root = make_root(revoked=gone, sources={"wiki": source})
    with pytest.raises(error) as caught:
        authenticate(envelope(*who), root)
    assert caught.type is error
    assert authenticate(envelope(ALICE, ROBOT, BOB), root) == ["alice", "bob"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        pytest.param(lambda r: r, {"alice", "bob"}, id="all"),
        pytest.param(lambda r: replace(r, keys=known(BOB)), {"bob", ALICE.public.keyid}, id="gone"),
    ],
)
def test_a_key_the_root_no_longer_knows_stands_for_itself(
    change: Callable[[Root], Root], names: set[str]
) -> None:
    ids = [k.public.keyid for k in (ALICE, BOB)]
    assert roots.principals_of(change(make_root()), ids) == names
