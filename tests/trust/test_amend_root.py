"""Changes of the trust root: each gives the next version, whole and without contradiction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ragguard.errors import TrustRootError, UsageError, ZeroThresholdError
from ragguard.model import Grant, Revocation, Root, SourcePolicy
from ragguard.trust import amend_root
from ragguard.trust import root as roots
from ragguard.trust.keys import KeyPair
from tests.support.people import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    ROBOT,
    ROOT_KEY,
    YEAR,
    grants,
    known,
    make_root,
    person,
    sign_root,
)
from tests.support.simulator import NOW

LATER = NOW + timedelta(days=30)
ROOT = make_root()


def signers(root: Root, source: str = "wiki") -> set[str]:
    return {g.keyid for g in root.sources[source].signers}


def ids(*pairs: KeyPair) -> set[str]:
    return {k.public.keyid for k in pairs}


# --- add ------------------------------------------------------------------------------------------


def test_every_change_is_the_next_version_of_now_and_follows_in_the_chain() -> None:
    made = amend_root.add(ROOT, MALLORY.public, LATER, role="reviewer")
    assert (made.version, made.issued, made.expires) == (2, LATER, LATER + YEAR)
    assert roots.verify_root(sign_root(made, ROOT_KEY), ROOT).version == 2
    assert make_root() == ROOT


def test_a_change_never_shortens_the_life_of_a_root() -> None:
    long = make_root(expires=NOW + 3 * YEAR)
    assert amend_root.add(long, CAROL.public, NOW, role="reviewer").expires == NOW + 3 * YEAR


def test_a_new_signer_speaks_beside_the_others_under_the_same_terms() -> None:
    before = replace(ROOT.sources["wiki"], threshold=2, distinct="principals")
    root = make_root(sources={"wiki": before})
    made = amend_root.add(root, CAROL.public, NOW, role="signer", source="wiki", until=LATER)
    after = made.sources["wiki"]
    assert signers(made) == ids(ALICE, ROBOT, BOB, CAROL)
    assert Grant(CAROL.public.keyid, LATER) in after.signers
    assert (after.threshold, after.distinct, after.policy) == (2, "principals", before.policy)


def test_a_new_source_comes_with_its_first_signer() -> None:
    made = amend_root.add(ROOT, MALLORY.public, NOW, role="signer", source="tickets")
    assert made.sources["tickets"] == SourcePolicy("tickets", grants(MALLORY))
    assert made.sources["wiki"] == ROOT.sources["wiki"]
    assert made.keys[MALLORY.public.keyid] == MALLORY.public


def test_a_grant_made_again_replaces_the_old_one() -> None:
    once = amend_root.add(ROOT, CAROL.public, NOW, role="reviewer", until=LATER)
    twice = amend_root.add(once, CAROL.public, NOW, role="reviewer")
    assert twice.reviewers == (*grants(BOB), Grant(CAROL.public.keyid))


@pytest.mark.parametrize(
    ("threshold", "distinct", "wanted"),
    [
        pytest.param(2, None, (2, "keys"), id="threshold"),
        pytest.param(None, "principals", (1, "principals"), id="distinct"),
        pytest.param(3, "principals", (3, "principals"), id="both"),
    ],
)
def test_the_terms_of_a_source_are_changed_with_a_signer(
    threshold: int | None, distinct: Any, wanted: tuple[int, str]
) -> None:
    terms: dict[str, Any] = {"threshold": threshold, "distinct": distinct}
    made = amend_root.add(ROOT, CAROL.public, NOW, role="signer", source="wiki", **terms)
    assert (made.sources["wiki"].threshold, made.sources["wiki"].distinct) == wanted


def test_a_root_key_is_added_with_a_threshold() -> None:
    made = amend_root.add(ROOT, CAROL.public, NOW, role="root", threshold=2)
    assert (set(made.root_keyids), made.root_threshold) == (ids(ROOT_KEY, CAROL), 2)
    same = amend_root.add(made, CAROL.public, NOW, role="root")
    assert (same.root_keyids, same.root_threshold) == (made.root_keyids, 2)


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        *(
            ({"role": "signer", "source": "wiki", "threshold": n}, ZeroThresholdError, f"for {n} ")
            for n in (0, -1, 5)
        ),
        *(({"role": "root", "threshold": n}, ZeroThresholdError, "role root") for n in (0, -1, 3)),
        ({"role": "signer"}, UsageError, "a signer speaks for a source"),
        ({"role": "reviewer", "source": "wiki"}, UsageError, "a signer speaks for a source"),
        ({"role": "root", "source": "wiki"}, UsageError, "a signer speaks for a source"),
        *(
            ({"role": "signer", "source": name}, UsageError, "expected 1 to 64")
            for name in ("", "Wiki", "a b", "../x")
        ),
    ],
)
def test_terms_that_cannot_mean_anything_are_refused(
    asked: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        amend_root.add(ROOT, CAROL.public, NOW, **asked)


def test_a_key_has_one_holder() -> None:
    stolen = replace(ALICE.public, principal="mallory")
    with pytest.raises(TrustRootError, match="belongs to 'alice' already, not to 'mallory'"):
        amend_root.add(ROOT, stolen, NOW, role="reviewer")


# --- revoke ---------------------------------------------------------------------------------------


def test_a_revoked_key_loses_every_role_and_is_remembered() -> None:
    made = amend_root.revoke(ROOT, BOB.public, LATER, "left the company")
    assert signers(made) == ids(ALICE, ROBOT)
    assert made.reviewers == ()
    assert made.revoked == {
        BOB.public.keyid: Revocation(BOB.public.keyid, LATER, "left the company")
    }
    assert made.keys[BOB.public.keyid] == BOB.public


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        pytest.param(SourcePolicy("wiki", grants(ALICE)), ALICE, id="last-signer"),
        pytest.param(SourcePolicy("wiki", grants(ALICE, BOB), 2), BOB, id="threshold-of-keys"),
        pytest.param(
            SourcePolicy("wiki", grants(ALICE, ROBOT, BOB), 2, "principals"),
            BOB,
            id="threshold-of-principals",
        ),
    ],
)
def test_a_key_can_be_revoked_also_where_its_threshold_needs_it(
    source: SourcePolicy, lost: KeyPair
) -> None:
    made = amend_root.revoke(make_root(sources={"wiki": source}), lost.public, NOW, "stolen")
    assert made.sources["wiki"] == source
    assert lost.public.keyid not in roots.active(source.signers, made, NOW)
    assert roots.parse_root(roots.dump_root(made)).revoked == made.revoked


def test_a_key_is_revoked_once() -> None:
    made = amend_root.revoke(ROOT, BOB.public, NOW, "left")
    with pytest.raises(UsageError, match="is revoked already"):
        amend_root.revoke(made, BOB.public, LATER, "again")


def test_a_revoked_source_is_gone_and_its_keys_speak_on_for_others() -> None:
    root = make_root(sources={n: SourcePolicy(n, grants(ALICE)) for n in ("wiki", "handouts")})
    made = amend_root.revoke_source(root, "wiki", LATER)
    assert set(made.sources) == {"handouts"}
    assert made.revoked == {}
    assert (made.version, made.keys) == (root.version + 1, root.keys)
    assert roots.verify_root(sign_root(made, ROOT_KEY), root).version == made.version
    with pytest.raises(UsageError, match="no source 'wiki'"):
        amend_root.revoke_source(made, "wiki", LATER)


def test_a_revoked_key_does_not_come_back() -> None:
    made = amend_root.revoke(ROOT, BOB.public, NOW, "left")
    with pytest.raises(TrustRootError, match="'bob' was revoked and stays so") as caught:
        amend_root.add(made, BOB.public, LATER, role="reviewer")
    assert "new key pair" in caught.value.hint


def test_a_root_key_is_rotated_and_not_revoked() -> None:
    with pytest.raises(UsageError, match="is a root key") as caught:
        amend_root.revoke(ROOT, ROOT_KEY.public, NOW, "stolen")
    assert "trust rotate" in caught.value.hint


# --- rotate and renew -----------------------------------------------------------------------------


def test_a_new_key_takes_over_all_an_old_one_may_do() -> None:
    limited = (Grant(ALICE.public.keyid, LATER), *grants(BOB))
    root = make_root(sources={"wiki": SourcePolicy("wiki", limited)}, reviewers=grants(ALICE))
    new = person(20, "alice")
    made = amend_root.rotate(root, ALICE.public, new.public, NOW)
    assert made.sources["wiki"].signers == (Grant(new.public.keyid, LATER), *grants(BOB))
    assert made.reviewers == grants(new)
    assert made.revoked[ALICE.public.keyid].reason == f"rotated to {new.public.keyid[:16]}"
    assert made.root_keyids == root.root_keyids


def test_a_rotated_root_key_needs_both_signatures_and_then_only_the_new_one() -> None:
    new = person(20, "root")
    made = amend_root.rotate(ROOT, ROOT_KEY.public, new.public, NOW)
    assert made.root_keyids == (new.public.keyid,)
    assert roots.verify_root(sign_root(made, ROOT_KEY, new), ROOT).version == 2
    third = amend_root.renew(made, LATER)
    assert roots.verify_root(sign_root(third, new), made).version == 3


def test_rotating_away_a_revoked_key_keeps_when_and_why_it_was_revoked() -> None:
    root = make_root(sources={"wiki": SourcePolicy("wiki", grants(ALICE))})
    lost = amend_root.revoke(root, ALICE.public, NOW, "stolen")
    made = amend_root.rotate(lost, ALICE.public, person(20, "alice").public, LATER)
    assert made.revoked[ALICE.public.keyid] == Revocation(ALICE.public.keyid, NOW, "stolen")
    assert signers(made) == ids(person(20, "alice"))


def test_a_key_is_not_rotated_to_itself_nor_to_a_revoked_one() -> None:
    with pytest.raises(UsageError, match="the same"):
        amend_root.rotate(ROOT, ALICE.public, ALICE.public, NOW)
    lost = amend_root.revoke(ROOT, BOB.public, NOW, "left")
    with pytest.raises(TrustRootError, match="stays so"):
        amend_root.rotate(lost, ALICE.public, BOB.public, NOW)


def test_rotating_to_a_key_that_signs_already_may_not_leave_too_few() -> None:
    root = make_root(sources={"wiki": SourcePolicy("wiki", grants(ALICE, BOB), 2)})
    with pytest.raises(ZeroThresholdError, match="2 signatures of 1 signers"):
        amend_root.rotate(root, ALICE.public, BOB.public, NOW)


def test_a_renewed_root_is_the_same_for_another_year() -> None:
    made = amend_root.renew(ROOT, LATER)
    assert made == replace(ROOT, version=2, issued=LATER, expires=LATER + YEAR)


# --- contracts and look-up ------------------------------------------------------------------------


def test_a_contract_is_changed_field_by_field() -> None:
    once = amend_root.set_policy(ROOT, "wiki", {"formats": ["md"], "max_documents": 5}, NOW)
    twice = amend_root.set_policy(once, "wiki", {"max_documents": None, "tier": "low"}, NOW)
    contract = twice.sources["wiki"].policy
    assert (contract.formats, contract.max_documents, contract.tier) == (("md",), None, "low")
    assert twice.sources["wiki"].signers == ROOT.sources["wiki"].signers
    assert twice.version == 3


@pytest.mark.parametrize(
    ("source", "changes", "says"),
    [
        pytest.param("hr", {}, "no source 'hr'", id="source"),
        pytest.param("wiki", {"label": []}, "unknown policy field", id="field"),
        pytest.param("wiki", {"formats": 5}, "list of strings", id="value"),
    ],
)
def test_a_contract_that_cannot_be_is_a_usage_error(
    source: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        amend_root.set_policy(ROOT, source, changes, NOW)


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param(CAROL.public.keyid, id="id"),
        pytest.param(CAROL.public.keyid[:8], id="beginning"),
        pytest.param("carol", id="principal"),
    ],
)
def test_a_key_is_found(reference: str) -> None:
    assert amend_root.find_key(ROOT, reference) == CAROL.public


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        pytest.param("alice", "several keys", id="two-keys-of-one"),
        pytest.param(CAROL.public.keyid[:7], "no such key", id="too-short"),
        pytest.param("mallory", "no such key", id="stranger"),
        pytest.param("", "no such key", id="empty"),
    ],
)
def test_a_key_that_is_not_meant_clearly_is_asked_for(reference: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        amend_root.find_key(ROOT, reference)
    assert caught.value.hint


def test_a_principal_means_his_key_in_force() -> None:
    made = amend_root.revoke(ROOT, ALICE.public, NOW, "lost")
    assert amend_root.find_key(made, "alice") == ROBOT.public
    assert amend_root.find_key(made, ALICE.public.keyid) == ALICE.public
    assert known(ROBOT)[ROBOT.public.keyid] == ROBOT.public
