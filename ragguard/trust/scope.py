"""Enforce access scopes: which readers a document is for, said by its source's contract.

The contract has rules. `public` stands alone and lets every reader see the source's documents.
Else each rule names a key and a value, or where the value stands in the signed metadata:

    tenant=acme        the documents are acme's
    roles=@roles       for whoever has one of the roles that the document's metadata `roles` names

A reader sees a document when he has a value in common with it for every key that its rules name.
What that comes to is spelled as tokens, such as `roles=hr&tenant=acme`: a document has one for each
combination of its values, a reader one for each combination of some of his; they share one exactly
when he may see it. So that a vector database needs one indexed field and one condition, and what
has no token is seen by nobody.

Once a contract has rules, scopes are on for the whole root: documents of sources without are
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Literal
from urllib.parse import quote

from ragguard.errors import UsageError
from ragguard.model import Metadata, Policy, Root

PUBLIC = "public"
UNSCOPED = ("!",)  # in the place of rules: the source has none, and scopes are on
MAX_KEYS = 4
MAX_VALUE = 200  # characters
MAX_TOKENS = 64  # of a document
MAX_READER_TOKENS = 4096
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,31}")
Wanted = Mapping[str, str | Sequence[str]] | Literal["everything"]


def check_rules(rules: Sequence[str]) -> None:
    """Refuse rules that say nothing or contradict themselves.

    Raises:
        ValueError: Says which and why.
    """
    if PUBLIC in rules and len(rules) > 1:
        raise ValueError("policy scope: 'public' stands alone")
    keys: dict[str, list[str]] = {}
    for rule in rules:
        if rule == PUBLIC:
            continue
        key, separator, value = rule.partition("=")
        if not separator or not _KEY.fullmatch(key) or not _is_value(value.removeprefix("@")):
            raise ValueError(
                f"policy scope: {rule[:60]!r} is neither 'public' nor KEY=VALUE nor KEY=@METADATA"
            )
        keys.setdefault(key, []).append(value)
    for key, values in keys.items():
        if len(values) > 1 and any(value.startswith("@") for value in values):
            raise ValueError(f"policy scope: {key!r} is taken from metadata and said otherwise")
    if len(keys) > MAX_KEYS:
        raise ValueError(f"policy scope: {len(keys)} keys, at most {MAX_KEYS}")


def _is_value(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_VALUE
        and value == value.strip()
        and value.isprintable()
    )


def tokens(rules: Sequence[str], metadata: Metadata) -> tuple[str, ...]:
    """Spell out who may see a document.

    Returns:
        Its tokens, sorted; none where there are no rules.

    Raises:
        ValueError: The metadata does not say what the rules need.
    """
    if not rules:
        return ()
    if tuple(rules) == UNSCOPED:
        raise ValueError(
            "has no access scope, and other sources of the trust root have one (the contract's "
            "scope=public lets every reader see it)"
        )
    if PUBLIC in rules:
        return (PUBLIC,)
    values: dict[str, list[str]] = {}
    for rule in rules:
        key, _, value = rule.partition("=")
        if value.startswith("@"):
            values.setdefault(key, []).extend(_said(metadata, value[1:], key))
        else:
            values.setdefault(key, []).append(value)
    scope_tokens = tuple(sorted(_spell(values)))
    if len(scope_tokens) > MAX_TOKENS:
        raise ValueError(
            f"its access scope has {len(scope_tokens)} combinations, at most {MAX_TOKENS}"
        )
    return scope_tokens


def _said(metadata: Metadata, name: str, key: str) -> list[str]:
    given = metadata.get(name)
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values or not all(_is_value(v) for v in values):
        raise ValueError(f"its signed metadata {name!r} names no {key} that may see it")
    return [str(v) for v in values]


def _spell(values: Mapping[str, Iterable[str]]) -> set[str]:
    pairs = [[f"{key}={quote(value, safe='')}" for value in values[key]] for key in sorted(values)]
    return {"&".join(combination) for combination in product(*pairs)}


@dataclass(frozen=True)
class Scope:
    """What a reader may see.

    Attributes:
        values: His values, by key.
        tokens: Every token that lets him see a document; `None`: he may see everything.
    """

    values: Mapping[str, Sequence[str]]
    tokens: frozenset[str] | None

    def sees(self, document: Iterable[str]) -> bool:
        """Tell whether he may see a document of these tokens."""
        return self.tokens is None or not self.tokens.isdisjoint(document)


def scope_of(wanted: Wanted) -> Scope:
    """Return the scope of a reader.

    Args:
        wanted: His values by key, such as `{"tenant": "acme", "roles": ["hr", "lead"]}`; none at
            all sees what is public. `everything` is for who operates the corpus.

    Raises:
        UsageError: A key or a value that no document can have, or too many.
    """
    if isinstance(wanted, str):
        if wanted != "everything":
            raise UsageError(
                f"scope {wanted[:60]!r}: expected values by key, or 'everything'",
                hint="Such as {'tenant': 'acme'}.",
            )
        return Scope({}, None)
    values = {
        key: (given,) if isinstance(given, str) else tuple(given) for key, given in wanted.items()
    }
    for key, given in values.items():
        if not _KEY.fullmatch(key) or not all(_is_value(v) for v in given):
            raise UsageError(
                f"scope {key[:60]!r}: expected a key of a-z, 0-9, '_' and '-', and texts of 1 to "
                f"{MAX_VALUE} characters"
            )
    count = 1
    for given in values.values():
        count *= 1 + len(given)
    if count > MAX_READER_TOKENS:
        raise UsageError(
            f"scope: {count} combinations of values, at most {MAX_READER_TOKENS}",
            hint="Name the roles that matter for this question.",
        )
    reader_tokens = {PUBLIC}
    for size in range(1, len(values) + 1):
        for keys in combinations(sorted(values), size):
            reader_tokens |= _spell({key: values[key] for key in keys})
    return Scope(values, frozenset(reader_tokens))


def is_on(root: Root) -> bool:
    """Tell whether scopes are on: a source of the root has rules."""
    return any(source.policy.scope for source in root.sources.values())


def enforced(root: Root, policy: Policy) -> Policy:
    """Return a source's contract with what the scopes of other sources demand of it."""
    return policy if policy.scope or not is_on(root) else replace(policy, scope=UNSCOPED)
