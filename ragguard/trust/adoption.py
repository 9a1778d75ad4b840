"""Record an adoption: what ragguard took from a collection that nobody signed.

It stands where a manifest would stand, and is none: an in-toto statement of its own predicate type,
signed by nobody, refused wherever a manifest is read. See docs/adr/0013-adopting-unsigned.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ragguard.errors import MalformedError, PredicateError
from ragguard.trust import strict_json
from ragguard.trust.canonical import canonical
from ragguard.trust.manifest import STATEMENT_TYPE

PREDICATE_TYPE = "urn:ragguard:adoption:v1"
FOREVER = "9999-12-31T23:59:59Z"  # it does not expire: nobody promised anything
_PREDICATE = ("source", "at", "place", "collection", "mode", "layout")


@dataclass(frozen=True)
class Adoption:
    """What was taken over.

    Attributes:
        source: Unsigned source it went to.
        at: Time, as text.
        place: Server or folder of the collection, without credentials.
        mode: `quarantine` or `trust`.
        layout: Where text, metadata and documents were looked for.
        documents: Document id to SHA-256 of its text.
        vectors: What became of the collection's vectors; empty where nobody asked.
    """

    source: str
    at: str
    place: str
    collection: str
    mode: str
    layout: Mapping[str, Any]
    documents: Mapping[str, str]
    vectors: Mapping[str, Any] = field(default_factory=dict)


def dump(made: Adoption) -> bytes:
    """Canonical bytes of a record."""
    predicate = {name: getattr(made, name) for name in _PREDICATE}
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": sha256}}
                for name, sha256 in sorted(made.documents.items())
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate | ({"vectors": made.vectors} if made.vectors else {}),
        }
    )


def parse(data: bytes, *, max_bytes: int) -> Adoption | None:
    """Read a record; `None` when the bytes are something else, such as a signed envelope.

    Raises:
        PredicateError: It says that it is a record and is not as documented.
    """
    try:
        body = strict_json.parse(data, what="adoption", max_bytes=max_bytes)
    except MalformedError:
        return None
    if not isinstance(body, dict) or body.get("predicateType") != PREDICATE_TYPE:
        return None
    try:
        return Adoption(
            **{name: body["predicate"][name] for name in _PREDICATE},
            documents={s["name"]: s["digest"]["sha256"] for s in body["subject"]},
            vectors=body["predicate"].get("vectors", {}),
        )
    except (KeyError, TypeError) as error:
        raise PredicateError(f"adoption: malformed ({error})") from None
