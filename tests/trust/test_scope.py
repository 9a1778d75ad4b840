"""Access scopes as text: who sees what, and rules that say nothing."""

from __future__ import annotations

from itertools import product

import pytest

from ragguard.errors import UsageError
from ragguard.model import Policy
from ragguard.trust import contract
from ragguard.trust.root import dump_policy, parse_policy
from ragguard.trust.scope import UNSCOPED, scope_of, tokens

ACME_HR = ("tenant=acme", "roles=hr", "roles=lead")


def test_a_reader_needs_a_value_in_common_for_every_key() -> None:
    document = tokens(ACME_HR, {})
    assert document == ("roles=hr&tenant=acme", "roles=lead&tenant=acme")
    for tenant, roles in product(("acme", "other", None), ((), ("hr",), ("it",), ("it", "lead"))):
        mine: dict[str, object] = {"roles": roles, **({"tenant": tenant} if tenant else {})}
        seen = scope_of(mine).sees(document)  # type: ignore[arg-type]
        assert seen is (tenant == "acme" and bool({"hr", "lead"} & {*roles})), mine


def test_values_come_from_signed_metadata() -> None:
    rules = ("tenant=@owner", "roles=@roles")
    found = tokens(rules, {"owner": "acme", "roles": ["hr", "it"]})
    assert found == ("roles=hr&tenant=acme", "roles=it&tenant=acme")
    for wrong in ({}, {"owner": "acme"}, {"owner": 5, "roles": "hr"}, {"owner": "a", "roles": []}):
        with pytest.raises(ValueError, match="signed metadata"):
            tokens(rules, wrong)


def test_public_is_seen_by_everybody_and_no_token_by_nobody() -> None:
    for mine in ({}, {"tenant": "acme"}):
        assert scope_of(mine).sees(tokens(("public",), {}))
        assert not scope_of(mine).sees(())
    assert scope_of("everything").sees(())


@pytest.mark.parametrize("value", ["a&roles=hr", "a=b", "%61", "public", "a,b", "ä ö"])
def test_no_value_is_spelled_like_another(value: str) -> None:
    spelled = tokens(("tenant=@t",), {"t": value})
    assert scope_of({"tenant": value}).sees(spelled)
    assert not scope_of({"tenant": "a", "roles": "hr"}).sees(spelled)
    assert not scope_of({}).sees(spelled)


@pytest.mark.parametrize(
    "rules",
    [
        ["public", "tenant=a"],
        ["tenant"],
        ["tenant="],
        ["=a"],
        ["Tenant=a"],
        ["tenant=@"],
        ["tenant= a"],
        ["tenant=a\n"],
        ["!"],
        ["tenant=a", "tenant=@t"],
        ["tenant=@t", "tenant=@u"],
        [f"k{n}=a" for n in range(5)],
        ["tenant=" + 201 * "a"],
    ],
)
def test_rules_that_say_nothing_are_refused(rules: list[str]) -> None:
    with pytest.raises(ValueError, match="policy scope"):
        parse_policy({"scope": rules})


def test_a_policy_without_scope_is_written_as_before_there_were_any() -> None:
    assert "scope" not in dump_policy(Policy())
    with_scope = Policy(scope=("tenant=acme",))
    assert parse_policy(dump_policy(with_scope)) == with_scope


def test_the_contract_wants_what_the_rules_need_from_the_signer_and_not_from_the_document() -> None:
    policy = Policy(scope=("tenant=@tenant",))
    assert not contract.violations(policy, "md", {"tenant": "acme"})
    (found,) = contract.violations(policy, "md", {"tenant": "acme"}, {})
    assert "signed metadata 'tenant'" in found.detail
    (found,) = contract.violations(Policy(scope=UNSCOPED), "md", {"tenant": "acme"})
    assert "scope=public" in found.detail


def test_too_many_combinations_are_refused() -> None:
    many = [str(n) for n in range(100)]
    with pytest.raises(ValueError, match="combinations"):
        tokens(("roles=@roles",), {"roles": many})
    with pytest.raises(UsageError, match="combinations"):
        scope_of({"a": many, "b": many})


@pytest.mark.parametrize("wanted", ["acme", {"Tenant": "a"}, {"tenant": ""}, {"tenant": ["a\x00"]}])
def test_a_scope_that_no_document_can_have_is_refused(wanted: object) -> None:
    with pytest.raises(UsageError):
        scope_of(wanted)  # type: ignore[arg-type]
