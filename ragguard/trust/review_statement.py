"""Sign and verify what a reviewer says about a document: an in-toto statement in DSSE.

The rules, whatever is said: the subject is the digest of the bytes; a reviewer in force signed, who
is not a person that signed the document; nothing is parsed before it is verified; and a payload is
taken as it would be written, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from nacl.signing import SigningKey

from ragguard.errors import DecisionError, MalformedError, PredicateError
from ragguard.model import PublicKey, Root
from ragguard.trust import dsse, strict_json
from ragguard.trust import root as roots
from ragguard.trust.canonical import canonical
from ragguard.trust.manifest import STATEMENT_TYPE
from ragguard.trust.person import person, persons

MAX_BYTES = 200_000
T = TypeVar("T")


@dataclass(frozen=True)
class ReviewStatement(Generic[T]):
    """A kind of statement that reviewers sign.

    Attributes:
        what: What messages call it.
        predicate_type: Its URN.
        write: Name and digest of the subject, and the predicate, of what is said.
        read: What is said, of name and digest of the subject and the predicate; raises
            `ValueError`, `KeyError` or `TypeError` where it is not as documented.
        otherwise: What to do where the reviewer signed the document.
    """

    what: str
    predicate_type: str
    write: Callable[[T], tuple[str, str, Mapping[str, Any]]]
    read: Callable[[str, str, Mapping[str, Any]], T]
    otherwise: str

    def dump(self, word: T) -> bytes:
        """Payload bytes: canonical JSON of the statement."""
        name, digest, predicate = self.write(word)
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": digest}}],
            "predicateType": self.predicate_type,
            "predicate": dict(predicate),
        }
        return canonical(statement)

    def sign(self, word: T, key: SigningKey, keyid: str) -> bytes:
        """Envelope of what is said."""
        return dsse.sign(self.dump(word), dsse.IN_TOTO, [(keyid, key)])

    def parse(self, payload: bytes) -> T:
        """Read a verified payload.

        Raises:
            PredicateError: Of another kind, or not as `dump` writes it.
        """
        try:
            body = strict_json.parse(payload, what=self.what, max_bytes=MAX_BYTES, max_depth=8)
            (subject,) = body["subject"]
            word = self.read(
                str(subject["name"]), str(subject["digest"]["sha256"]), body["predicate"]
            )
            if self.dump(word) != canonical(body):
                raise ValueError("another type, or a field that is not as documented")
            return word
        except (KeyError, TypeError, ValueError, MalformedError) as error:
            raise PredicateError(f"{self.what}: malformed ({error})") from None

    def unverified(self, data: bytes) -> T:
        """Tell what an envelope says, whoever signed it: only to look up by what to verify it.

        Raises:
            IntegrityError: No envelope, or no such statement.
        """
        return self.parse(dsse.parse_envelope(data, max_bytes=MAX_BYTES).payload)

    def authenticate(
        self, data: bytes, root: Root, signers: Iterable[str], now: datetime
    ) -> tuple[T, PublicKey]:
        """Verify an envelope: by a reviewer in force who did not sign the document.

        Returns:
            What is said, and the reviewer's key.

        Raises:
            DecisionError: No reviewer's key signed, or the reviewer signed the document.
            PredicateError: See `parse`.
        """
        envelope = dsse.parse_envelope(data, max_bytes=MAX_BYTES)
        reviewers = roots.active(root.reviewers, root, now)
        result = dsse.verify(envelope, reviewers, payload_type=dsse.IN_TOTO, threshold=1)
        if not result:
            raise DecisionError(
                f"{self.what}: not signed by a reviewer in force",
                hint="Make the key a reviewer with `ragguard trust add KEY.pub --role reviewer`.",
            )
        own = persons(roots.principals_of(root, signers))
        independent = [key for key in result.signed if person(key.principal) not in own]
        if not independent:
            raise DecisionError(
                f"{self.what}: {result.signed[0].principal!r} signed the document and cannot "
                "judge it",
                hint=self.otherwise,
            )
        return self.parse(envelope.payload), independent[0]
